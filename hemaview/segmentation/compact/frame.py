"""The scan as the networks see it, and the part of it that an answer may touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hemaview.errors import PromptError
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.segmentation.compact import crops
from hemaview.segmentation.contract import BoxPrompt

MARGIN = 0.12
"""How far an answer may leave the box on each side, as a share of the box's side: boxes are drawn by hand."""

_AIR_HU, _BONE_HU, _LEAST_AIR = -200, 200, 0.02
_NEARBY = 3
"""Voxels round a box that must hold an edge where the box itself holds none."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A scan's pixels for the networks.

    ``array`` is the scan's own ``[k, j, i]`` array (not copied), ``soft_tissue`` tells that it holds CT numbers,
    which are limited to soft tissue in every crop, ``spacing`` is (x, y, z) in mm.
    """

    array: NDArray
    soft_tissue: bool
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, volume: Volume) -> Frame:
        """The frame of a scan; looks at a part of the voxels to tell whether it holds CT numbers."""
        return cls(volume.array, holds_hounsfield(volume), volume.geometry.spacing)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        k, j, i = self.array.shape
        return k, j, i

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


@dataclass(frozen=True)
class Box:
    """A box in voxel units, faces in array order (k, j, i); ``open_axis`` is an array axis (0 = k)."""

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    open_axis: int | None = None

    @classmethod
    def of(cls, prompt: BoxPrompt, volume: Volume) -> Box:
        """The part of the prompt's box that lies in the scan.

        Raises ``PromptError`` for a box outside the scan, without area, or where it and its surroundings hold a
        single grey value.
        """
        lower, upper = prompt.clipped_bounds(volume.geometry)
        open_axis = None if prompt.open_axis is None else 2 - prompt.open_axis
        box = cls(_triple(lower[::-1]), _triple(upper[::-1]), open_axis)
        wide = cls(_triple(lower[::-1] - _NEARBY), _triple(upper[::-1] + _NEARBY))
        seen = volume.array[wide.region(volume.geometry.shape)]
        if seen.min() == seen.max():
            raise PromptError(
                "The box and its surroundings hold a single grey value, so no edge can be found; "
                "draw it round the haematoma."
            )
        return box

    def prompt(self, geometry: Geometry) -> BoxPrompt:
        """The box in LPS millimetres, closed."""
        return BoxPrompt.from_index_bounds(geometry, self.lower[::-1], self.upper[::-1])

    def with_depth(self, axis: int, lower: float, upper: float) -> Box:
        """The box with other faces along ``axis``; an open axis stays open."""
        low, high = list(self.lower), list(self.upper)
        low[axis], high[axis] = lower, upper
        return Box(_triple(low), _triple(high), self.open_axis)

    def closed(self) -> Box:
        """The box with its depth taken as known."""
        return replace(self, open_axis=None)

    @property
    def rectangle(self) -> tuple[float, float, float, float]:
        """Its faces on a slice: i0, j0, i1, j1."""
        return self.lower[2], self.lower[1], self.upper[2], self.upper[1]

    @property
    def sides(self) -> tuple[float, float]:
        """Its rows and columns on a slice, in voxels."""
        return self.upper[1] - self.lower[1], self.upper[2] - self.lower[2]

    @property
    def slices(self) -> range:
        """The slices k whose centre lies in the box (at least one)."""
        return _centres(self.lower[0], self.upper[0])

    def region(self, shape: tuple[int, int, int], margin: float = MARGIN) -> tuple[slice, slice, slice]:
        """``(k, j, i)`` slices of the voxels whose centre lies in the box widened by ``margin`` on each side."""
        found = []
        for low, high, size in zip(self.lower, self.upper, shape, strict=True):
            extra = margin * (high - low)
            inside = _centres(max(low - extra, -0.5), min(high + extra, size - 0.5))
            found.append(slice(max(inside.start, 0), min(inside.stop, size)))
        return found[0], found[1], found[2]

    def within(self, region: tuple[slice, slice, slice]) -> tuple[slice, slice, slice]:
        """The box's own voxels as ``(k, j, i)`` slices of an array that covers ``region``."""
        found = []
        for low, high, outer in zip(self.lower, self.upper, region, strict=True):
            inner = _centres(low, high)
            found.append(slice(max(inner.start - outer.start, 0), min(inner.stop, outer.stop) - outer.start))
        return found[0], found[1], found[2]


def holds_hounsfield(volume: Volume) -> bool:
    """Whether the scan's values are CT numbers with air and bone, which crops must limit to soft tissue.

    Told by the values, because files without a modality and 8-bit pictures of a CT are common; the share of air keeps
    an MR scan with a few negative voxels from resampling apart from a CT.
    """
    if volume.modality is Modality.MR:
        return False
    sample = volume.array[::2, ::4, ::4]
    if sample.max() < _BONE_HU:
        return False
    return bool(np.count_nonzero(sample <= _AIR_HU) >= _LEAST_AIR * sample.size)


def _centres(lower: float, upper: float) -> range:
    start, stop = int(np.ceil(lower)), int(np.floor(upper)) + 1
    if stop <= start:
        start = int(np.floor((lower + upper) / 2 + 0.5))
        stop = start + 1
    return range(start, stop)


def _triple(values: Sequence[float] | NDArray) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c
