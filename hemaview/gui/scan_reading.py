"""Reading what the user opens, away from the window: what there is to choose from, scans, and their fingerprints."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hemaview.case import fingerprint
from hemaview.errors import ScanError
from hemaview.gui.scan_content import scan_looks
from hemaview.imaging import Volume

if TYPE_CHECKING:
    # Readers load large libraries; they come with the first scan, not with the window.
    from hemaview.imaging.catalogue import Catalogue, SeriesItem

Report = Callable[[float], None]
Counted = Callable[[int, int], None]

_LOOKING_SHARE = 0.5
_TELL_EVERY_S = 0.05


@dataclass(frozen=True)
class Wanted:
    """A scan to read: a path, and the series where the path holds several."""

    path: Path
    series_uid: str | None = None

    @classmethod
    def of(cls, item: SeriesItem) -> Wanted:
        """A series of a catalogue."""
        return cls(item.path, item.series_uid)


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


@dataclass(frozen=True)
class Found:
    """Scans that left nothing to choose, or None and the catalogue of ``paths`` to choose from."""

    scans: ScansRead | None
    catalogue: Catalogue | None = None
    paths: tuple[Path, ...] = ()

    @property
    def others_hint(self) -> str:
        """What to say when one series was opened although there are others to look at."""
        count = sum(1 for _ in self.catalogue) if self.catalogue is not None and self.scans is not None else 0
        return f"Of {count} series only this one can be measured; Ctrl+Shift+B shows the others." if count > 1 else ""


def find_scans(paths: Sequence[Path], report: Report, counted: Counted) -> Found:
    """Read ``paths`` where that leaves nothing to choose; else say what there is to choose from.

    ``report`` gets 0 to 1, ``counted`` files looked at and files in all; both may raise ``Cancelled``. Raises
    ``ScanError`` where there is no scan, and where none of them could be read.
    """
    if not needs_looking_through(paths):
        return Found(read_scans([Wanted(path) for path in paths], report))
    from hemaview.gui.import_choice import opens_at_once

    told = 0.0

    def count(done: int, total: int) -> None:
        nonlocal told
        report(_LOOKING_SHARE * done / total if total else 0.0)
        # Thousands of small files go by in a second; the window need not draw each.
        if done == total or time.monotonic() - told > _TELL_EVERY_S:
            told = time.monotonic()
            counted(done, total)

    catalogue = look_through(paths, count)
    only = opens_at_once(catalogue)
    if only is None:
        return Found(None, catalogue, tuple(paths))
    scans = read_scans([Wanted.of(only)], lambda part: report(_LOOKING_SHARE + (1 - _LOOKING_SHARE) * part))
    return Found(scans, catalogue, tuple(paths))


def read_scans(wanted: Sequence[Wanted], report: Report) -> ScansRead:
    """Read every scan; one that cannot be read does not keep others out.

    ``report`` gets 0 to 1 and may raise ``Cancelled``. Raises ``ScanError`` when nothing could be read.
    """
    scans: list[ReadScan] = []
    problems: list[str] = []
    for number, one in enumerate(wanted):

        def part(fraction: float, number: int = number) -> None:
            report((number + fraction) / len(wanted))

        try:
            scans.append(_read_one(one, part))
        except ScanError as error:
            problems.append(str(error))
    if not scans and problems:
        raise ScanError(problems[0])
    return ScansRead(tuple(scans), tuple(problems))


def needs_looking_through(paths: Sequence[Path]) -> bool:
    """Whether ``paths`` may hold more scans than there are paths: folders, zips, a DICOMDIR, several DICOM files.

    One DICOM file names its series and other files are one scan each, so that there is nothing to choose.
    """
    from hemaview.imaging.reading.files import read_start
    from hemaview.imaging.reading.sources import looks_like_dicom

    for path in paths:
        if path.is_dir():
            return True
        try:
            start = read_start(path, 132)
        except ScanError:
            continue
        if start[:2] == b"PK" or (looks_like_dicom(start) and (len(paths) > 1 or _is_directory(path))):
            return True
    return False


def look_through(paths: Sequence[Path], counted: Counted) -> Catalogue:
    """What there is below ``paths``; ``ScanError`` where there is no scan at all."""
    from hemaview.gui.import_words import left_out_text
    from hemaview.imaging.catalogue import ScanIndex, scan_paths

    found = scan_paths(paths, index=ScanIndex(), progress=counted)
    if not found.patients:
        where = f"'{paths[0].name}' holds" if len(paths) == 1 else "These files hold"
        why = " ".join(part for part in (left_out_text(found), *found.notes[:1]) if part)
        raise ScanError(f"{where} no scan; choose the folder that holds the pictures. {why}".strip())
    return found


def _is_directory(path: Path) -> bool:
    from hemaview.imaging.reading.dicom.finding import DICOMDIR_CLASS
    from hemaview.imaging.reading.dicom.header import read_instance
    from hemaview.imaging.reading.sources import Source

    instance = read_instance(Source(path.name, path))
    return instance is not None and instance.sop_class == DICOMDIR_CLASS


def _read_one(wanted: Wanted, report: Report) -> ReadScan:
    from hemaview.imaging.reading import read_scan

    # The fingerprint takes the last twentieth.
    volume = read_scan(wanted.path, series_uid=wanted.series_uid, progress=lambda fraction: report(0.95 * fraction))
    scan_looks(volume)
    return ReadScan(wanted.path, wanted.series_uid, volume, fingerprint(volume))
