"""Which cases there are, told from the first lines of their journals."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hemaview.case.examinations import scan_labels
from hemaview.case.journal import parse_journal
from hemaview.case.opening import JOURNAL_NAME
from hemaview.case.scan_entry import ScanEntry, scan_from_record

_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class CaseSummary:
    """One line of the start page: folder, the first scan, made and last changed (with time zone).

    ``name`` is what the first scan's file is called, which may name the patient; ``label`` says what kind of scan it
    is and names nobody.
    """

    directory: Path
    name: str
    label: str
    created: datetime
    modified: datetime
    scans: tuple[Path, ...]


def default_case_root() -> Path:
    """Where the program keeps cases: ``HEMAVIEW_CASES`` or the user's data folder."""
    named = os.environ.get("HEMAVIEW_CASES")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_data_path("hemaview", appauthor=False)) / "cases"


def recent_cases(root: Path, limit: int = 20) -> tuple[CaseSummary, ...]:
    """The cases below ``root`` that hold a scan, last changed first; folders that are no case are passed over."""
    found: list[tuple[float, Path]] = []
    try:
        for directory in root.iterdir():
            try:
                found.append(((directory / JOURNAL_NAME).stat().st_mtime, directory))
            except OSError:
                continue
    except OSError:
        return ()
    summaries: list[CaseSummary] = []
    for changed, directory in sorted(found, reverse=True):
        summary = _summary(directory, changed)
        if summary is not None:
            summaries.append(summary)
        if len(summaries) == limit:
            break
    return tuple(summaries)


def _summary(directory: Path, changed: float) -> CaseSummary | None:
    try:
        with (directory / JOURNAL_NAME).open("rb") as file:
            records = parse_journal(file.read(_HEAD_BYTES)).records
    except OSError:
        return None
    scans = [record for record in records if record["type"] == "scan"]
    if not scans or records[0]["type"] != "case":
        return None
    return CaseSummary(
        directory=directory,
        name=str(scans[0]["name"]),
        label=_label(scan_from_record(scans[0])),
        created=datetime.fromisoformat(records[0]["created"]),
        modified=datetime.fromtimestamp(changed, UTC),
        scans=tuple(Path(scan["path"]) for scan in scans),
    )


def _label(scan: ScanEntry) -> str:
    """For example "FLAIR axial, 240 × 240 × 22"."""
    return f"{scan_labels([scan])[scan.id]}, {' × '.join(map(str, scan.geometry.size))}"
