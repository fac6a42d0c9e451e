"""Reading scans and masks from disk, whatever their format, and writing masks.

The format is recognised by the bytes of a file, not by its name. Geometry comes from the file and is converted to
LPS mm here and nowhere else; a file whose geometry cannot be trusted is refused with one sentence.
"""

from __future__ import annotations

from hemaview.imaging.reading.masks import read_label_map
from hemaview.imaging.reading.scans import list_series, read_scan
from hemaview.imaging.reading.summary import SeriesSummary, StudyKey, Verdict
from hemaview.imaging.reading.writing import write_label_map, write_volume

__all__ = [
    "SeriesSummary",
    "StudyKey",
    "Verdict",
    "list_series",
    "read_label_map",
    "read_scan",
    "write_label_map",
    "write_volume",
]
