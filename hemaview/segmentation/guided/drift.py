"""Whether a mask that was followed from slice to slice is still the lesion: the guard where the depth was left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_PROBABILITY = 0.6
"""Mean probability inside the mask."""
LEAST_AREA = 0.1
"""Share of the area of the slice before."""
LEAST_OVERLAP = 0.3
"""Share of the mask that lies on that of the slice before."""
_SLACK = 0.5
"""The lesion's own grey values go from the 5th to the 95th percentile, widened by this share on both sides."""
_MOST_FAILURES = 2
"""So many slices in a row may fail; what lies beyond them is not followed."""


@dataclass(frozen=True)
class Verdict:
    """Positions in the array: slices to ``review``, which are kept, and slices to ``drop`` beyond them."""

    review: tuple[int, ...]
    drop: tuple[int, ...]


def judge(probability: NDArray[np.float32], grey: NDArray[np.float32], trusted: Sequence[int]) -> Verdict:
    """Follow a mask (above one half) outwards from the ``trusted`` slices, which a person has seen.

    ``probability`` and ``grey`` are ``[k, j, i]`` of the same window. A slice passes while its mean probability, its
    area and overlap against the last slice that passed, and its mean grey value are those of one lesion.
    """
    mask = probability > 0.5
    seen = [n for n in trusted if mask[n].any()]
    if not seen:
        return Verdict((), ())
    values = np.concatenate([grey[n][mask[n]] for n in seen])
    low, high = (float(v) for v in np.percentile(values, (5, 95)))
    limits = low - _SLACK * (high - low), high + _SLACK * (high - low)
    review: list[int] = []
    drop: list[int] = []
    for start, step in ((max(seen), 1), (min(seen), -1)):
        before, failures = start, 0
        stop = len(mask) if step > 0 else -1
        for n in range(start + step, stop, step):
            if not mask[n].any():
                continue
            if failures >= _MOST_FAILURES:
                drop.append(n)
            elif _passes(probability[n], grey[n], mask[n], mask[before], limits):
                before, failures = n, 0
            else:
                review.append(n)
                failures += 1
    return Verdict(tuple(sorted(review)), tuple(sorted(drop)))


def _passes(
    probability: NDArray[np.float32],
    grey: NDArray[np.float32],
    mask: NDArray[np.bool_],
    before: NDArray[np.bool_],
    limits: tuple[float, float],
) -> bool:
    area = int(np.count_nonzero(mask))
    if area < LEAST_AREA * np.count_nonzero(before):
        return False
    if np.count_nonzero(mask & before) < LEAST_OVERLAP * area:
        return False
    if float(probability[mask].mean()) < LEAST_PROBABILITY:
        return False
    return limits[0] <= float(grey[mask].mean()) <= limits[1]
