"""Private elements that hold a number or a position and nothing else, and place or scale a picture.

They stay under the Retain Safe Private Option of DICOM PS3.15, E.3.10.
"""

from __future__ import annotations

import re

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_SAFE = {
    ("SIEMENS MR HEADER", 0x0019, 0x0A): "slices in a mosaic",
    ("SIEMENS MR HEADER", 0x0019, 0x0C): "b-value",
    ("GEMS_PARM_01", 0x0043, 0x2F): "magnitude, phase, real or imaginary",
    ("GEMS_PARM_01", 0x0043, 0x39): "b-value",
    ("Philips Imaging DD 001", 0x2001, 0x03): "b-value",
    ("Philips MR Imaging DD 001", 0x2005, 0x0E): "scale slope",
    ("Image Private Header", 0x0065, 0x09): "b-value",
    ("Image Private Header", 0x0065, 0x50): "slices in a grid",
    ("Image Private Header", 0x0065, 0x51): "positions of the slices in a grid",
}
_KEYS = {(creator.casefold(), group, element) for creator, group, element in _SAFE}
_CREATORS = {(creator.casefold(), group) for creator, group, _ in _SAFE}
_BINARY_SIZES = (2, 4, 8)
_NUMBERS = re.compile(r"[\d\s.,eE+\\\-\[\]']*")


def is_safe_private(dataset: Dataset, element: DataElement) -> bool:
    """Whether a private element of ``dataset`` is such a number, or the creator's name that belongs to one."""
    tag = element.tag
    if tag.is_private_creator:
        return (str(element.value).strip().casefold(), tag.group) in _CREATORS
    block = dataset.get((tag.group, tag.element >> 8))
    if block is None:
        return False
    key = (str(block.value).strip().casefold(), tag.group, tag.element & 0xFF)
    return key in _KEYS and (element.VR == "SQ" or _is_number(element.value))


def _is_number(value: object) -> bool:
    """A number, or what an implicit file makes of one: its text or its bytes."""
    if isinstance(value, bytes):
        text = value.decode("latin-1").strip("\0 ")
        return bool(_NUMBERS.fullmatch(text)) or (len(value) in _BINARY_SIZES and not text.isprintable())
    return bool(_NUMBERS.fullmatch(str(value)))
