"""The ``hemaview`` command: the window, or the same work without one.

Nothing heavy is imported before it is known to be needed, so that help and version answer at once.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from hemaview import __version__
from hemaview.errors import (
    Cancelled,
    CaseError,
    ExportError,
    HemaviewError,
    ModelError,
    PromptError,
    ScanError,
)

if TYPE_CHECKING:
    from hemaview.imaging import Geometry
    from hemaview.segmentation import BoxPrompt, CancelToken
    from hemaview.volumetry import Reading


class ExitCode(IntEnum):
    """What a script can tell from the way the command ended."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    SCAN = 3
    PROMPT = 4
    MODEL = 5
    EXPORT = 6
    CANCELLED = 130


_CODES: dict[type[HemaviewError], ExitCode] = {
    ScanError: ExitCode.SCAN,
    PromptError: ExitCode.PROMPT,
    ModelError: ExitCode.MODEL,
    ExportError: ExitCode.EXPORT,
    CaseError: ExitCode.EXPORT,
    Cancelled: ExitCode.CANCELLED,
}

_EXIT_CODES = """exit codes:
  0    done
  1    unexpected error, or no screen for the window
  2    wrong use of the command
  3    the scan cannot be read
  4    the box cannot be used, or nothing was found in it
  5    the model is missing, altered or unknown
  6    a result could not be written, or no printable surface exists
  130  cancelled (Ctrl+C)
"""

_WINDOW_HELP = f"""commands:
  demo      show the sample phantom, segmented; without a screen write hemaview-demo/
  segment   segment one scan in one box and write mask, volumes and surface
  models    list the models and check their files
  'hemaview COMMAND --help' tells more. A file called like a command: hemaview ./demo

{_EXIT_CODES}
Research use, not a medical device."""

_SEGMENT_HELP = f"""writes into --out DIR:
  mask.nii.gz         the mask on the scan's grid
  volumes.csv         direct, Tada (ABC/2) and corrected volume
  haematoma.stl       closed surface in LPS millimetres for printing
  segmentation.json   box, model with its SHA-256, readings, confidence, notes

When nothing is found in the box, an empty mask is written, no surface, and the exit code is 4.

examples:
  hemaview segment scan.nii.gz --box -51 8.5 22 -18 44 61 --out result
  hemaview segment dicom_folder --box-voxels 120 88 14 171 140 23 --out result --json

{_EXIT_CODES}
Research use, not a medical device."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``arguments`` (default: the process's own) and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except HemaviewError as error:
        _say(str(error))
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.UNEXPECTED)
    except KeyboardInterrupt:
        _say(str(Cancelled()))
        return ExitCode.CANCELLED
    except BrokenPipeError:
        # Whoever read our output has stopped; Python would complain once more while closing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except MemoryError:
        _say("There is not enough memory for this scan; close other programs and try again.")
        return ExitCode.UNEXPECTED
    except Exception as error:
        from hemaview.crash_report import write_crash_report

        where = write_crash_report(error)
        _say(f"An unexpected error ({type(error).__name__}) stopped the command; {where}.")
        return ExitCode.UNEXPECTED


def _run(given: list[str]) -> int:
    commands = {"demo": _demo, "segment": _segment, "models": _models}
    if given and given[0] in commands:
        return commands[given[0]](given[1:])
    return _window(given)


class _Parser(argparse.ArgumentParser):
    """argparse with one-sentence errors."""

    def __init__(self, program: str, summary: str, epilog: str) -> None:
        super().__init__(
            prog=program,
            description=summary,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments and end with exit code 2."""
        _say(f"{message[:1].upper()}{message[1:]}; see '{self.prog} --help'.")
        raise SystemExit(ExitCode.USAGE)


def _window(given: list[str]) -> int:
    parser = _Parser("hemaview", "Open the window, with the given scans or case.", _WINDOW_HELP)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="scans, DICOM folders or one case folder")
    parser.add_argument("--version", action="version", version=f"HEMAVIEW {__version__}")
    options = parser.parse_args(given)
    for file in options.files:
        if not file.exists():
            known = "" if file.parent != Path() else ", and there is no such command"
            raise ScanError(f"There is no file or folder {file}{known}; check its name.")
    with _window_libraries():
        from hemaview.gui.app import run
    return run([file.absolute() for file in options.files])


