"""Scans outside DICOM in a zip: one file or several, each unpacked for as long as it is read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from hemaview.errors import ScanError
from hemaview.imaging.reading.formats import VOLUME_SUFFIXES
from hemaview.imaging.reading.pairs import voxels_halves
from hemaview.imaging.reading.scan_file import Progress
from hemaview.imaging.reading.sources import Source, looks_like_dicom
from hemaview.imaging.reading.summary import SeriesSummary, Verdict
from hemaview.imaging.reading.whole_scan import list_images, read_image
from hemaview.imaging.volume import Volume


def packed_scans(sources: Sequence[Source]) -> tuple[Source, ...]:
    """The members of a zip that hold a whole scan each; none in a zip of DICOM, whatever else lies in it."""
    halves = voxels_halves(_place(source) for source in sources)
    others = [source for source in sources if _place(source) not in halves]
    scans = tuple(source for source in others if source.name.lower().endswith(VOLUME_SUFFIXES))
    return () if not scans or any(looks_like_dicom(source.start()) for source in others) else scans


def list_packed(sources: Sequence[Source], scans: Sequence[Source]) -> tuple[SeriesSummary, ...]:
    """The images of all ``scans``; of several, the file's place in the zip stands before the image's "#1".

    Of several, one that cannot be opened is listed as refused. Raises ``ScanError`` where it is the only one.
    """
    if len(scans) == 1:
        with _unpacked(sources, scans[0]) as file:
            return list_images(file)
    found: list[SeriesSummary] = []
    for scan in scans:
        try:
            with _unpacked(sources, scan) as file:
                found += [replace(summary, uid=f"{_place(scan)}{summary.uid}") for summary in list_images(file)]
        except ScanError as error:
            why = str(error).removesuffix(".")
            found.append(SeriesSummary(f"{_place(scan)}#1", scan.name, "", 1, None, why, Verdict.REFUSED))
    return tuple(found)


def read_packed(
    path: Path, sources: Sequence[Source], scans: Sequence[Source], uid: str | None, progress: Progress | None
) -> Volume:
    """The image ``uid`` as ``list_packed`` names it, or the only scan's first. Raises ``ScanError``."""
    place, mark, number = (uid or "").rpartition("#")
    chosen = scans if len(scans) == 1 else [scan for scan in scans if _place(scan) == place]
    if not chosen:
        names = ", ".join(f"'{scan.name}'" for scan in scans[:4])
        raise ScanError(f"'{path.name}' holds {len(scans)} scans ({names}); choose one of them.")
    with _unpacked(sources, chosen[0]) as file:
        return read_image(file, f"{mark}{number}" or None, progress)


def _place(source: Source) -> str:
    """Folder and name within the zip."""
    return source.member.filename if source.member else source.name


@contextmanager
def _unpacked(sources: Sequence[Source], chosen: Source) -> Iterator[Path]:
    """The chosen scan, with the files of its folder and stem (its other half), in a folder that does not last."""
    with tempfile.TemporaryDirectory(prefix="hemaview-") as folder:
        for source in sources:
            if _folder_and_stem(source) == _folder_and_stem(chosen):
                with source.open() as packed, (Path(folder) / _bare(source)).open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
        yield Path(folder) / _bare(chosen)


def _folder_and_stem(source: Source) -> tuple[str, str]:
    place = PurePosixPath(_place(source).replace("\\", "/"))
    return str(place.parent), place.name.lower().split(".")[0]


def _bare(source: Source) -> str:
    """Only the last part of a member's name, so that nothing can be written elsewhere."""
    return PurePosixPath(_place(source).replace("\\", "/")).name
