"""``hemaview segment``: one scan, one prompt, results on disk."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hemaview.commands.exit_codes import EXIT_CODES, ExitCode
from hemaview.commands.parser import Parser, shield_negative_numbers
from hemaview.commands.prompt import POINTS_HELP, add_prompt_options, check_prompt_options, read_prompt
from hemaview.commands.sequence_option import add_sequence_option, notes_on_kind, taken_for
from hemaview.commands.terminal import Progress, interrupt_cancels, say

if TYPE_CHECKING:
    from hemaview.segmentation import Segmenter
    from hemaview.volumetry import Reading

_HELP = f"""writes into --out DIR:
  mask.nii.gz         the mask on the scan's grid
  volumes.csv         direct, Tada (ABC/2) and corrected volume
  haematoma.stl       closed surface in LPS millimetres for printing
  segmentation.json   box, model with its SHA-256, readings, confidence, notes

When nothing is found, an empty mask is written, no surface, and the exit code is 4.

examples:
  hemaview segment scan.nii.gz --box -51 8.5 22 -18 44 61 --out result
  hemaview segment dicom_folder --box-voxels 120 88 14 171 140 23 --out result --json
  hemaview segment scan.nii.gz --box -51 8.5 22 -18 44 61 --point -30 20 40 --point -48 40 30 - --out result
  hemaview segment scan.nii.gz --slice-box 14 120 88 171 140 --slice-box 20 130 90 160 130 --out result

{POINTS_HELP}

{EXIT_CODES}
Research use, not a medical device."""


def run(given: list[str]) -> int:
    """Segment one scan from a prompt and write the results."""
    parser = Parser(
        "hemaview segment", "Segment one haematoma of a scan from a box, several boxes, slices or points.", _HELP
    )
    parser.add_argument("scan", type=Path, metavar="SCAN", help="NIfTI, NRRD, MetaImage, DICOM file, folder or .zip")
    add_prompt_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--engine", metavar="NAME", help="which model (default: compact); see 'hemaview models'")
    parser.add_argument(
        "--adapter", metavar="NAME", help="adapter for that model, by name or file; see 'hemaview models adapters'"
    )
    parser.add_argument("--series", metavar="UID", help="which series, where a DICOM folder holds several")
    add_sequence_option(parser)
    parser.add_argument("--no-stl", action="store_true", help="write no surface")
    parser.add_argument("--json", action="store_true", help="print segmentation.json instead of a table")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no notes on stderr")
    options = parser.parse_args(shield_negative_numbers(given))
    check_prompt_options(parser, options)

    from hemaview.case.headless import make_folder, segment_scan, write_results
    from hemaview.imaging.reading import read_scan

    make_folder(options.out)
    progress = Progress(shown=not options.quiet and sys.stderr.isatty())
    try:
        volume = read_scan(options.scan, series_uid=options.series, progress=progress.fraction("Reading the scan"))
        volume = taken_for(volume, options.sequence)
        prompt = read_prompt(options, volume.geometry)
        progress.show("Loading the model", 0, 1)
        engine = _engine(options.engine, options.adapter)
        with interrupt_cancels() as token:
            snapshot = segment_scan(
                options.scan,
                volume,
                prompt,
                engine,
                series_uid=options.series,
                on_slice=lambda result: progress.show("Segmenting slices", result.done, result.total),
                cancel=token,
            )
            token.raise_if_cancelled()
            progress.show("Measuring", 0, 1)
            results = write_results(snapshot, options.out, drawn=prompt, stl=not options.no_stl)
    finally:
        progress.close()
    made = snapshot.segmentation
    if not options.quiet:
        for note in (*notes_on_kind(volume), *volume.notes, *(made.notes if made else ()), *results.mask_notes):
            say(f"note: {note}")
    if options.json:
        print(json.dumps(results.document, indent=2, ensure_ascii=False))
    else:
        print(_table(snapshot.readings()))
        print(f"Wrote {', '.join(file.name for file in results.files)} to {options.out}")
    if snapshot.is_empty:
        say(
            "Nothing was found in the box; draw it closer round the haematoma."
            if prompt.boxes
            else "Nothing was found; draw a box round the haematoma."
        )
        return ExitCode.PROMPT
    if results.refusal is not None:
        say(results.refusal)
        return ExitCode.EXPORT
    return ExitCode.OK


def _engine(name: str | None, adapter: str | None) -> Segmenter:
    from hemaview.segmentation.adapter_store import AdapterStore, look_at
    from hemaview.segmentation.registry import DEFAULT_ENGINE, load_engine

    if adapter is None:
        return load_engine(name or DEFAULT_ENGINE)
    path = AdapterStore().find(adapter)
    card = look_at(path).card
    # An adapter says which model it belongs to; a model named beside it is checked when they are joined.
    return load_engine(name or (card.base_name if card else DEFAULT_ENGINE), adapter=path)


def _table(readings: Sequence[Reading]) -> str:
    """One line per reading: method, mL, 90 % interval, warnings or the reason why there is none."""
    lines = []
    for reading in readings:
        if reading.value_ml is None:
            lines.append(f"{reading.kind:<10}{'-':>8}     {reading.reason}")
            continue
        low_high = reading.interval_ml
        interval = "" if low_high is None else f"  ({low_high[0]:.1f} to {low_high[1]:.1f})"
        lines.append(f"{reading.kind:<10}{reading.value_ml:8.2f} mL{interval}")
        lines += [f"{'':10}  {warning}" for warning in (*reading.notes, *reading.warnings)]
    return "\n".join(lines)
