"""Reading a reopened case's scans again from where they were, and noticing when they are not the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hemaview.case.records import fingerprint
from hemaview.case.scan_entry import ScanEntry
from hemaview.errors import HemaviewError


def load_entry(entry: ScanEntry, progress: Callable[[float], None] | None = None) -> ScanEntry:
    """The entry with its volume, or with the ``problem`` that keeps it away; never raises for a bad file."""
    from hemaview.imaging.reading import read_scan

    if not entry.path.exists():
        return replace(
            entry, volume=None, problem=f"The scan {entry.name} is no longer at {entry.path}; show where it is."
        )
    try:
        volume = read_scan(entry.path, series_uid=entry.series_uid, progress=progress)
    except HemaviewError as error:
        return replace(entry, volume=None, problem=f"The scan {entry.name} cannot be read again: {error}")
    # A mask shown on other pixels than those it was drawn on would be a wrong measurement that looks right.
    if fingerprint(volume) != entry.digest:
        return replace(
            entry,
            volume=None,
            problem=f"The file {entry.path} is not the scan {entry.name} any more; show where that scan is now.",
        )
    return entry.with_volume(volume)
