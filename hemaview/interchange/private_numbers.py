"""Private elements that place or scale a picture: numbers and positions, which say nothing of the patient.

They stay under the Retain Safe Private Option of DICOM PS3.15, E.3.10.
"""

from __future__ import annotations

import re

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from hemaview.interchange.mosaic_header import only_slice_places

_SAFE = {
    ("SIEMENS MR HEADER", 0x0019, 0x0A): "slices in a mosaic",
    ("SIEMENS MR HEADER", 0x0019, 0x0C): "b-value",
    ("GEMS_PARM_01", 0x0043, 0x2F): "magnitude, phase, real or imaginary",
    ("GEMS_PARM_01", 0x0043, 0x39): "b-value",
    ("Philips Imaging DD 001", 0x2001, 0x03): "b-value",
    ("Philips MR Imaging DD 001", 0x2005, 0x0E): "scale slope",
    ("Philips MR Imaging DD 005", 0x2005, 0x0F): "scale slope of each frame",
    ("Image Private Header", 0x0065, 0x09): "b-value",
    ("Image Private Header", 0x0065, 0x50): "slices in a grid",
    ("Image Private Header", 0x0065, 0x51): "positions of the slices in a grid",
}
_MOSAIC_HEADER = ("SIEMENS CSA HEADER", 0x0029, 0x10)
_KEYS = {(creator.casefold(), group, element) for creator, group, element in _SAFE}
_CREATORS = {(creator.casefold(), group) for creator, group, _ in (*_SAFE, _MOSAIC_HEADER)}
_BINARY_SIZES = (2, 4, 8)
_NUMBERS = re.compile(r"[\d\s.,eE+\\\-\[\]']*")


def reduce_private(dataset: Dataset, element: DataElement) -> bool:
    """Reduce a private element of ``dataset`` to what places or scales the picture; False when nothing of it may stay.

    The items of a sequence that stays have still to be cleaned.
    """
    tag = element.tag
    if tag.is_private_creator:
        return (str(element.value).strip().casefold(), tag.group) in _CREATORS
    block = dataset.get((tag.group, tag.element >> 8))
    if block is None:
        return False
    creator, number = str(block.value).strip(), tag.element & 0xFF
    if (creator, tag.group, number) == _MOSAIC_HEADER:
        element.value = only_slice_places(element.value) if isinstance(element.value, bytes) else None
        return element.value is not None
    is_known = (creator.casefold(), tag.group, number) in _KEYS
    return is_known and (element.VR == "SQ" or _is_number(element.value))


def _is_number(value: object) -> bool:
    """A number, or what an implicit file makes of one: its text or its bytes."""
    if isinstance(value, bytes):
        text = value.decode("latin-1").strip("\0 ")
        return bool(_NUMBERS.fullmatch(text)) or (len(value) in _BINARY_SIZES and not text.isprintable())
    return bool(_NUMBERS.fullmatch(str(value)))
