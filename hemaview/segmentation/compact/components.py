"""From what the coarse network found to boxes for the fine one, and from its answers to one lesion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Rectangle = tuple[float, float, float, float]
"""Faces on a slice in voxel units: i0, j0, i1, j1."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.bool_)
_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=np.bool_)


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


def keep_lesion(
    probability: NDArray[np.float32], inside: tuple[slice, slice, slice], *, least_share: float = 0.03
) -> NDArray[np.float32]:
    """``probability`` with the pieces (above one half) that do not belong to the lesion set to zero.

    Kept are the piece with most voxels in the box, and every other piece with at least ``least_share`` of that
    number in the box. ``inside`` is the box within the array.
    """
    labels, count = ndimage.label(probability > 0.5, structure=_ALL_NEIGHBOURS)
    if count <= 1:
        return probability
    sizes = np.bincount(labels[inside].ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = (sizes >= least_share * sizes.max()) & (sizes > 0)
    keep[0] = True
    return np.where(keep[labels], probability, np.float32(0))


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