def _demo(given: list[str]) -> int:
    parser = _Parser(
        "hemaview demo",
        "Show the sample phantom with a box drawn and segmented. Without a screen, or with --out, the same window "
        "works unseen and leaves its picture, the mask, the volumes and the surface in a folder.",
        _EXIT_CODES,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the results there (default: hemaview-demo)")
    options = parser.parse_args(given)
    with _window_libraries():
        from hemaview.demo import run_demo
    return run_demo(options.out)


def _segment(given: list[str]) -> int:
    parser = _Parser("hemaview segment", "Segment one scan in one box.", _SEGMENT_HELP)
    parser.add_argument("scan", type=Path, metavar="SCAN", help="NIfTI, NRRD, MetaImage, DICOM file, folder or .zip")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--box",
        nargs=6,
        type=_finite,
        metavar=("X0", "Y0", "Z0", "X1", "Y1", "Z1"),
        help="two opposite corners in LPS mm; the box lies along the scan's own grid",
    )
    place.add_argument(
        "--box-voxels",
        nargs=6,
        type=_finite,
        metavar=("I0", "J0", "K0", "I1", "J1", "K1"),
        help="first and last voxel (column, row, slice), both inside, counted from 0",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--engine", metavar="NAME", help="which model (default: compact); see 'hemaview models'")
    parser.add_argument("--series", metavar="UID", help="which series, where a DICOM folder holds several")
    parser.add_argument("--no-stl", action="store_true", help="write no surface")
    parser.add_argument("--json", action="store_true", help="print segmentation.json instead of a table")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no notes on stderr")
    options = parser.parse_args(_shield_negative_numbers(given))
    warnings.simplefilter("ignore")  # sentences of libraries, some with values from the file's header

    from hemaview.case.headless import make_folder, segment_scan, write_results
    from hemaview.imaging.reading import read_scan
    from hemaview.segmentation.registry import DEFAULT_ENGINE, load_engine

    make_folder(options.out)
    progress = _Progress(shown=not options.quiet and sys.stderr.isatty())
    try:
        volume = read_scan(options.scan, series_uid=options.series, progress=progress.fraction("Reading the scan"))
        box = _box(options, volume.geometry)
        box.clipped_bounds(volume.geometry)
        progress.show("Loading the model", 0, 1)
        engine = load_engine(options.engine or DEFAULT_ENGINE)
        with _interrupt_cancels() as token:
            snapshot = segment_scan(
                options.scan,
                volume,
                box,
                engine,
                series_uid=options.series,
                on_slice=lambda result: progress.show("Segmenting slices", result.done, result.total),
                cancel=token,
            )
            token.raise_if_cancelled()
            progress.show("Measuring", 0, 1)
            results = write_results(snapshot, options.out, drawn=box, stl=not options.no_stl)
    finally:
        progress.close()
    made = snapshot.segmentation
    if not options.quiet:
        for note in (*volume.notes, *(made.notes if made else ())):
            _say(f"note: {note}")
    if options.json:
        print(json.dumps(results.document, indent=2, ensure_ascii=False))
    else:
        print(_table(snapshot.readings()))
        print(f"Wrote {', '.join(file.name for file in results.files)} to {options.out}")
    if snapshot.is_empty:
        _say("Nothing was found in the box; draw it closer round the haematoma.")
        return ExitCode.PROMPT
    if results.refusal is not None:
        _say(results.refusal)
        return ExitCode.EXPORT
    return ExitCode.OK


def _box(options: argparse.Namespace, geometry: Geometry) -> BoxPrompt:
    from hemaview.segmentation import BoxPrompt

    if options.box:
        ax, ay, az, bx, by, bz = options.box
        return BoxPrompt((ax, ay, az), (bx, by, bz))
    first, last = options.box_voxels[:3], options.box_voxels[3:]
    lower = [min(pair) - 0.5 for pair in zip(first, last, strict=True)]
    upper = [max(pair) + 0.5 for pair in zip(first, last, strict=True)]
    return BoxPrompt.from_index_bounds(geometry, lower, upper)


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


def _models(given: list[str]) -> int:
    parser = _Parser("hemaview models", "List the models and check their files against the registry.", _EXIT_CODES)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(given)
    from hemaview.segmentation.registry import model_records

    sound = True
    listed = []
    for record in model_records():
        problems = []
        for file in record.files:
            try:
                record.read_file(file.role)
            except ModelError as error:
                problems.append(str(error))
        sound = sound and not problems
        listed.append(
            {
                "name": record.name,
                "title": record.title,
                "sha256": record.fingerprint,
                "licence": record.licence,
                "origin": record.origin,
                "trained_on": record.trained_on,
                "card": str(record.card_path),
                "problems": problems,
            }
        )
    if options.json:
        print(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        for entry in listed:
            print(f"{entry['name']}: {entry['title']} ({'damaged' if entry['problems'] else 'files checked'})")
            for key in ("sha256", "licence", "origin", "trained_on", "card"):
                print(f"  {key.replace('_', ' '):<11}{entry[key]}")
    for entry in listed:
        for problem in entry["problems"]:
            _say(problem)
    return ExitCode.OK if sound else ExitCode.MODEL


class _Progress:
    """A bar on stderr, one per kind of work; nothing where nobody watches."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._label = ""
        self._bar: Any = None

    def show(self, label: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` parts of the work called ``label`` are finished."""
        if not self._shown:
            return
        if label != self._label:
            from tqdm import tqdm

            self.close()
            self._label = label
            self._bar = tqdm(
                total=total, desc=label, leave=False, file=sys.stderr, bar_format="{l_bar}{bar}| {elapsed}"
            )
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def fraction(self, label: str) -> Callable[[float], None]:
        """The same for work that counts from 0 to 1."""
        return lambda share: self.show(label, round(100 * share), 100)

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._label = None, ""


@contextmanager
def _interrupt_cancels() -> Iterator[CancelToken]:
    """While it lasts, the first Ctrl+C asks the engine to stop in good order; the second one stops everything."""
    from hemaview.segmentation import CancelToken

    token = CancelToken()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()

    if threading.current_thread() is not threading.main_thread():
        yield token
        return
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield token
    finally:
        signal.signal(signal.SIGINT, before)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text.strip()} is not a coordinate")
    return value


def _shield_negative_numbers(given: list[str]) -> list[str]:
    """Keep argparse from taking "-1e-3" or "-5." for an option: with a leading blank it is a value."""

    def shielded(text: str) -> str:
        if text.startswith("-"):
            try:
                float(text)
            except ValueError:
                return text
            return f" {text}"
        return text

    return [shielded(text) for text in given]


@contextmanager
def _window_libraries() -> Iterator[None]:
    """Turn a missing system library of the window into a sentence."""
    try:
        yield
    except ImportError as error:
        raise HemaviewError(
            f"The window cannot be loaded ({error}); install the system libraries that the README lists."
        ) from error


def _say(sentence: str) -> None:
    print(f"hemaview: {sentence}", file=sys.stderr)
