"""How irregular a haematoma is, free of the staircase of its voxels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import Geometry, LabelMap

HII_LIMIT = 124.0
"""Above it a hand formula is not to be trusted (BMC Neurology 2022, expansion cut-off 123.8)."""

_SMOOTHING_MM = 1.0
_SMALLEST_SIGMA = 0.7
_REACH = 4.0


def smooth_surface_area_mm2(mask: LabelMap) -> float:
    """Area in mm2 of the mask's surface after smoothing away the voxel staircase; 0 for an empty mask.

    A voxel staircase has 1.5 times the area of the sphere it stands for. By the co-area formula the integral
    of |grad (G * mask)| is the mean area of the smoothed field's level surfaces; G is a Gaussian of
    1 mm, or 0.7 voxel where voxels are larger. Any smooth field will do, so unevenly spaced slices are smoothed by
    their number; gradient and volume then follow their true places.
    """
    from scipy import ndimage

    bounds = mask.bounds()
    if bounds is None:
        return 0.0
    geometry = mask.geometry
    field, factors = _averaged(mask.array[bounds], geometry.spacing[::-1], geometry.is_uneven)
    steps = [step * factor for step, factor in zip(geometry.spacing[::-1], factors, strict=True)]
    sigma = [max(_SMOOTHING_MM / step, _SMALLEST_SIGMA) for step in steps]
    margins = [math.ceil(_REACH * s) + 1 for s in sigma]
    field = np.pad(field, [(margin, margin) for margin in margins])
    for axis, width in enumerate(sigma):
        field = ndimage.gaussian_filter1d(field, width, axis=axis, truncate=_REACH, mode="constant")
    slope = list(np.gradient(field))  # along k, j, i per averaged voxel
    stretch = _stretch(geometry, bounds[0], margins[0]) if geometry.is_uneven else None
    if stretch is not None:
        slope[0] /= stretch[:, None, None].astype(np.float32)
    columns = geometry.affine[:3, :3] * np.array(factors[::-1])
    metric = np.linalg.inv(columns)
    metric = metric @ metric.T  # |g|2 in mm of a covector g given per voxel, also on sheared grids
    squared = np.zeros_like(field)
    for row in range(3):
        for column in range(row, 3):
            weight = float(metric[row, column]) * (1.0 if row == column else 2.0)
            if abs(weight) > 1e-12:
                squared += np.float32(weight) * slope[2 - row] * slope[2 - column]
    np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
    pages = squared.sum(axis=(1, 2), dtype=np.float64)
    if stretch is not None:
        pages *= stretch
    return float(pages.sum()) * abs(float(np.linalg.det(columns)))


def _stretch(geometry: Geometry, slices: slice, margin: int) -> NDArray[np.float64]:
    """How much thicker than the mean each of ``slices`` is, with ``margin`` slices on either side."""
    ways = geometry.index_to_mm([(0, 0, k) for k in range(slices.start - margin, slices.stop + margin)])[:, 2]
    return np.asarray(np.gradient(ways) / geometry.spacing[2])


def _averaged(
    mask: NDArray[np.bool_], spacing: tuple[float, ...], keep_slices: bool
) -> tuple[NDArray[np.float32], list[int]]:
    """The mask averaged over blocks of at most the smoothing's width, and voxels per block; finer is only slower.

    ``keep_slices`` leaves unevenly spaced slices, of which no two may count alike, as they are.
    """
    factors = [max(1, int(_SMOOTHING_MM / step)) for step in spacing]
    if keep_slices:
        factors[0] = 1
    spare = [(0, -length % factor) for length, factor in zip(mask.shape, factors, strict=True)]
    padded = np.pad(mask, spare)
    k, j, i = (length // factor for length, factor in zip(padded.shape, factors, strict=True))
    blocks = padded.reshape(k, factors[0], j, factors[1], i, factors[2])
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32), factors


def irregularity_index(mask: LabelMap) -> float:
    """Haematoma irregularity index 100 sqrt(S / 4 pi) / cbrt(3 V / 4 pi): a sphere has 100; NaN when empty."""
    volume = mask.geometry.volume_ml(mask.array) * 1000
    if volume == 0:
        return math.nan
    area = smooth_surface_area_mm2(mask)
    return 100 * math.sqrt(area / (4 * math.pi)) / math.cbrt(3 * volume / (4 * math.pi))
