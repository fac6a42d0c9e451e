"""Boxes of voxels that must not take part in what is estimated from a scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Region = tuple[slice, slice, slice]
"""Slices ``(k, j, i)`` of a scan's voxels."""


def without(mask: NDArray[np.bool_], boxes: Sequence[Region]) -> NDArray[np.bool_]:
    """The mask with nothing in the boxes; where that leaves too little to estimate from, the mask as it was.

    Too little is less than a tenth: a box round most of the head says nothing about what is normal.
    """
    kept = mask.copy()
    for box in boxes:
        kept[box] = False
    return kept if 10 * np.count_nonzero(kept) >= np.count_nonzero(mask) else mask


def joined_with(mask: NDArray[np.bool_], boxes: Sequence[Region]) -> NDArray[np.bool_]:
    """The mask with everything in the boxes."""
    kept = mask.copy()
    for box in boxes:
        kept[box] = True
    return kept
