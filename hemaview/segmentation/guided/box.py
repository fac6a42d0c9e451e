"""A box in voxel units, and the part of a scan that an answer to it may touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import Geometry
from hemaview.segmentation.contract import BoxPrompt

MARGIN = 0.12
"""How far an answer may leave the box on each side, as a share of the box's side: boxes are drawn by hand."""


@dataclass(frozen=True)
class Box:
    """A box in voxel units, faces in array order (k, j, i); ``open_axis`` is an array axis (0 = k)."""

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    open_axis: int | None = None

    @classmethod
    def of(cls, prompt: BoxPrompt, geometry: Geometry) -> Box:
        """The part of the prompt's box that lies in the scan; ``PromptError`` where there is none or no area."""
        lower, upper = prompt.clipped_bounds(geometry)
        open_axis = None if prompt.open_axis is None else 2 - prompt.open_axis
        return cls(_triple(lower[::-1]), _triple(upper[::-1]), open_axis)

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

    def joined(self, lower: Sequence[float], upper: Sequence[float]) -> Box:
        """The smallest box round this one and another; an open axis stays open."""
        low = [min(pair) for pair in zip(self.lower, lower, strict=True)]
        high = [max(pair) for pair in zip(self.upper, upper, strict=True)]
        return Box(_triple(low), _triple(high), self.open_axis)

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


def _centres(lower: float, upper: float) -> range:
    start, stop = int(np.ceil(lower)), int(np.floor(upper)) + 1
    if stop <= start:
        start = int(np.floor((lower + upper) / 2 + 0.5))
        stop = start + 1
    return range(start, stop)


def _triple(values: Sequence[float] | NDArray) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c
