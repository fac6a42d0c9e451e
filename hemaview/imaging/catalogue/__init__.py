"""What a folder, a CD, a zip or any dropped files hold: patients, their studies, and the series to choose from."""

from __future__ import annotations

from hemaview.imaging.catalogue.contents import Catalogue, LeftOut, Patient, SeriesItem, Study
from hemaview.imaging.catalogue.index import ScanIndex
from hemaview.imaging.catalogue.scanning import ScanProgress, scan_paths
from hemaview.imaging.catalogue.titles import patient_title

__all__ = [
    "Catalogue",
    "LeftOut",
    "Patient",
    "ScanIndex",
    "ScanProgress",
    "SeriesItem",
    "Study",
    "patient_title",
    "scan_paths",
]
