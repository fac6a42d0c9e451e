"""Reading what the user opens, away from the window: files, folders with several series, and their fingerprints."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hemaview.case import fingerprint
from hemaview.errors import ScanError
from hemaview.gui.scan_content import scan_looks
from hemaview.imaging import Volume

MOST_VOXELS_TOGETHER = 200_000_000
"""Further series of a folder are read along with the first as long as all of them stay below this."""

Report = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class ReadScan:
    """A scan, the path it came from, its series in a folder of several, and its fingerprint."""

    path: Path
    series_uid: str | None
    volume: Volume
    digest: str


@dataclass(frozen=True)
class ScansRead:
    """What was read, the one to show first at the front, and a sentence for each thing that was not."""

    scans: tuple[ReadScan, ...]
    problems: tuple[str, ...]


def read_scans(paths: Sequence[Path], report: Report) -> ScansRead:
    """Read every path, of a DICOM folder every series that can be measured; one bad file does not keep others out.

    ``report`` gets 0 to 1 and may raise ``Cancelled``. Raises ``ScanError`` when nothing could be read.
    """
    scans: list[ReadScan] = []
    problems: list[str] = []
    for number, path in enumerate(paths):

        def part(fraction: float, number: int = number) -> None:
            report((number + fraction) / len(paths))

        try:
            scans += _read_path(path, part)
        except ScanError as error:
            problems.append(str(error))
    if not scans and problems:
        raise ScanError(problems[0])
    return ScansRead(tuple(scans), tuple(problems))


def _read_path(path: Path, report: Report) -> list[ReadScan]:
    from hemaview.imaging.reading import list_series

    usable = [series for series in list_series(path) if series.measurable and series.size is not None]
    if len(usable) < 2:
        return [_read_one(path, None, report)]
    # The largest first: it is the one that opens by itself.
    usable.sort(key=lambda series: -math.prod(series.size or ()))
    chosen: list[str] = []
    room = MOST_VOXELS_TOGETHER
    for series in usable:
        room -= math.prod(series.size or ())
        if not chosen or room >= 0:
            chosen.append(series.uid)
    found: list[ReadScan] = []
    for number, uid in enumerate(chosen):

        def part(fraction: float, number: int = number) -> None:
            report((number + fraction) / len(chosen))

        found.append(_read_one(path, uid, part))
    return found


def _read_one(path: Path, uid: str | None, report: Report) -> ReadScan:
    from hemaview.imaging.reading import read_scan

    # The fingerprint takes the last twentieth.
    volume = read_scan(path, series_uid=uid, progress=lambda fraction: report(0.95 * fraction))
    scan_looks(volume)
    return ReadScan(path, uid, volume, fingerprint(volume))
