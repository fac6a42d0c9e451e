"""Where scans with masks for training come from, and how patients are kept apart."""

from hemaview.adaptation.datasets.brats import Region, brats_scans
from hemaview.adaptation.datasets.labelled import DataError, LabelledScan
from hemaview.adaptation.datasets.library import library_scans
from hemaview.adaptation.datasets.splits import PARTS, Part, Splits, split_patients
from hemaview.adaptation.datasets.synthetic import Scanner, synthetic_scans
from hemaview.adaptation.datasets.table import table_scans

__all__ = [
    "PARTS",
    "DataError",
    "LabelledScan",
    "Part",
    "Region",
    "Scanner",
    "Splits",
    "brats_scans",
    "library_scans",
    "split_patients",
    "synthetic_scans",
    "table_scans",
]
