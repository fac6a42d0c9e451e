"""MetaImage files (.mha) and MetaImage headers with their data beside them (.mhd)."""

from __future__ import annotations

from pathlib import Path

from hemaview.imaging.reading.itk_image import TextFacts, open_itk
from hemaview.imaging.reading.scan_file import ORIENTATION_UNKNOWN, ScanFile, no_voxel_size
from hemaview.imaging.reading.text_header import check_millimetres, header_fields, lengths

_ORIENTATIONS = ("transformmatrix", "rotation", "orientation")
_IN_THE_SAME_FILE = "LOCAL"


def is_metaimage(start: bytes) -> bool:
    """Whether the first bytes of a file are a MetaImage header."""
    text = start[:4096].lstrip()
    return text.startswith((b"ObjectType", b"NDims", b"Comment")) and b"NDims" in text


def open_metaimage(path: Path) -> ScanFile:
    """A MetaImage. Raises ``ScanError`` when the voxel size is missing, or not in millimetres."""
    fields = header_fields(path, "=", last="elementdatafile")
    sizes = lengths(fields.get("elementspacing", fields.get("elementsize", "")))
    if len(sizes) < 2 or (len(sizes) < 3 and fields.get("ndims", "") != "2"):
        raise no_voxel_size(path)
    check_millimetres(fields.get("distanceunits", ""), path)
    detached = fields.get("elementdatafile", "")
    facts = TextFacts(
        lengths=tuple(sizes[:3]),
        detached="" if detached.upper() == _IN_THE_SAME_FILE else detached,
        encoding=fields.get("compresseddata", ""),
        colour=fields.get("elementtype", "").upper().startswith("MET_UCHAR"),
    )
    placed = any(name in fields for name in _ORIENTATIONS)
    return open_itk(path, "MetaImage", facts, () if placed else (ORIENTATION_UNKNOWN,))
