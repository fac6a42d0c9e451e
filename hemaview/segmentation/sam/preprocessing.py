"""What MedSAM sees of a scan: grey values 0 to 255 for the whole scan, then 1024 x 1024 pixels of one slice.

The steps are those of MedSAM's own preparation of CT and MR training data (Ma et al., Nature Communications
2024;15:654, and its published scripts). ``Sam.preprocess`` (pixel mean, deviation, padding) is not part of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.imaging import Volume
from hemaview.imaging.windowing import CT_AUTO_WINDOW, Window
from hemaview.segmentation.compact.frame import holds_hounsfield
from hemaview.segmentation.sam.stopping import stop_point

_LOWEST_PERCENT, _HIGHEST_PERCENT = 0.5, 99.5
_BACKGROUND_SHARE = 0.02
"""A value is the background where at least this share of all voxels has it."""
_NEGATIVE_SHARE = 0.01
"""Negative voxels, as a share of those that are not 0, above which the values are normalised ones."""


@dataclass(frozen=True)
class GreyScale:
    """How a scan's values become 0 to 255: clipped to ``lower``...``upper``, stretched from ``floor``...``ceiling``.

    ``background`` is the value that stays 0 whatever the stretch makes of it, or None. ``fixed`` tells that the
    bounds come from a window, so that the slice is not stretched once more on its own.
    """

    lower: float
    upper: float
    floor: float
    ceiling: float
    background: float | None = None
    fixed: bool = False

    @classmethod
    def of(cls, volume: Volume, window: Window = CT_AUTO_WINDOW, *, fixed_window: bool = False) -> GreyScale:
        """The scale of a scan: ``window`` (HU) for CT, robust percentiles of the head for everything else.

        ``fixed_window`` stretches a CT between the window's ends and not between the values that occur, on every
        slice alike. A model must be used as it was trained: published MedSAM without it.
        """
        if holds_hounsfield(volume):
            lower, upper = window.lower, window.upper
            if fixed_window:
                return cls(lower, upper, lower, upper, fixed=True)
            return cls(lower, upper, *_clipped_range(volume.array, lower, upper))
        head, background = _head_values(volume.array)
        stop_point()
        if not head.size:
            value = float(volume.array.flat[0])
            return cls(value, value, value, value)
        lower, upper = (float(v) for v in np.percentile(head, (_LOWEST_PERCENT, _HIGHEST_PERCENT)))
        return cls(lower, upper, *_clipped_range(volume.array, lower, upper), background)

    def apply(self, values: NDArray) -> NDArray[np.uint8]:
        """Grey values of an array of any shape; fractions are cut off, as MedSAM's cast to uint8 does."""
        if self.ceiling <= self.floor:
            return np.zeros(values.shape, dtype=np.uint8)
        grey = np.clip(values.astype(np.float64), self.lower, self.upper)
        grey = (grey - self.floor) / (self.ceiling - self.floor) * 255
        if self.background is not None:
            grey[values == self.background] = 0
        return np.clip(grey, 0, 255).astype(np.uint8)


class SliceResizer:
    """Resizes slices of one shape to ``size`` x ``size`` pixels as skimage.transform.resize does.

    Cubic splines (order 3), Gaussian smoothing first along an axis that gets shorter, mirrored edges, range kept, side
    ratio not kept. Every step is linear along one axis, so the whole is one matrix per axis.
    """

    def __init__(self, rows: int, columns: int, size: int) -> None:
        self._down = _resizing_matrix(rows, size)
        self._across = self._down if rows == columns else _resizing_matrix(columns, size)

    def __call__(self, picture: NDArray) -> NDArray[np.float64]:
        """(rows, columns) to (size, size); never outside the picture's own range."""
        values = picture.astype(np.float64)
        resized = self._down @ values @ self._across.T
        return np.asarray(np.clip(resized, values.min(), values.max()))


def network_input(grey: NDArray[np.uint8], resizer: SliceResizer, *, fixed: bool = False) -> NDArray[np.float32] | None:
    """One slice's grey values as the network takes them: (size, size) in 0 to 1; its three channels are all the same.

    Stretched to the whole range on its own unless ``fixed``. None for a slice without contrast: the network would
    draw a mask on it all the same. Of MedSAM's two published forms this is the one of its training data, which does
    not cut off fractions again after resizing.
    """
    if grey.min() == grey.max():
        return None
    resized = resizer(grey)
    if fixed:
        return np.asarray(resized / 255, dtype=np.float32)
    low, high = resized.min(), resized.max()
    return np.asarray((resized - low) / max(high - low, 1e-8), dtype=np.float32)


def otsu_threshold(values: NDArray) -> float:
    """The value that splits ``values`` into two classes with the largest variance between them (Otsu 1979)."""
    low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values, bins=256, range=(low, high if high > low else low + 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
        between = np.nan_to_num(below * above * difference**2)
    # Between two classes far apart every cut is as good; the middle one is taken.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[1 + int(best[len(best) // 2])])


def _head_values(array: NDArray) -> tuple[NDArray, float | None]:
    """The values whose percentiles bound the scale, and the background value that stays 0.

    MedSAM takes the voxels above 0. That needs a background of exactly 0, so other scans are taken apart: values
    normalised round 0 with a background of 0, a constant background of another value, and noise in air.
    """
    nothing = np.count_nonzero(array == 0)
    stop_point()
    if nothing >= _BACKGROUND_SHARE * array.size:
        negative = np.count_nonzero(array < 0)
        if negative <= _NEGATIVE_SHARE * (array.size - nothing):
            return array[array > 0], 0.0
        return array[array != 0], 0.0
    lowest = array.min()
    if np.count_nonzero(array == lowest) >= _BACKGROUND_SHARE * array.size:
        return array[array > lowest], float(lowest)
    threshold = otsu_threshold(array)
    rim = np.concatenate([part.ravel() for part in _rims(array)])
    # A scan cropped to the head has no air at its rim; every voxel of it counts then.
    return (array[array > threshold], None) if np.median(rim) <= threshold else (array.ravel(), None)


def _rims(array: NDArray) -> Iterator[NDArray]:
    """The outermost rows and columns of all slices."""
    yield from (array[:, 0], array[:, -1], array[:, :, 0], array[:, :, -1])


def _clipped_range(array: NDArray, lower: float, upper: float) -> tuple[float, float]:
    """Smallest and largest value of the scan after clipping."""
    return min(max(float(array.min()), lower), upper), min(max(float(array.max()), lower), upper)


def _resizing_matrix(length: int, size: int) -> NDArray[np.float64]:
    """(size, length) weights that resize a line."""
    unit = np.eye(length)
    if size < length:
        unit = ndimage.gaussian_filter1d(unit, (length / size - 1) / 2, axis=0, mode="mirror")
    if length == 1:
        return np.ones((size, 1))
    # Order 3 along axis 0; the columns are independent lines, so nothing is interpolated between them.
    lines = [ndimage.zoom(unit[:, n], size / length, order=3, mode="mirror", grid_mode=True) for n in range(length)]
    return np.stack(lines, axis=1)
