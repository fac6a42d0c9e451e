"""A file outside DICOM: the images in it, and one of them as a Volume."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from hemaview.errors import ScanError
from hemaview.imaging.plane_name import plane_name
from hemaview.imaging.reading.formats import VOLUME_SUFFIXES, open_scan_file
from hemaview.imaging.reading.pixels import guess_modality, to_scan_values
from hemaview.imaging.reading.scan_file import THICKNESS_UNKNOWN, Progress, ScanFile
from hemaview.imaging.reading.summary import SeriesSummary, Verdict
from hemaview.imaging.sequence import SequenceGuess, guess_from_name, guess_sequence, sequence_in_name
from hemaview.imaging.volume import Modality, Volume

MOST_LISTED = 100
"""Of a file of more images (functional and diffusion scans) only the first are listed; the others open by number."""


def list_images(path: Path) -> tuple[SeriesSummary, ...]:
    """One summary per image, named "#1", "#2" and so on, from the header alone. Raises ``ScanError``."""
    file = open_scan_file(path)
    guess = _told_by_header(path, file)
    named = guess.sequence if guess else sequence_in_name(bare_name(path))
    listed = min(file.count, MOST_LISTED)
    return tuple(
        SeriesSummary(
            uid=f"#{number}",
            label=path.name if file.count == 1 else f"{path.name}, image {number} of {file.count}",
            modality=file.modality or str(Modality.UNKNOWN),
            images=file.geometry.size[2],
            size=file.geometry.size,
            reason=file.not_measurable,
            verdict=Verdict.VIEWABLE if file.not_measurable else Verdict.MEASURABLE,
            spacing=None if file.not_measurable == THICKNESS_UNKNOWN else file.geometry.spacing,
            plane=plane_name(file.geometry),
            sequence=str(named) if named else "",
            notes=file.notes,
        )
        for number in range(1, listed + 1)
    )


def read_image(path: Path, uid: str | None, progress: Progress | None = None) -> Volume:
    """The image ``uid`` ("#1", "#2", ...) of a file, its first without one. Raises ``ScanError``."""
    file = open_scan_file(path)
    index = _index(path, file, uid)
    values = file.read(index, progress)
    array, value_notes = to_scan_values(values)
    looks_like, modality_notes = guess_modality(array, file.stored_dtype)
    told = _told_by_header(path, file)
    guess = told or guess_from_name(bare_name(path), looks_like)
    which = (f"The file holds {file.count} images of the same grid; number {index + 1} is shown.",)
    return Volume(
        array=array,
        geometry=file.geometry,
        modality=guess.sequence.modality,
        name=bare_name(path),
        notes=(*(which if file.count > 1 else ()), *file.notes, *value_notes, *(() if told else modality_notes)),
        attributes=MappingProxyType({"format": file.format, "stored_type": str(file.stored_dtype)}),
        not_measurable=file.not_measurable,
        sequence=guess,
        hounsfield=looks_like is Modality.CT and file.modality in ("", "CT"),
    )


def _told_by_header(path: Path, file: ScanFile) -> SequenceGuess | None:
    """The kind of scan that the header speaks for, None where it says nothing."""
    if not file.modality:
        return None
    named = sequence_in_name(bare_name(path))
    return guess_sequence(file.modality, {**({"named": str(named)} if named else {}), **file.facts})


def bare_name(path: Path) -> str:
    """The file's name without the suffix of its format."""
    suffix = next((s for s in VOLUME_SUFFIXES if path.name.lower().endswith(s)), path.suffix)
    return path.name[: len(path.name) - len(suffix)] or path.name


def _index(path: Path, file: ScanFile, uid: str | None) -> int:
    if uid is None:
        return 0
    number = uid.removeprefix("#")
    if not number.isascii() or not number.isdecimal() or not 1 <= int(number) <= file.count:
        choice = "only the image #1" if file.count == 1 else f"the images #1 to #{file.count}"
        raise ScanError(f"'{path.name}' holds {choice}; choose one of them.")
    return int(number) - 1
