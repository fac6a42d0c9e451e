"""``hemaview train``: fit a model to own scans with masks, and see on held-out scans whether it became better."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hemaview.commands.exit_codes import EXIT_CODES, ExitCode
from hemaview.commands.parser import Parser, finite
from hemaview.commands.terminal import interrupt_cancels, say

if TYPE_CHECKING:
    from hemaview.adaptation.datasets import LabelledScan
    from hemaview.adaptation.learning.run import Event, Options, Result
    from hemaview.segmentation import CancelToken

_LIBRARY_DEFAULT = Path()
_METHODS = (
    "lora",
    "conv_lora",
    "lora+conv_lora",
    "conv_lora+adabn",
    "adabn",
    "decoder",
    "refinement",
    "full",
)
_LABELS = {
    "reading": "Reading scans",
    "before": "Held-out scans before",
    "training": "Learning",
    "after": "Held-out scans after",
}
_HELP = f"""A quarter of the patients is held out and only measures; a few others decide when to stop. No patient is in
two parts. The verdict compares the whole engine before and after on the held-out scans, from one 3D box each. An
adapter that is worse says so, and the window does not offer it.

methods:
  lora             low-rank corrections of the attention layers (default)
  conv_lora        low-rank corrections of the convolutions
  lora+conv_lora   both
  adabn            batch statistics of the new scans; learns nothing from the masks, takes seconds
  conv_lora+adabn  the statistics first, then the corrections
  decoder          the whole mask decoder; for MedSAM on a CPU the only quick one
  refinement       a small new layer behind the mask decoder
  full             every weight; writes a model of its own instead of an adapter (compact only)

how long: the compact model needs some 5 to 15 minutes on two cores. MedSAM's encoder needs a graphics card: on one
core a step of lora takes 47 seconds (5.6 at half the resolution), so it is refused there; decoder and refinement
learn from embeddings that are computed once, a dozen seconds per slice.

writes into --out DIR:
  adapter.safetensors  the adapter with its card: data, patients, figures, verdict
  cases.json           Dice and volume of every held-out scan before and after, and the verdict
  curves.png           loss, validation Dice and the held-out scans as a picture
  metrics.csv          the same figures as a table
  config.json, splits.json, checkpoint-*.pt

A run that was stopped (Ctrl+C) or killed goes on where it was: give the same command again. While it lasts, pieces of
the scans lie in DIR/prepared; they are deleted at the end. Processes on several machines need one shared DIR.

table: a CSV file whose first line names image, mask, patient, sequence (and case, if a patient has several scans of
one sequence); file names as seen from the table's folder.

examples:
  hemaview train --library --out run1 --minutes 10
  hemaview train --table cohort.csv --method conv_lora+adabn --out run2
  hemaview train --brats BraTS2021 --region core --steps 1000 --out run3
  torchrun --nproc-per-node 4 -m hemaview train --table cohort.csv --base medsam --out run4

