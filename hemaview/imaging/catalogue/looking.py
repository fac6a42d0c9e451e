"""What one file is, told from its first bytes and its header."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.finding import DICOMDIR_CLASS, is_cut_off, read_pictures
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.formats import VOLUME_SUFFIXES
from hemaview.imaging.reading.sources import Source, looks_like_dicom

_DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")


class Kind(StrEnum):
    """What a file is; for files that are no scans the value is the reason they are left out, after a count."""

    PICTURES = "DICOM pictures"
    WHOLE_SCAN = "scan in a file of its own"
    DIRECTORY = "list of a DICOM medium (DICOMDIR)"
    DAMAGED = "damaged or cut off"
    EMPTY = "empty (0 bytes)"
    CLOSED = "cannot be read"
    FOREIGN = "not a scan"


@dataclass(frozen=True)
class Look:
    """The kind of a file and the DICOM pictures in it."""

    kind: Kind
    pictures: tuple[Instance, ...] = ()


def look_at(source: Source) -> Look:
    """What ``source`` is; reads its header and never its pixels, and never raises for a bad file."""
    try:
        start = source.start()
        if not start:
            return Look(Kind.EMPTY)
        if looks_like_dicom(start):
            return _look_at_dicom(source)
    except ScanError:
        return Look(Kind.CLOSED)
    name = source.name.lower()
    if name.endswith(VOLUME_SUFFIXES):
        return Look(Kind.WHOLE_SCAN)
    return Look(Kind.DAMAGED if name.endswith(_DICOM_SUFFIXES) else Kind.FOREIGN)


def _look_at_dicom(source: Source) -> Look:
    pictures = read_pictures(source)
    if pictures is None:
        return Look(Kind.DAMAGED if source.name.lower().endswith(_DICOM_SUFFIXES) else Kind.FOREIGN)
    if pictures[0].sop_class == DICOMDIR_CLASS:
        return Look(Kind.DIRECTORY)
    return Look(Kind.DAMAGED) if is_cut_off(pictures[0]) else Look(Kind.PICTURES, pictures)
