"""What the coarse network said about a box, and how it is read on the scan's voxels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hemaview.segmentation.compact import crops


@dataclass(frozen=True, eq=False)
class CoarseAnswer:
    """Logits (24, 48, 48) of the coarse network and where they lie in the scan.

    ``image`` is the normalised crop that it saw, on the same grid.
    """

    logits: Tensor
    placement: crops.Placement3D
    image: Tensor | None = None

    def probability(self, window: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        """Probability of the voxels of ``window`` (k, j, i); 0 where the crop ended."""
        with torch.inference_mode():
            placed = crops.place_3d(self.logits, self.placement, window, crops.OUTSIDE_LOGIT).sigmoid_()
        return np.asarray(placed.numpy())

    def mixed(self, other: CoarseAnswer) -> CoarseAnswer:
        """The mean of two answers on the same crop."""
        return CoarseAnswer((self.logits + other.logits) / 2, self.placement, self.image)

    @property
    def on_crop(self) -> NDArray[np.float32]:
        """Probability on the crop's own grid."""
        return np.asarray(self.logits.sigmoid().numpy())


def likeness(first: CoarseAnswer, second: CoarseAnswer, drawn: Collection[int]) -> float:
    """Dice of two answers on one crop, without the cells that show the ``drawn`` slices; 1 where both are empty."""
    depth = first.placement.slices
    positions = depth.first + depth.step * np.arange(depth.count)
    away = np.array([all(abs(position - k) > 0.5 for k in drawn) for position in positions])
    one, other = first.on_crop[away] > 0.5, second.on_crop[away] > 0.5
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return float(2 * np.count_nonzero(one & other) / total) if total else 1.0
