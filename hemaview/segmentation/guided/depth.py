"""Where a lesion begins and ends when only a rectangle on one slice was drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer

_MOST_TRIES = 4
_LARGEST_DEPTH = 2.5
"""The depth never exceeds this multiple of the rectangle's longer side in mm: the guard against running away."""
_TIGHT_SHARE = 0.45
"""A lesion that fills less than this share of the crop's depth is looked at again in a tighter crop."""


@dataclass(frozen=True)
class Extent:
    """Faces of the lesion along the open axis in voxel positions.

    ``found`` is False where they are only the guess; ``reached_limit`` tells that the guard against running away,
    not the lesion or the scan, ended the search on a side.
    """

    lower: float
    upper: float
    found: bool
    reached_limit: bool = False


def find_extent(
    ask: Callable[[Box], CoarseAnswer], box: Box, drawn: float, shape: tuple[int, int, int], spacing_kji: NDArray
) -> Extent:
    """Search the depth of an open box with the coarse network, at most four times.

    ``drawn`` is the voxel position along the open axis of the slice with the rectangle; the lesion must pass
    through it. Where the answer reaches the crop's end, the crop is lengthened towards that side and asked again.
    The depth stays within the scan and within 2.5 times the rectangle's longer side.
    """
    axis = box.open_axis
    if axis is None:
        raise ValueError("the box's depth is known")
    sides = [(box.upper[a] - box.lower[a]) * spacing_kji[a] for a in range(3) if a != axis]
    reach = _LARGEST_DEPTH * max(sides) / spacing_kji[axis] / 2
    scan_end = shape[axis] - 0.5
    floor = max(-0.5, min(drawn - reach, box.lower[axis]))
    ceiling = min(scan_end, max(drawn + reach, box.upper[axis]))
    lower, upper = box.lower[axis], box.upper[axis]
    best: Extent | None = None
    tightened = False
    for _ in range(_MOST_TRIES):
        answer = ask(box.with_depth(axis, lower, upper))
        placed = (answer.placement.slices, answer.placement.rows, answer.placement.columns)[axis]
        filled = _filled_samples(answer, axis, drawn, box)
        if filled is None:
            break
        first, last = filled
        begin, end = placed.first + placed.step * (first - 0.5), placed.first + placed.step * (last + 0.5)
        guarded = (begin < floor and floor > -0.5) or (end > ceiling and ceiling < scan_end)
        best = Extent(max(begin, floor), min(end, ceiling), True, guarded)
        grow_down = first == 0 and placed.lower > floor
        grow_up = last == placed.count - 1 and placed.upper < ceiling
        if grow_down or grow_up:
            length = upper - lower
            lower = max(floor, begin - 0.5 * length) if grow_down else max(floor, min(begin, drawn))
            upper = min(ceiling, end + 0.5 * length) if grow_up else min(ceiling, max(end, drawn))
        elif not tightened and end - begin < _TIGHT_SHARE * (placed.upper - placed.lower):
            tightened = True
            lower, upper = best.lower, best.upper
            if upper - lower < 1:
                lower, upper = drawn - 0.5, drawn + 0.5
        else:
            break
    if best is None or best.upper - best.lower < 0.5:
        return Extent(box.lower[axis], box.upper[axis], False)
    return best


def _filled_samples(answer: CoarseAnswer, axis: int, drawn: float, box: Box) -> tuple[int, int] | None:
    """First and last crop sample along ``axis`` of the pieces that pass through the drawn rectangle."""
    mask = answer.on_crop > 0.5
    placed = (answer.placement.slices, answer.placement.rows, answer.placement.columns)
    for other, part in enumerate(placed):
        if other == axis:
            continue
        # What lies beside the rectangle is not what the user drew round, however bright it is.
        low, high = part.to_crop(box.lower[other]), part.to_crop(box.upper[other])
        outside = np.ones(part.count, dtype=np.bool_)
        outside[max(0, int(np.floor(low))) : int(np.ceil(high)) + 1] = False
        mask[tuple(outside if n == other else slice(None) for n in range(3))] = False
    labels, count = ndimage.label(mask)
    if count == 0:
        return None
    seed = int(np.clip(round(placed[axis].to_crop(drawn)), 0, placed[axis].count - 1))
    through = np.unique(np.take(labels, range(max(0, seed - 1), seed + 2), axis=axis, mode="clip"))
    through = through[through > 0]
    if not len(through):
        through = np.array([1 + int(np.argmax(np.bincount(labels.ravel())[1:]))])
    line = np.flatnonzero(np.isin(labels, through).any(axis=tuple(n for n in range(3) if n != axis)))
    return int(line[0]), int(line[-1])
