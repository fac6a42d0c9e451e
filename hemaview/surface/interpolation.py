"""From thick slices to a fine isotropic field whose level surface has no terraces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SMOOTHING_VOXELS = 0.7
_PADDING = 3
_MOST_VOXELS = 2_500_000
_REACH = 1.5
"""Distances saturate at this many slice spacings, so that the last slice of a body ends half a slice beyond it."""


@dataclass(frozen=True, eq=False)
class FineField:
    """``values[k, j, i]`` in mm, positive inside, on a grid from ``start`` in steps of ``step`` voxels (k, j, i)."""

    values: NDArray[np.float32]
    start: NDArray[np.float64]
    step: NDArray[np.float64]

    def to_index(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Voxel indices (i, j, k) of the original mask at points (i, j, k) of the fine grid."""
        return np.asarray(points * self.step[::-1] + self.start[::-1])


def interpolate_slices(mask: NDArray[np.bool_], spacing: tuple[float, float, float], finest: float) -> FineField:
    """Shape-based interpolation of ``mask[k, j, i]``, ``spacing`` in mm along (k, j, i), to isotropic voxels.

    Every slice across the coarsest axis becomes a signed distance to its own outline; these are
    interpolated by cubic splines to steps of ``finest`` mm (or more, to stay within memory), and smoothed by
    0.7 voxels. The level that encloses the mask's volume is near 0.
    """
    from scipy import ndimage

    axis = int(np.argmax(spacing))
    flat = np.moveaxis(np.pad(mask, _PADDING), axis, 0)
    in_plane = [s for a, s in enumerate(spacing) if a != axis]
    reach = _REACH * spacing[axis]
    field = np.full(flat.shape, -reach, dtype=np.float32)
    for index in np.flatnonzero(flat.any(axis=(1, 2))):
        field[index] = reach * np.tanh(_signed_distance(flat[index], in_plane) / reach)
    field = np.moveaxis(field, 0, axis)

    extent = np.prod((np.array(field.shape) - 1.0) * np.asarray(spacing))
    h = max(finest, float(np.cbrt(extent / _MOST_VOXELS)))
    steps = np.ones(3)
    for a in range(3):
        if spacing[a] > 1.01 * h or spacing[a] < 0.75 * h:
            steps[a] = h / spacing[a]
            field = _resample(field, a, steps[a])
    field = ndimage.gaussian_filter(field, _SMOOTHING_VOXELS, mode="nearest", truncate=3.0)
    return FineField(field, np.full(3, -float(_PADDING)), steps)


def _signed_distance(outline: NDArray[np.bool_], spacing: list[float]) -> NDArray[np.float32]:
    """Distance in mm to the edge between the pixels, positive inside."""
    from scipy import ndimage

    half = min(spacing) / 2
    inside = ndimage.distance_transform_edt(outline, sampling=spacing)
    outside = ndimage.distance_transform_edt(~outline, sampling=spacing)
    return np.asarray(np.where(outline, inside - half, half - outside), dtype=np.float32)


def _resample(field: NDArray[np.float32], axis: int, step: float) -> NDArray[np.float32]:
    """Cubic-spline samples along ``axis`` at 0, step, 2 step, ...; one small matrix times the whole field."""
    from scipy import ndimage

    length = field.shape[axis]
    targets = np.arange(0, length - 1 + 1e-9, step)
    places = np.meshgrid(targets, np.arange(length), indexing="ij")
    matrix = ndimage.map_coordinates(np.eye(length), places, order=3, mode="mirror").astype(np.float32)
    moved = np.moveaxis(field, axis, 0)
    out = matrix @ moved.reshape(length, -1)
    return np.ascontiguousarray(np.moveaxis(out.reshape(len(targets), *moved.shape[1:]), 0, axis))
