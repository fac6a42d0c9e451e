"""How irregular a haematoma is, free of the staircase of its voxels."""

from __future__ import annotations

import math

import numpy as np

from hemaview.imaging import LabelMap

HII_LIMIT = 124.0
"""Above it a hand formula is not to be trusted (BMC Neurology 2022, expansion cut-off 123.8)."""

_SMOOTHING_MM = 1.0
_SMALLEST_SIGMA = 0.7
_REACH = 4.0


def smooth_surface_area_mm2(mask: LabelMap) -> float:
    """Area in mm2 of the mask's surface after smoothing away the voxel staircase; 0 for an empty mask.

    A voxel staircase has 1.5 times the area of the sphere it stands for. By the co-area formula the integral
    of |grad (G * mask)| is the mean area of the smoothed field's level surfaces; G is a Gaussian of
    1 mm, or 0.7 voxel where voxels are larger.
    """
    from scipy import ndimage

    bounds = mask.bounds()
    if bounds is None:
        return 0.0
    sigma = [max(_SMOOTHING_MM / step, _SMALLEST_SIGMA) for step in mask.geometry.spacing[::-1]]
    padding = [(math.ceil(_REACH * s) + 1,) * 2 for s in sigma]
    field = np.pad(mask.array[bounds].astype(np.float32), padding)
    for axis, width in enumerate(sigma):
        field = ndimage.gaussian_filter1d(field, width, axis=axis, truncate=_REACH, mode="constant")
    slope = np.gradient(field)  # along k, j, i per voxel
    metric = np.linalg.inv(mask.geometry.affine[:3, :3])
    metric = metric @ metric.T  # |g|2 in mm of a covector g given per voxel, also on sheared grids
    squared = np.zeros_like(field)
    for row in range(3):
        for column in range(row, 3):
            weight = float(metric[row, column]) * (1.0 if row == column else 2.0)
            if abs(weight) > 1e-12:
                squared += np.float32(weight) * slope[2 - row] * slope[2 - column]
    total = float(np.sqrt(np.maximum(squared, 0, out=squared), out=squared).sum(dtype=np.float64))
    return total * mask.geometry.voxel_volume_ml * 1000


def irregularity_index(mask: LabelMap) -> float:
    """Haematoma irregularity index 100 sqrt(S / 4 pi) / cbrt(3 V / 4 pi): a sphere has 100; NaN when empty."""
    volume = mask.voxel_count * mask.geometry.voxel_volume_ml * 1000
    if volume == 0:
        return math.nan
    area = smooth_surface_area_mm2(mask)
    return 100 * math.sqrt(area / (4 * math.pi)) / math.cbrt(3 * volume / (4 * math.pi))
