"""``hemaview deidentify``: DICOM files without what says who the patient is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hemaview.commands.exit_codes import EXIT_CODES, ExitCode
from hemaview.commands.parser import Parser
from hemaview.commands.terminal import Progress, say

if TYPE_CHECKING:
    from hemaview.interchange.report import Report

_HELP = f"""What is done (DICOM PS3.15, Basic Application Level Confidentiality Profile):
  names, IDs, institutions, comments and private elements are removed, in nested sequences too; of the private
  elements only numbers stay that place or scale the pictures (b-value, scale slope, slices of a mosaic)
  patient, study, series and files are numbered; UIDs are replaced, the same one alike in every file
  dates and times are emptied, or with --dates shift each patient's dates move by one random number of days
  pixel data and geometry stay as they are; the headers of every written series are read again and compared

What is not done: text in the pictures is not painted over. Screen shots and pictures that say they show text are left
out unless --with-screenshots. Faces are not removed. Look at the files before you pass them on.

writes into DST, a new or empty folder:
  patient-1/study-1/series-1/00001.dcm and so on
  report.json  what was written and left out, without patient data

{EXIT_CODES}"""


def run(given: list[str]) -> int:
    """De-identify the DICOM pictures of a folder, zip or file into a new folder."""
    parser = Parser(
        "hemaview deidentify", "Write DICOM pictures without what says who the patient is into a new folder.", _HELP
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="DICOM folder, DICOMDIR, zip or file")
    parser.add_argument("destination", type=Path, metavar="DST", help="new or empty folder")
    parser.add_argument("--series", metavar="UID", help="only this series; 'hemaview list' shows the UIDs")
    parser.add_argument(
        "--dates", choices=["remove", "shift"], default="remove", help="empty dates (default), or move them"
    )
    parser.add_argument(
        "--with-screenshots", action="store_true", help="also write pictures that may show the patient's name"
    )
    parser.add_argument("--json", action="store_true", help="print report.json instead of sentences")
    options = parser.parse_args(given)
    from hemaview.interchange.dates import Dates
    from hemaview.interchange.deidentify import deidentify

    progress = Progress(shown=sys.stderr.isatty())
    try:
        report = deidentify(
            [options.source],
            options.destination,
            series_uid=options.series,
            dates=Dates(options.dates),
            with_screenshots=options.with_screenshots,
            progress=lambda done, total: progress.show("De-identifying", done, total) if total else None,
        )
    finally:
        progress.close()
    if options.json:
        print(json.dumps(report.document(), indent=2, ensure_ascii=False))
    else:
        _tell(report, options.destination)
    for warning in report.warnings:
        say(f"note: {warning}")
    return ExitCode.OK


def _tell(report: Report, folder: Path) -> None:
    for series in report.series:
        size = " x ".join(map(str, series.size)) if series.size else "no grid"
        opens = "opens as before" if series.opens_as_before else "opens differently"
        print(f"{series.folder}: {series.modality}, {series.files} files, {size}, {opens}")
    for reason, count in report.left_out.items():
        print(f"left out: {count} {'file' if count == 1 else 'files'}, each of which {reason}")
    print(f"Wrote {report.files} files of {report.patients} {_patients(report.patients)} to {folder}")


def _patients(count: int) -> str:
    return "patient" if count == 1 else "patients"
