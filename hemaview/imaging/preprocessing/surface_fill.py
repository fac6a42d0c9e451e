"""Which voxels lie inside a closed triangle surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Voxel lines never meet a vertex or an edge of the surface exactly.
_ASIDE = np.array([1.3e-6, 2.7e-6])


def inside_surface(
    vertices: NDArray[np.float64], faces: NDArray[np.intp], shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Voxels ``[k, j, i]`` of a grid of ``shape`` whose centre lies inside a closed surface.

    ``vertices`` is (n, 3), voxel indices in the order i, j, k; ``faces`` is (m, 3). Every line of voxels along k is
    inside after an odd number of crossings (even-odd rule), so the surface need not be convex or star-shaped.
    """
    slices, rows, columns = shape
    turns = np.zeros((slices + 1, rows, columns), dtype=np.bool_)
    corners = vertices[faces] + np.array([*_ASIDE, 0.0])
    low = np.maximum(np.ceil(corners[:, :, :2].min(axis=1)), 0).astype(int)
    high = np.minimum(np.floor(corners[:, :, :2].max(axis=1)), (columns - 1, rows - 1)).astype(int)
    spans = high - low + 1
    for width, height in {(int(w), int(h)) for w, h in spans if w > 0 and h > 0}:
        these = np.all(spans == (width, height), axis=1)
        i = low[these, 0, None, None] + np.arange(width)
        j = low[these, 1, None, None] + np.arange(height)[:, None]
        i, j = np.broadcast_arrays(i, j)
        depth, hit = _crossings(corners[these], i, j)
        k = np.clip(np.ceil(depth[hit]), 0, slices).astype(int)
        np.logical_xor.at(turns, (k, j[hit], i[hit]), True)
    return np.logical_xor.accumulate(turns[:slices], axis=0)


def _crossings(
    corners: NDArray[np.float64], i: NDArray[np.intp], j: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Depth k at which the lines (i, j), each (m, height, width), pass the m triangles, and whether they do."""
    a, b, c = (corners[:, n, :, None, None] for n in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    area = np.where(area == 0, np.inf, area)
    to_b = ((i - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (j - a[:, 1])) / area
    to_c = ((b[:, 0] - a[:, 0]) * (j - a[:, 1]) - (i - a[:, 0]) * (b[:, 1] - a[:, 1])) / area
    hit = (to_b > 0) & (to_c > 0) & (to_b + to_c < 1) & np.isfinite(area)
    return a[:, 2] + to_b * (b[:, 2] - a[:, 2]) + to_c * (c[:, 2] - a[:, 2]), hit
