"""A scan as the compact model's networks see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hemaview.imaging import Geometry, Modality, Volume
from hemaview.segmentation.compact import crops
from hemaview.segmentation.guided.box import Box

_AIR_HU, _BONE_HU, _LEAST_AIR = -200, 200, 0.02


@dataclass(frozen=True, eq=False)
class Frame:
    """A scan's pixels for the networks.

    ``array`` is the scan's own ``[k, j, i]`` array (not copied), ``soft_tissue`` tells that it holds CT numbers,
    which are limited to soft tissue in every crop, ``spacing`` is (x, y, z) in mm, of unevenly spaced slices the
    mean step.
    """

    array: NDArray
    soft_tissue: bool
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, volume: Volume) -> Frame:
        """The frame of a scan; looks at a part of the voxels to tell whether it holds CT numbers."""
        return cls(volume.array, holds_hounsfield(volume), volume.geometry.spacing)

    def near(self, geometry: Geometry, lower: float, upper: float) -> Frame:
        """The same frame with the mean step of the slices of ``geometry`` between two positions, where steps differ.

        Crops still count slices, so a network sees a lesion on uneven slices drawn out or pressed together. That cost
        nothing where every other slice above the middle was left out of held-out phantoms (Dice 0.91 before and after).
        """
        if not geometry.is_uneven:
            return self
        first = min(max(int(np.floor(lower + 0.5)), 0), geometry.size[2] - 1)
        stop = max(int(np.ceil(upper - 0.5)) + 1, first + 1)
        step = float(geometry.slice_steps_mm[first:stop].mean())
        return replace(self, spacing=(*self.spacing[:2], step))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        k, j, i = self.array.shape
        return k, j, i

    @property
    def spacing_kji(self) -> tuple[float, float, float]:
        """Voxel size in mm in the order of the array's axes."""
        x, y, z = self.spacing
        return z, y, x

    def window(self, region: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        """A window (k, j, i) of the scan as the networks see it, before they normalise it; a copy."""
        return np.array(self._tensor(self.array[region]).numpy())

    def limits(self, region: tuple[slice, slice, slice]) -> tuple[float, float]:
        """Smallest and largest value of a window (k, j, i), as the networks see it."""
        part = self.array[region]
        low, high = float(part.min()), float(part.max())
        if not self.soft_tissue:
            return low, high
        least, most = crops.HOUNSFIELD_LIMITS
        return min(max(low, least), most), min(max(high, least), most)

    def fine_crop(self, k: int, box_xyxy: Sequence[float]) -> tuple[Tensor, Tensor, crops.Placement2D]:
        """``crops.box_crop_2d`` of slice ``k``."""
        return crops.box_crop_2d(self._tensor(self.array[k]), box_xyxy, self.spacing[:2])

    def coarse_crop(self, box: Box) -> tuple[Tensor, crops.Placement3D]:
        """``crops.box_crop_3d`` of the box, cut from the part of the scan that the crop can see."""
        start, window = [], []
        for low, high, size in zip(box.lower, box.upper, self.shape, strict=True):
            reach = (crops.COARSE_CONTEXT - 1) / 2 * (high - low) + (high - low) / 8 + 4
            first = int(np.clip(np.floor(low - reach), 0, size - 1))
            start.append(first)
            window.append(slice(first, int(np.clip(np.ceil(high + reach) + 1, first + 1, size))))
        lower = [v - s for v, s in zip(box.lower, start, strict=True)]
        upper = [v - s for v, s in zip(box.upper, start, strict=True)]
        crop, placed = crops.box_crop_3d(self._tensor(self.array[tuple(window)]), lower, upper, box.open_axis)
        slices, rows, columns = (
            replace(axis, first=axis.first + offset)
            for axis, offset in zip((placed.slices, placed.rows, placed.columns), start, strict=True)
        )
        return crop, crops.Placement3D(slices, rows, columns)

    def _tensor(self, part: NDArray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))
        return tensor.clamp(*crops.HOUNSFIELD_LIMITS) if self.soft_tissue else tensor


def holds_hounsfield(volume: Volume) -> bool:
    """Whether the scan's values are CT numbers with air and bone, which crops must limit to soft tissue.

    Told by the modality where it is known, and by the values where it is not; the share of air keeps an MR scan with a
    few negative voxels from resampling apart from a CT.
    """
    if volume.modality is not Modality.UNKNOWN:
        return volume.is_hounsfield
    sample = volume.array[::2, ::4, ::4]
    if sample.max() < _BONE_HU:
        return False
    return bool(np.count_nonzero(sample <= _AIR_HU) >= _LEAST_AIR * sample.size)
