"""``hemaview prepare``: optional pre-processing of a scan, written as NIfTI on its own grid."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hemaview.commands.exit_codes import EXIT_CODES, ExitCode
from hemaview.commands.parser import Parser
from hemaview.commands.terminal import Progress, interrupt_cancels, say

if TYPE_CHECKING:
    from hemaview.imaging import Volume
    from hemaview.imaging.preprocessing import Step

_HELP = f"""steps, carried out in this order whatever the order they are named in:
  n4          even out the brightness of an MR scan          n4:iterations=50
  denoise     reduce noise, keep edges                       denoise:method=curvature,iterations=5 or method=nlm
  brain       set everything but the brain to background     brain:method=shape or method=deepbet
  normalise   count values from the brain's centre           normalise:method=robust or method=z
  clahe       local contrast, for looking only               clahe:clip=0.01,tiles=8

The result lies on the scan's own grid, and is for looking and for other programs: measure on the scan itself.
With --box, the haematoma takes no part in what the steps estimate and is never cut away.
With --align-to, OUT is the scan moved onto the other scan of the same head and laid on that scan's grid, and the move
is printed as JSON; a move that is not plausible is refused.

examples:
  hemaview prepare flair.nii.gz out.nii.gz --steps n4 denoise --box-voxels 120 88 14 171 140 23
  hemaview prepare ct_folder out.nii.gz --steps denoise:method=nlm brain
  hemaview prepare flair.nii.gz moved.nii.gz --align-to t1.nii.gz

{EXIT_CODES}
Research use, not a medical device."""


def run(given: list[str]) -> int:
    """Prepare one scan and write it."""
    parser = Parser("hemaview prepare", "Prepare a scan for looking or for a model.", _HELP)
    parser.add_argument("scan", type=Path, metavar="SCAN", help="NIfTI, NRRD, MetaImage, DICOM file, folder or .zip")
    parser.add_argument("out", type=Path, metavar="OUT", help="the NIfTI file to write, .nii.gz or .nii")
    parser.add_argument("--steps", nargs="+", default=[], metavar="STEP", help="which steps, with settings if any")
    parser.add_argument(
        "--box-voxels",
        nargs=6,
        type=int,
        action="append",
        default=[],
        metavar=("I0", "J0", "K0", "I1", "J1", "K1"),
        help="first and last voxel of a box round the haematoma; may be repeated",
    )
    parser.add_argument("--align-to", type=Path, metavar="SCAN", help="move it onto this scan of the same head")
    parser.add_argument("--series", metavar="UID", help="which series, where a DICOM folder holds several")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no notes on stderr")
    options = parser.parse_args(given)
    if not options.steps and options.align_to is None:
        parser.error("name at least one step after --steps, or a scan after --align-to")
    if not options.out.name.lower().endswith((".nii.gz", ".nii")):
        parser.error("OUT must end in .nii.gz or .nii")
    warnings.simplefilter("ignore")  # sentences of libraries, some with values from the file's header
    steps = tuple(_step(text) for text in options.steps)
    progress = Progress(shown=not options.quiet and sys.stderr.isatty())
    try:
        return _prepare(options, steps, progress)
    finally:
        progress.close()


def _prepare(options: argparse.Namespace, steps: tuple[Step, ...], progress: Progress) -> int:
    from hemaview.case.preparation import Preparation, prepare
    from hemaview.imaging.reading import read_scan, write_volume

    volume = read_scan(options.scan, series_uid=options.series, progress=progress.fraction("Reading the scan"))
    boxes = tuple(_box(numbers, volume) for numbers in options.box_voxels)
    with interrupt_cancels() as token:

        def report(fraction: float) -> None:
            token.raise_if_cancelled()
            progress.show("Preparing", round(100 * fraction), 100)

        prepared = prepare(volume, Preparation(steps, boxes), report)
        result = prepared.display
        if options.align_to is not None:
            result = _aligned(options.align_to, result, report)
        token.raise_if_cancelled()
    notes = write_volume(result, options.out)
    progress.close()
    if not options.quiet:
        for note in (*volume.notes, *prepared.notes, *notes):
            say(f"note: {note}")
    print(f"Wrote {options.out}" + (f" after {', '.join(step.name for step in prepared.steps)}" if steps else ""))
    return ExitCode.OK


def _aligned(onto: Path, volume: Volume, report: Any) -> Volume:
    """``volume`` moved onto the scan at ``onto`` and laid on its grid; prints the move."""
    import json
    from dataclasses import asdict, replace

    from hemaview.imaging.preprocessing import aligned, register_rigid
    from hemaview.imaging.reading import read_scan

    fixed = read_scan(onto)
    move = register_rigid(fixed, volume, progress=report)
    print(json.dumps(asdict(move)))
    return replace(volume, array=aligned(volume, move, fixed.geometry), geometry=fixed.geometry)


def _step(text: str) -> Step:
    """A step as "name" or "name:setting=value,setting=value"."""
    from hemaview.imaging.preprocessing import step_from_json

    name, _, settings = text.partition(":")
    data: dict[str, Any] = {"step": name}
    for setting in filter(None, settings.split(",")):
        key, _, value = setting.partition("=")
        data[key.strip()] = _value(value.strip())
    return step_from_json(data)


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _box(numbers: list[int], volume: Volume) -> tuple[slice, slice, slice]:
    from hemaview.errors import PromptError

    first, last = numbers[:3], numbers[3:]
    if any(a < 0 or b < a or b >= n for a, b, n in zip(first, last, volume.geometry.size, strict=True)):
        raise PromptError("The box does not lie within the scan; give its first and last voxel as I J K I J K.")
    i, j, k = (slice(a, b + 1) for a, b in zip(first, last, strict=True))
    return k, j, i
