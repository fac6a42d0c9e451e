"""From thick or uneven slices to a fine isotropic field whose level surface has no terraces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import Geometry, LabelMap

_SMOOTHING_VOXELS = 0.7
_PADDING = 3
_MOST_VOXELS = 2_500_000
_REACH = 1.5
"""Distances saturate at this many slice spacings, so that the last slice of a body ends half a slice beyond it."""


@dataclass(frozen=True, eq=False)
class FineField:
    """``values[k, j, i]`` in mm, positive inside, on ``geometry``: an even grid along the mask's own axes."""

    values: NDArray[np.float32]
    geometry: Geometry


def interpolate_slices(body: LabelMap, finest: float) -> FineField:
    """Shape-based interpolation of a mask, cut out with one empty voxel on every side, to isotropic voxels round it.

    Every slice across the coarsest axis, or across the one with uneven steps, becomes a signed distance to its own
    outline; these are interpolated by cubics to steps of ``finest`` mm (or more, to stay within memory), and
    smoothed by 0.7 voxels. The level that encloses the mask's volume is near 0.
    """
    from scipy import ndimage

    k, j, i = body.array.shape
    geometry = body.geometry.cropped((slice(0, k), slice(0, j), slice(0, i)), _PADDING - 1)
    spacing = geometry.spacing[::-1]
    axis = 0 if geometry.is_uneven else int(np.argmax(spacing))
    flat = np.moveaxis(np.pad(body.array, _PADDING - 1), axis, 0)
    in_plane = [s for a, s in enumerate(spacing) if a != axis]
    reach = _REACH * max(spacing[axis], float(geometry.slice_steps_mm.max()) if axis == 0 else 0.0)
    field = np.full(flat.shape, -reach, dtype=np.float32)
    for index in np.flatnonzero(flat.any(axis=(1, 2))):
        field[index] = reach * np.tanh(_signed_distance(flat[index], in_plane) / reach)
    field = np.moveaxis(field, 0, axis)

    extent = np.prod((np.array(field.shape) - 1.0) * np.asarray(spacing))
    h = max(finest, float(np.cbrt(extent / _MOST_VOXELS)))
    steps = list(spacing)
    for a in range(3):
        if a == 0 and geometry.is_uneven:
            steps[a] = h
            field = _between_slices(field, geometry.slice_places_mm, h)
        elif spacing[a] > 1.01 * h or spacing[a] < 0.75 * h:
            steps[a] = h
            field = _resampled(field, a, _even_spline_matrix(field.shape[a], h / spacing[a]))
    field = ndimage.gaussian_filter(field, _SMOOTHING_VOXELS, mode="nearest", truncate=3.0)
    depth, rows, columns = field.shape
    fine = Geometry((columns, rows, depth), (steps[2], steps[1], steps[0]), geometry.origin, geometry.direction)
    return FineField(field, fine)


def _signed_distance(outline: NDArray[np.bool_], spacing: list[float]) -> NDArray[np.float32]:
    """Distance in mm to the edge between the pixels, positive inside."""
    from scipy import ndimage

    half = min(spacing) / 2
    inside = ndimage.distance_transform_edt(outline, sampling=spacing)
    outside = ndimage.distance_transform_edt(~outline, sampling=spacing)
    return np.asarray(np.where(outline, inside - half, half - outside), dtype=np.float32)


def _resampled(field: NDArray[np.float32], axis: int, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """``field`` with ``matrix`` (targets, length) applied along ``axis``."""
    moved = np.moveaxis(field, axis, 0)
    out = matrix @ moved.reshape(len(moved), -1)
    return np.ascontiguousarray(np.moveaxis(out.reshape(len(matrix), *moved.shape[1:]), 0, axis))


def _even_spline_matrix(length: int, step: float) -> NDArray[np.float32]:
    """(targets, length) weights of cubic-spline samples at 0, step, 2 step, ... voxels."""
    from scipy import ndimage

    targets = np.arange(0, length - 1 + 1e-9, step)
    places = np.meshgrid(targets, np.arange(length), indexing="ij")
    return np.asarray(ndimage.map_coordinates(np.eye(length), places, order=3, mode="mirror"), dtype=np.float32)


def _between_slices(field: NDArray[np.float32], places: NDArray[np.float64], step: float) -> NDArray[np.float32]:
    """``field`` sampled every ``step`` mm along its first axis, whose values lie at ``places``.

    By monotone cubics (Fritsch and Carlson), because a spline overshoots beside two slices that nearly coincide; row by
    row, because they take several times the memory.
    """
    from scipy.interpolate import PchipInterpolator

    targets = np.arange(0, places[-1] + 1e-9, step)
    fine = np.empty((len(targets), *field.shape[1:]), dtype=np.float32)
    for row in range(field.shape[1]):
        fine[:, row] = PchipInterpolator(places, field[:, row], axis=0)(targets)
    return fine
