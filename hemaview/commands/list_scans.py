"""``hemaview list``: what a folder, CD or zip holds, as the window's browser shows it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hemaview.commands.exit_codes import EXIT_CODES, ExitCode
from hemaview.commands.parser import Parser
from hemaview.commands.terminal import Progress, say

if TYPE_CHECKING:
    from hemaview.imaging.catalogue import Catalogue, Patient, SeriesItem, Study

_HELP = f"""A series is opened with the path and the UID of its line:
  hemaview segment PATH --series UID --box ... --out result

Only headers are read. They are remembered in the user's cache folder, without names, so that the next time only new
and changed files are read.

examples:
  hemaview list /media/cdrom
  hemaview list scans.zip other_folder --json

{EXIT_CODES}"""


def run(given: list[str]) -> int:
    """List patients, studies and series below the given paths; exit code 3 when there is none."""
    parser = Parser("hemaview list", "List the patients, studies and series in folders, CDs, zips and files.", _HELP)
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="folder, DICOMDIR, zip or file")
    parser.add_argument("--names", action="store_true", help="read the patients' names and show them")
    parser.add_argument("--no-index", action="store_true", help="remember nothing and use nothing remembered")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(given)
    from hemaview.imaging.catalogue import ScanIndex, scan_paths

    progress = Progress(shown=sys.stderr.isatty())
    try:
        found = scan_paths(
            options.paths,
            index=None if options.no_index else ScanIndex(),
            progress=lambda done, total: progress.show("Reading headers", done, total) if total else None,
        )
    finally:
        progress.close()
    titles = _titles(found, names=options.names)
    if options.json:
        print(json.dumps(_document(found, titles), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(found, titles)))
    for note in found.notes:
        say(note)
    if found.patients:
        return ExitCode.OK
    say("No scan was found there; choose the folder that holds the scans.")
    return ExitCode.SCAN


def _titles(found: Catalogue, *, names: bool) -> list[str]:
    """What each patient is called: a number, or on request the name in the files."""
    from hemaview.imaging.catalogue import patient_title

    return [
        (patient_title(patient) if names else "") or (f"Patient {number}" if patient.key else "No patient named")
        for number, patient in enumerate(found.patients, start=1)
    ]


def _lines(found: Catalogue, titles: list[str]) -> Iterator[str]:
    for patient, title in zip(found.patients, titles, strict=True):
        yield title
        for study in patient.studies:
            yield f"  {_study_title(study)}"
            for item in study.series:
                yield from _series_lines(item)
    for left in found.left_out:
        examples = ", ".join(left.examples) + (", ..." if left.count > len(left.examples) else "")
        yield f"left out: {left.count} {'file' if left.count == 1 else 'files'} ({left.reason}): {examples}"


def _study_title(study: Study) -> str:
    if study.folder is not None:
        return str(study.folder)
    date = f"{study.date[:4]}-{study.date[4:6]}-{study.date[6:]}" if study.date else "without date"
    return f"Study {date}" + (f", {study.description}" if study.description else "")


def _series_lines(item: SeriesItem) -> Iterator[str]:
    summary = item.summary
    size = " x ".join(map(str, summary.size)) if summary.size else ""
    spacing = " x ".join(f"{step:.4g}" for step in summary.spacing) + " mm" if summary.spacing else ""
    facts = (summary.label, summary.sequence, summary.plane, size, spacing, f"{item.files} files")
    yield f"    [{summary.verdict}] {'; '.join(fact for fact in facts if fact)}"
    if summary.reason:
        yield f"      because {summary.reason}"
    for note in summary.notes:
        yield f"      {note}"
    yield f"      {item.path}" + (f"  {item.series_uid}" if item.series_uid else "")


def _document(found: Catalogue, titles: list[str]) -> dict[str, Any]:
    return {
        "patients": [_patient(*pair) for pair in zip(found.patients, titles, strict=True)],
        "left_out": [
            {"reason": left.reason, "count": left.count, "examples": list(left.examples)} for left in found.left_out
        ],
        "notes": list(found.notes),
        "files": found.files,
    }


def _patient(patient: Patient, title: str) -> dict[str, Any]:
    return {
        "title": title,
        "key": patient.key,
        "studies": [
            {
                "key": study.key,
                "date": study.date,
                "description": study.description,
                "folder": str(study.folder) if study.folder else None,
                "series": [_series(item) for item in study.series],
            }
            for study in patient.studies
        ],
    }


def _series(item: SeriesItem) -> dict[str, Any]:
    summary = item.summary
    return {
        "path": str(item.path),
        "series_uid": item.series_uid,
        "label": summary.label,
        "modality": summary.modality,
        "sequence": summary.sequence,
        "plane": summary.plane,
        "size": summary.size,
        "spacing_mm": summary.spacing,
        "pictures": summary.images,
        "files": item.files,
        "verdict": str(summary.verdict),
        "reason": summary.reason,
        "notes": list(summary.notes),
    }
