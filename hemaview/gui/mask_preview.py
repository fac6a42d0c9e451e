"""A mask that is being streamed in, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaview.segmentation.contract import SliceResult


@dataclass(frozen=True, eq=False)
class MaskPreview:
    """``mask`` ``[k, j, i]`` holds on the slices k that ``answered`` (slices,) marks."""

    mask: NDArray[np.bool_]
    answered: NDArray[np.bool_]

    @classmethod
    def of(cls, shape: tuple[int, int, int]) -> MaskPreview:
        """Nothing answered yet, for a scan of this shape."""
        return cls(np.zeros(shape, dtype=np.bool_), np.zeros(shape[0], dtype=np.bool_))

    def add(self, result: SliceResult) -> None:
        """Take in one slice; a later one for the same slice replaces it."""
        found, page = result.mask, self.mask[result.k]
        page[:] = False
        page[result.row : result.row + found.shape[0], result.column : result.column + found.shape[1]] = found
        self.answered[result.k] = True