{EXIT_CODES}
Research use, not a medical device."""


def run(given: list[str]) -> int:
    """Fit a model; prints the verdict."""
    options = _parser().parse_args(given)
    if options.steps is None and options.minutes is None:
        options.steps = 400

    from hemaview.adaptation.learning.processes import make_fabric
    from hemaview.adaptation.learning.run import Run

    scans = _scans(options)
    fabric = make_fabric(options.accelerator)
    shown: _Lines | _Bars = _Lines() if options.progress_json else _Bars(shown=not options.quiet)
    try:
        with _asked_to_stop() as token:
            result = Run(fabric, scans, _options(options), report=shown.show, stop=lambda: token.cancelled).execute()
    finally:
        shown.close()
    if result is not None:
        _tell(result, options)
    return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = Parser("hemaview train", "Fit a model to own scans with masks.", _HELP)
    source = parser.add_argument_group("scans with masks (one of these)").add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--library",
        nargs="?",
        type=Path,
        const=_LIBRARY_DEFAULT,
        metavar="DIR",
        help="cases of the window whose masks were corrected or marked as checked (default folder: the window's own)",
    )
    source.add_argument("--table", type=Path, metavar="CSV", help="a table of scans and masks")
    source.add_argument("--brats", type=Path, metavar="DIR", help="case folders of BraTS, 2013 to 2024")
    source.add_argument(
        "--synthetic", type=int, metavar="N", help="N made-up patients of a made-up scanner, to try the command"
    )
    choose = parser.add_argument_group("which of them")
    choose.add_argument("--cases", metavar="A,B,...", help="with --library: only these case folders")
    choose.add_argument(
        "--region",
        choices=("whole", "core", "enhancing"),
        default="whole",
        help="with --brats: whole tumour with oedema (default), core without oedema, or its enhancing part",
    )
    choose.add_argument("--sequence", metavar="S,...", help="with --brats: flair, t1, t1c, t2 (default: the region's)")
    choose.add_argument("--ct", action="store_true", help="with --synthetic: CT instead of MR")
    choose.add_argument("--fold", type=_fold, metavar="N/K", help="hold out the N-th of K groups of patients")
    choose.add_argument("--splits", type=Path, metavar="FILE", help="use the splits.json of another run")
    learn = parser.add_argument_group("what learns, and how long")
    learn.add_argument("--base", default="compact", metavar="NAME", help="which model (default: compact)")
    learn.add_argument(
        "--part",
        metavar="NAME,...",
        help="which of its networks: fine (default) draws edges, coarse finds the lesion; or fine,coarse",
    )
    learn.add_argument("--method", choices=_METHODS, default="lora", metavar="NAME", help="see below (default: lora)")
    learn.add_argument("--rank", type=_positive, metavar="N", help="rank of the low-rank corrections")
    learn.add_argument("--minutes", type=finite, metavar="M", help="at most this long")
    learn.add_argument("--steps", type=_positive, metavar="N", help="at most so many steps (default: 400)")
    learn.add_argument("--batch", type=_positive, default=16, metavar="N", help="questions per step (default: 16)")
    learn.add_argument("--rate", type=finite, metavar="R", help="highest learning rate (default: the method's)")
    learn.add_argument("--check-every", type=_positive, default=25, metavar="N", help="steps between checks (25)")
    learn.add_argument("--patience", type=_positive, default=8, metavar="N", help="stop after N checks without gain")
    learn.add_argument("--seed", type=int, default=0, metavar="N", help="another split and other random numbers")
    learn.add_argument("--accelerator", choices=("auto", "cpu", "gpu"), default="auto", help="where (default: auto)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument("--title", default="", metavar="TEXT", help="name of the adapter in the window")
    parser.add_argument("--keep-prepared", action="store_true", help="keep the pieces of scans that were cut out")
    parser.add_argument("--progress-json", action="store_true", help="print one JSON object per line on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _scans(options: argparse.Namespace) -> tuple[LabelledScan, ...]:
    from hemaview.adaptation.datasets import Region, brats_scans, library_scans, synthetic_scans, table_scans
    from hemaview.imaging import Modality

    if options.table is not None:
        return table_scans(options.table)
    if options.brats is not None:
        return brats_scans(options.brats, Region(options.region), _names(options.sequence))
    if options.synthetic is not None:
        return synthetic_scans(options.synthetic, Modality.CT if options.ct else Modality.MR)
    from hemaview.case.recent import default_case_root

    root = default_case_root() if options.library is _LIBRARY_DEFAULT else options.library
    return library_scans(root, _names(options.cases))


def _options(options: argparse.Namespace) -> Options:
    from hemaview.adaptation.learning.run import Options

    return Options(
        out=options.out,
        base=options.base,
        parts=_names(options.part) or (),
        method=options.method,
        rank=options.rank,
        learning_rate=options.rate,
        steps=options.steps,
        minutes=options.minutes,
        batch=options.batch,
        patience=options.patience,
        check_every=options.check_every,
        seed=options.seed,
        fold=options.fold,
        splits=options.splits,
        title=options.title,
        keep_prepared=options.keep_prepared,
    )


def _tell(result: Result, options: argparse.Namespace) -> None:
    judgement = result.judgement
    if options.progress_json:
        line = {"stage": "verdict", "done": 1, "total": 1, "loss": None, "dice": round(judgement.mean_after, 4)}
        line |= {"verdict": judgement.verdict.value, "sentence": judgement.sentence}
        print(json.dumps(line, ensure_ascii=False), flush=True)
        return
    share = 100 * result.trained / result.of
    print(judgement.sentence)
    print(f"{result.trained:,} of {result.of:,} parameters learned ({share:.2g} %), {result.minutes:.1f} minutes.")
    print(f"Wrote the run to {result.folder.path}")
    if not options.quiet:
        for note in result.notes:
            say(f"note: {note}")


class _Lines:
    """One JSON object per line, for a program that watches."""

    def show(self, event: Event) -> None:
        """Print it."""
        print(json.dumps(vars(event), ensure_ascii=False), flush=True)

    def close(self) -> None:
        """Nothing is open."""


class _Bars:
    """A bar on stderr per stage, with the loss and the validation Dice behind it."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._stage = ""
        self._bar: Any = None

    def show(self, event: Event) -> None:
        """Move the bar."""
        label = _LABELS.get(event.stage)
        if not self._shown or label is None:
            return
        if event.stage != self._stage:
            from tqdm import tqdm

            self.close()
            self._stage = event.stage
            form = "{l_bar}{bar}| {elapsed}<{remaining} {postfix}"
            self._bar = tqdm(total=event.total, desc=label, leave=False, file=sys.stderr, bar_format=form)
        self._bar.total = event.total
        self._bar.update(event.done - self._bar.n)
        if event.loss is not None:
            dice = "" if event.dice is None else f", validation Dice {event.dice:.3f}"
            self._bar.set_postfix_str(f"loss {event.loss:.3f}{dice}")

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""


@contextmanager
def _asked_to_stop() -> Iterator[CancelToken]:
    """Ctrl+C, and the polite signal by which another program ends this one, stop the run in good order."""
    with interrupt_cancels() as token:
        if threading.current_thread() is not threading.main_thread():
            yield token
            return
        before = signal.signal(signal.SIGTERM, lambda number, frame: token.cancel())
        try:
            yield token
        finally:
            signal.signal(signal.SIGTERM, before)


def _names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip()) or None


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a number from 1 up")
    return value


def _fold(text: str) -> tuple[int, int]:
    number, _, folds = text.partition("/")
    try:
        return int(number), int(folds)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not of the form 2/5") from None
