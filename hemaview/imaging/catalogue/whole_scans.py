"""Files that hold whole scans each: NIfTI, NRRD and the other formats outside DICOM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hemaview.errors import ScanError
from hemaview.imaging.catalogue.contents import SeriesItem
from hemaview.imaging.reading.pairs import voxels_halves
from hemaview.imaging.reading.scans import list_series
from hemaview.imaging.reading.sources import Source
from hemaview.imaging.reading.summary import SeriesSummary, Verdict


def whole_scan_items(path: Path) -> tuple[SeriesItem, ...]:
    """The scans in one file or in a zip of such a file; one that cannot be opened is listed with its reason."""
    try:
        found = list_series(path)
    except ScanError as error:
        reason = str(error).removesuffix(".")
        found = (SeriesSummary("", path.name, "?", 1, None, reason, Verdict.REFUSED),)
    return tuple(SeriesItem(summary, path, summary.uid or None, files=1) for summary in found)


def without_second_halves(sources: Sequence[Source]) -> list[Source]:
    """The files without the voxel halves of header and image pairs, which open with their header."""
    halves = voxels_halves(str(source.path) for source in sources if source.member is None)
    return [source for source in sources if source.member is not None or str(source.path) not in halves]
