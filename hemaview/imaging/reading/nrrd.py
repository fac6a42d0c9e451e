"""NRRD files (.nrrd) and NRRD headers with their data beside them (.nhdr)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hemaview.imaging.reading.itk_image import TextFacts, open_itk
from hemaview.imaging.reading.scan_file import ORIENTATION_UNKNOWN, ScanFile, no_voxel_size
from hemaview.imaging.reading.text_header import check_millimetres, header_fields, lengths

_SPACES = {
    "left-posterior-superior", "lps",
    "right-anterior-superior", "ras",
    "left-anterior-superior", "las",
}  # fmt: skip
_COLOUR_KINDS = {"rgb-color", "rgba-color", "3-color", "4-color"}


def is_nrrd(start: bytes) -> bool:
    """Whether the first bytes of a file are the NRRD magic."""
    return start[:4] == b"NRRD"


def open_nrrd(path: Path) -> ScanFile:
    """An NRRD or NHDR file. Raises ``ScanError`` when the voxel size is missing, or not in millimetres."""
    fields = header_fields(path, ":")
    directions = fields.get("space directions", "")
    sizes = _axis_lengths(directions) if directions else lengths(fields.get("spacings", ""))
    if len(sizes) < 2 or (len(sizes) < 3 and len(fields.get("sizes", "").split()) > 2):
        raise no_voxel_size(path)
    check_millimetres(fields.get("space units", "") if directions else fields.get("units", ""), path)
    placed = directions and fields.get("space", "").lower().removesuffix("-time") in _SPACES
    kinds = set(fields.get("kinds", "").lower().split())
    facts = TextFacts(
        lengths=tuple(sizes[:3]),
        detached=fields.get("data file", fields.get("datafile", "")),
        encoding=fields.get("encoding", ""),
        colour=bool(kinds & _COLOUR_KINDS),
        images="list" in kinds,
    )
    return open_itk(path, "NRRD", facts, () if placed else (ORIENTATION_UNKNOWN,))


def _axis_lengths(directions: str) -> list[float]:
    """Lengths of the vectors of the field "space directions"."""
    found = []
    for vector in re.findall(r"\(([^()]*)\)", directions):
        try:
            found.append(float(np.linalg.norm([float(word) for word in vector.split(",")])))
        except ValueError:
            continue
    return found
