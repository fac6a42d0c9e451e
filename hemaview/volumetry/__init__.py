"""The three volumes of a haematoma: direct, Tada (ABC/2) and corrected."""

from hemaview.volumetry.correction import CorrectionModel, corrected_volume, load_corrections, save_corrections
from hemaview.volumetry.direct import direct_volume
from hemaview.volumetry.evidence import Evidence, ProbabilityMap
from hemaview.volumetry.reading import Reading, ReadingKind
from hemaview.volumetry.shape import irregularity_index
from hemaview.volumetry.table import readings, write_csv
from hemaview.volumetry.tada import TadaMeasurement, abc_over_2, measure_tada

__all__ = [
    "CorrectionModel",
    "Evidence",
    "ProbabilityMap",
    "Reading",
    "ReadingKind",
    "TadaMeasurement",
    "abc_over_2",
    "corrected_volume",
    "direct_volume",
    "irregularity_index",
    "load_corrections",
    "measure_tada",
    "readings",
    "save_corrections",
    "write_csv",
]
