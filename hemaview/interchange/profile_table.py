"""The Basic Application Confidentiality Profile of DICOM (PS3.15, table E.1-1): what is done with which element.

The table is dicom-anonymizer's, generated from the edition of the standard named in ``EDITION``.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import cache

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.tag import BaseTag

EDITION = "2026c"

_OVERLAYS_AND_CURVES = (0x5000, 0x6000)
_REPEATING = 0xFF00


class Treatment(Enum):
    """What becomes of an element; where the table leaves a choice, the one that fits every kind of object."""

    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()
    NEW_UIDS = auto()
    KEEP = auto()


_TREATMENTS = {
    "X_TAGS": Treatment.REMOVE,
    "Z_TAGS": Treatment.EMPTY,
    "X_Z_TAGS": Treatment.EMPTY,
    "D_TAGS": Treatment.DUMMY,
    "Z_D_TAGS": Treatment.DUMMY,
    "X_D_TAGS": Treatment.DUMMY,
    "X_Z_D_TAGS": Treatment.DUMMY,
    "U_TAGS": Treatment.NEW_UIDS,
    "X_Z_U_STAR_TAGS": Treatment.NEW_UIDS,
}


def treatment_of(tag: BaseTag) -> Treatment:
    """What the profile asks for an element that is not private; overlays and curves go as a whole."""
    if tag.group & _REPEATING in _OVERLAYS_AND_CURVES:
        return Treatment.REMOVE
    return _table().get((tag.group, tag.element), Treatment.KEEP)


@cache
def _table() -> dict[tuple[int, ...], Treatment]:
    lists = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    return {tuple(tag): treatment for name, treatment in _TREATMENTS.items() for tag in lists[name]}
