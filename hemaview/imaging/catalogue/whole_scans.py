"""Files that hold whole scans each: NIfTI, NRRD and the other formats outside DICOM."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hemaview.errors import ScanError
from hemaview.imaging.catalogue.contents import SeriesItem
from hemaview.imaging.reading.scans import list_series
from hemaview.imaging.reading.summary import SeriesSummary, Verdict


def whole_scan_items(path: Path) -> tuple[SeriesItem, ...]:
    """The scans in one file or in a zip of such a file; one that cannot be opened is listed with its reason."""
    try:
        found = list_series(path)
    except ScanError as error:
        reason = str(error).removesuffix(".")
        found = (SeriesSummary("", path.name, "?", 1, None, reason, Verdict.REFUSED),)
    return tuple(SeriesItem(summary, path, summary.uid or None, files=1) for summary in found)


def without_second_halves(files: Iterable[Path]) -> list[Path]:
    """The files without the image halves of header and image pairs, which open with their header."""
    given = list(files)
    names = {str(path).lower() for path in given}
    return [path for path in given if not _is_second_half(str(path).lower(), names)]


def _is_second_half(name: str, names: set[str]) -> bool:
    stem = name.removesuffix(".gz").removesuffix(".img")
    return stem != name.removesuffix(".gz") and (f"{stem}.hdr" in names or f"{stem}.hdr.gz" in names)
