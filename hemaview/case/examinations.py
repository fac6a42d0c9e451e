"""How the scans of a case belong together: what to call them, which day they are from, whose they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from hemaview.case.scan_entry import ScanEntry
from hemaview.imaging import Geometry, Volume, acquisition_plane
from hemaview.imaging.sequence import Sequence as ScanKind

_NEARLY_CUBIC = 1.5


def scan_labels(scans: Sequence[ScanEntry]) -> Mapping[str, str]:
    """What to call each scan, by id: "FLAIR axial", "T1 3D, day 2", "CT axial (2)"; no file name, no patient data.

    The day is said where the case has scans of several days, and a number in brackets where all else is equal.
    """
    several_days = len({scan.day for scan in scans if scan.day is not None}) > 1
    plain = {scan.id: _label(scan, with_day=several_days) for scan in scans}
    count = Counter(plain.values())
    met: Counter[str] = Counter()
    labels = {}
    for scan_id, label in plain.items():
        met[label] += 1
        labels[scan_id] = f"{label} ({met[label]})" if count[label] > 1 else label
    return labels


def day_text(day: int) -> str:
    """For example "day 0", "day +3", "day −1"."""
    return f"day {day:+d}".replace("-", "−") if day else "day 0"


def study_day(volume: Volume, scans: Iterable[ScanEntry]) -> int | None:
    """Days between the study of the case's first dated scan and that of ``volume``; None where that cannot be told."""
    day = volume.study.day
    if day is None:
        return None
    dated = [scan for scan in scans if scan.day is not None]
    for scan in dated:
        other = None if scan.volume is None else scan.volume.study.day
        if other is not None and scan.day is not None:
            return scan.day + (day - other).days
    return None if dated else 0


def is_other_patient(entry: ScanEntry, scans: Iterable[ScanEntry]) -> bool:
    """Whether the scan's header names another patient than the first scan that names one."""
    own = _patient(entry)
    first = next((found for scan in scans if (found := _patient(scan))), "")
    return bool(own and first and own != first)


def _label(scan: ScanEntry, *, with_day: bool) -> str:
    kind = {ScanKind.UNKNOWN: "Scan", ScanKind.MR: "MR"}.get(scan.sequence, str(scan.sequence))
    day = f", {day_text(scan.day)}" if with_day and scan.day is not None else ""
    return f"{kind} {_plane(scan.geometry)}{day}"


def _plane(geometry: Geometry) -> str:
    """The plane of the slices, or "3D" where voxels are about as high as wide."""
    if max(geometry.spacing) < _NEARLY_CUBIC * min(geometry.spacing):
        return "3D"
    return str(acquisition_plane(geometry))


def _patient(entry: ScanEntry) -> str:
    return "" if entry.volume is None else entry.volume.study.patient
