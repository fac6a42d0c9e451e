"""How far an engine's confidence in a slice can be trusted: ``python -m hemaview.adaptation.check_confidence``.

Held-out phantoms (synthetic haematomas on MR and CT), one 3D box with every face moved by up to 5 % of its side; the
estimated IoU of each answered slice beside the true one.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hemaview.adaptation.phantoms.held_out import held_out_case
from hemaview.evaluation.prompts import jittered_box
from hemaview.imaging import Modality
from hemaview.segmentation.contract import Segmenter
from hemaview.segmentation.registry import DEFAULT_ENGINE, load_engine

FIRST_CASE = 500
"""Phantoms from this number on; those before it fit the volume correction."""
POOR_DICE = 0.7
_JITTER = 0.05
_LIMITS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 1.0)


def measure(engine: Segmenter, cases: int) -> NDArray[np.float64]:
    """(n, 2): estimated and true IoU of every answered slice of ``cases`` phantoms per modality."""
    pairs = []
    for number in range(FIRST_CASE, FIRST_CASE + cases):
        for modality in (Modality.MR, Modality.CT):
            volume, truth = held_out_case(number, modality)
            found = engine.segment(volume, jittered_box(truth, _JITTER, np.random.default_rng(number)))
            mask = found.mask().array
            for k, confidence in enumerate(found.slice_confidence, start=found.region[0].start):
                if np.isfinite(confidence):
                    overlap = int(np.count_nonzero(mask[k] & truth.array[k]))
                    union = int(np.count_nonzero(mask[k] | truth.array[k]))
                    pairs.append((float(confidence), overlap / max(1, union)))
    return np.array(pairs)


def table(pairs: NDArray[np.float64]) -> str:
    """Markdown: per range of the estimate the number of slices, their mean Dice and the share that is poor."""
    estimate, truth = pairs.T
    dice = 2 * truth / (1 + truth)
    lines = [
        f"{len(pairs)} slices; correlation {np.corrcoef(estimate, truth)[0, 1]:.2f}, "
        f"estimate less truth {float(np.mean(estimate - truth)):+.3f}",
        "",
        f"| estimated IoU | slices | mean Dice | Dice under {POOR_DICE} |",
        "|---|---|---|---|",
    ]
    for low, high in itertools.pairwise(_LIMITS):
        here = dice[(estimate >= low) & ((estimate < high) | (high == _LIMITS[-1]))]
        if len(here):
            poor = np.mean(here < POOR_DICE)
            lines.append(f"| {low:.2f} to {high:.2f} | {len(here)} | {here.mean():.3f} | {poor:.0%} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hemaview.adaptation.check_confidence", description=__doc__)
    parser.add_argument("--engine", default=DEFAULT_ENGINE)
    parser.add_argument("--cases", type=int, default=40, help="phantoms per modality (default: %(default)s)")
    options = parser.parse_args(arguments)
    print(table(measure(load_engine(options.engine), options.cases)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
