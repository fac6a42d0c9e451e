"""From files to the DICOM pictures in them; headers only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.frames import NotAPicture, pictures
from hemaview.imaging.reading.dicom.header import Instance, read_instance
from hemaview.imaging.reading.sources import Source

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
_DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")


@dataclass(frozen=True)
class Found:
    """The pictures of some files, and the files that may have held more of them.

    ``damaged`` ones are DICOM but do not say what they hold; ``closed`` ones cannot be opened, each with the reason.
    """

    pictures: tuple[Instance, ...]
    damaged: tuple[Source, ...]
    closed: tuple[tuple[Source, ScanError], ...] = ()


def read_pictures(source: Source) -> tuple[Instance, ...] | None:
    """The pictures in a file, None when it is not DICOM or its header cannot be parsed.

    A DICOM file without pictures, or whose pictures cannot be told apart, gives one Instance that says so.
    """
    instance = read_instance(source)
    if instance is None:
        return None
    try:
        return pictures(instance)
    except NotAPicture as problem:
        return (replace(instance, problem=str(problem)),)
    except ScanError:
        return (replace(instance, problem="its header is damaged"),)


def is_cut_off(instance: Instance) -> bool:
    """Whether this is what is left of a file that ends within its header."""
    return not instance.series_uid and not instance.has_pixels and not instance.modality


def _was_dicom(source: Source) -> bool:
    """Whether a file that is not DICOM is named as one; such names often have no suffix or a number for it."""
    suffix = PurePath(source.name).suffix.lower()
    return suffix in _DICOM_SUFFIXES or ((not suffix or suffix[1:].isdigit()) and source.is_empty)


def find_pictures(sources: Sequence[Source], progress: Callable[[float], None] | None = None) -> Found:
    """All pictures in ``sources``; files that are not DICOM, and DICOMDIRs, are passed over.

    Raises ``ScanError`` for a zip that cannot be read, and where there are only files that cannot be opened.
    """
    found: list[Instance] = []
    damaged: list[Source] = []
    closed: list[tuple[Source, ScanError]] = []
    for done, source in enumerate(sources, start=1):
        try:
            held = read_pictures(source)
        except ScanError as error:
            if source.member is not None:
                raise
            closed.append((source, error))
            held = ()
        if held is None:
            if _was_dicom(source):
                damaged.append(source)
        elif held and held[0].sop_class != DICOMDIR_CLASS:
            if is_cut_off(held[0]):
                damaged.append(source)
            else:
                found.extend(held)
        if progress:
            progress(done / len(sources))
    if closed and len(closed) == len(sources):
        raise closed[0][1]
    return Found(tuple(found), tuple(damaged), tuple(closed))
