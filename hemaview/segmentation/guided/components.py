"""From what the coarse network found to boxes for the fine one, and from its answers to one lesion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.segmentation.guided.protocols import Rectangle, Window2D

_THRESHOLDS = tuple(0.5 - 0.05 * n for n in range(9))
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)
_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=np.bool_)


PIECE_MARGIN = 0.15
"""How far an answer may leave its rectangle, as a share of the side and one voxel more."""
LOOSE = 0.15
"""How far a lesion may lie beside straight lines between two redrawn rectangles, as a share of their sides."""


def faces_of(mask: NDArray[np.bool_]) -> Rectangle:
    """The rectangle round all of a ``[j, i]`` mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0] - 0.5), float(rows[0] - 0.5), float(columns[-1] + 0.5), float(rows[-1] + 0.5)


def near_rectangle(
    picture: NDArray[np.float32], rectangle: Rectangle, window: Window2D, outside: float
) -> NDArray[np.float32]:
    """``picture`` of ``window`` without what lies well outside the rectangle: something else, not asked for."""
    i0, j0, i1, j1 = rectangle
    rows, columns = np.arange(window[0].start, window[0].stop), np.arange(window[1].start, window[1].stop)
    across, down = PIECE_MARGIN * (i1 - i0) + 1, PIECE_MARGIN * (j1 - j0) + 1
    near_rows = (rows >= j0 - down) & (rows <= j1 + down)
    near_columns = (columns >= i0 - across) & (columns <= i1 + across)
    return np.where(near_rows[:, None] & near_columns, picture, np.float32(outside))


def slice_rectangles(mask: NDArray[np.bool_], *, grow: float = 1.0, least_share: float = 0.05) -> list[Rectangle]:
    """A rectangle round each piece of a ``[j, i]`` mask, largest piece first, widened by ``grow`` voxels.

    Pieces under ``least_share`` of the largest are left out; pieces whose rectangles overlap share one.
    """
    labels, count = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    if count == 0:
        return []
    areas = np.bincount(labels.ravel())[1:]
    found: list[Rectangle] = []
    windows = ndimage.find_objects(labels)
    for number in np.argsort(-areas, kind="stable"):
        if areas[number] < least_share * areas.max():
            break
        rows, columns = windows[number]
        found.append(
            (columns.start - 0.5 - grow, rows.start - 0.5 - grow, columns.stop - 0.5 + grow, rows.stop - 0.5 + grow)
        )
    return _join_overlapping(found)


def clipped(rectangles: Sequence[Rectangle], limits: Sequence[Rectangle]) -> list[Rectangle]:
    """The parts of ``rectangles`` that lie in ``limits`` or just beside; a limit that holds none stands for itself."""
    found: list[Rectangle] = []
    for limit in limits:
        across, down = LOOSE * (limit[2] - limit[0]), LOOSE * (limit[3] - limit[1])
        a0, b0, a1, b1 = limit[0] - across, limit[1] - down, limit[2] + across, limit[3] + down
        parts = [(max(i0, a0), max(j0, b0), min(i1, a1), min(j1, b1)) for i0, j0, i1, j1 in rectangles]
        parts = [part for part in parts if part[2] - part[0] >= 2 and part[3] - part[1] >= 2]
        found += parts or [limit]
    return found


def keep_lesion(
    probability: NDArray[np.float32],
    inside: tuple[slice, slice, slice],
    *,
    least_share: float = 0.03,
    known: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """``probability`` with the pieces (above one half) that do not belong to the lesion set to zero.

    Kept are the piece with most voxels in the box, every other piece with at least ``least_share`` of that
    number in the box, and pieces that touch ``known`` voxels of the lesion. ``inside`` is the box within the array.
    """
    labels, count = ndimage.label(probability > 0.5, structure=_ALL_NEIGHBOURS)
    if count <= 1:
        return probability
    sizes = np.bincount(labels[inside].ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = (sizes >= least_share * sizes.max()) & (sizes > 0)
    if known is not None:
        keep[np.unique(labels[known])] = True
    keep[0] = True
    return np.where(keep[labels], probability, np.float32(0))


def reaches_box(probability: NDArray[np.float32], rows: float, columns: float) -> bool:
    """Whether even a faint answer (above 0.1) spans three quarters of its box's sides; if not, it missed the lesion."""
    return _spans(probability, _THRESHOLDS[-1], rows, columns, 0.75)


def reach_box(
    probability: NDArray[np.float32], rows: float, columns: float, inside: tuple[slice, ...]
) -> NDArray[np.float32]:
    """``probability`` raised as far as it takes for the mask (above one half) to reach the sides of its box.

    A box is drawn tightly, so an answer that ends well inside it is too cautious. Of the thresholds from 0.5 down to
    0.1 the highest is taken whose mask spans nine tenths of the box's ``rows`` and ``columns`` (its sides in voxels);
    all odds are multiplied so that it becomes one half. Where not even 0.1 finds a voxel in the box, its most likely
    quarter becomes the answer: a box round nothing that stands out still gets a first guess to correct.

    ``probability`` is ``[j, i]`` or ``[k, j, i]``; ``inside`` is the box within it. The share of nine tenths was
    chosen on held-out phantoms.
    """
    fitting = (t for t in _THRESHOLDS if _spans(probability, t, rows, columns, 0.9))
    threshold = next(fitting, _THRESHOLDS[-1])
    if not np.any(probability[inside] > threshold):
        threshold = min(threshold, float(np.quantile(probability[inside], 0.75)))
    if threshold == _THRESHOLDS[0]:
        return probability
    limited = np.clip(probability, 1e-6, 1 - 1e-6).astype(np.float64)
    odds = limited / (1 - limited) * (1 - threshold) / max(threshold, 1e-6)
    return np.where(probability > 0, odds / (1 + odds), 0).astype(np.float32)


def _spans(probability: NDArray[np.float32], threshold: float, rows: float, columns: float, share: float) -> bool:
    last = probability.ndim - 1
    for axis, side in ((last - 1, rows), (last, columns)):
        line = probability.max(axis=tuple(a for a in range(probability.ndim) if a != axis)) > threshold
        if _span(line) < share * side:
            return False
    return True


def _span(line: NDArray[np.bool_]) -> int:
    filled = np.flatnonzero(line)
    return int(filled[-1] - filled[0] + 1) if len(filled) else 0


def _join_overlapping(rectangles: list[Rectangle]) -> list[Rectangle]:
    joined: list[Rectangle] = []
    pending = list(rectangles)
    while pending:
        a = pending.pop(0)
        touching = [b for b in pending if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]]
        if not touching:
            joined.append(a)
            continue
        pending = [b for b in pending if b not in touching]
        for b in touching:
            a = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
        pending.insert(0, a)
    return joined
