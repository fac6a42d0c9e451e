"""Grids that image filters can work on, and the way from a scan's own grid to them and back.

ITK's filters and every formula in millimetres need slices at equal distances and axes at right angles; a scan with a
tilted gantry or uneven slices has neither. What needs such a grid works on a copy sampled through
``Geometry.index_to_lps`` and ``lps_to_index``, and only its answer comes back to the scan's voxels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging.geometry import Geometry

Progress = Callable[[float], None]
"""Is told how far the work is, 0 to 1, and may raise ``Cancelled``."""

PointMove = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Takes LPS points ``(..., 3)`` in mm to other LPS points."""


def is_even(geometry: Geometry) -> bool:
    """Whether slices lie at equal distances and all axes at right angles."""
    return not (geometry.is_uneven or geometry.is_sheared)


def part_of(progress: Progress | None, start: float, stop: float) -> Progress:
    """The progress of a part of the work that begins at ``start`` and ends at ``stop`` of the whole."""
    if progress is None:
        return lambda fraction: None
    return lambda fraction: progress(start + (stop - start) * fraction)


def even_grid(geometry: Geometry, spacing: tuple[float, float, float]) -> Geometry:
    """The smallest grid of ``spacing`` (x, y, z) in mm with axes at right angles that covers all of ``geometry``.

    Its axes are those of ``geometry``, crooked ones turned to the nearest right angles; i stays.
    """
    i, j, k = geometry.axes.T
    j = j - np.dot(j, i) * i
    j /= np.linalg.norm(j)
    normal = np.cross(i, j)
    axes = np.stack([i, j, normal if np.dot(normal, k) > 0 else -normal], axis=1)
    faces = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in geometry.size], indexing="ij")).reshape(3, -1).T
    along = geometry.index_to_lps(faces) @ axes
    lowest, highest = along.min(axis=0), along.max(axis=0)
    sx, sy, sz = (int(n) for n in np.maximum(1, np.ceil((highest - lowest) / spacing - 1e-6)))
    # The new voxels share the old extent's middle, so that neither end gains.
    first = (lowest + highest) / 2 - (np.array([sx, sy, sz]) - 1) / 2 * np.asarray(spacing)
    x, y, z = (float(v) for v in axes @ first)
    return Geometry((sx, sy, sz), spacing, (x, y, z), tuple(float(v) for v in axes.ravel()))


def sample(
    array: NDArray,
    source: Geometry,
    target: Geometry,
    *,
    move: PointMove | None = None,
    fill: float | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Values of ``array[k, j, i]`` on ``source`` at the voxels of ``target``, float32, linear between voxels.

    ``move`` takes a point of the target to the point of the source that belongs there; without it both lie in the
    same place. Outside the source lies ``fill``, or with None the value at its border.
    """
    from scipy import ndimage

    j, i = np.indices(target.shape[1:], dtype=np.float64)
    found = np.empty(target.shape, dtype=np.float32)
    values = np.asarray(array, dtype=np.float32)
    last = np.asarray(source.size, dtype=np.float64) - 0.5
    for k in range(target.shape[0]):
        points = target.index_to_lps(np.stack([i, j, np.full_like(i, k)], axis=-1))
        indices = source.lps_to_index(points if move is None else move(points))
        page = ndimage.map_coordinates(values, np.moveaxis(indices, -1, 0)[::-1], order=1, mode="nearest")
        if fill is not None:
            page[np.any((indices < -0.5) | (indices > last), axis=-1)] = fill
        found[k] = page
        if progress is not None:
            progress((k + 1) / target.shape[0])
    return found


@dataclass(frozen=True, eq=False)
class Joined:
    """A scan with whole voxels joined into larger ones: float32 means ``[k, j, i]``.

    ``counts`` (x, y, z) says how many were joined along each axis, ``shape`` is the scan's own. What is left over at
    the far ends belongs to the last of the larger voxels.
    """

    array: NDArray[np.float32]
    geometry: Geometry
    counts: tuple[int, int, int]
    shape: tuple[int, int, int]

    @classmethod
    def to(cls, array: NDArray, geometry: Geometry, step_mm: float) -> Joined:
        """Join as many voxels as fit into ``step_mm`` along each axis; uneven slices are never joined."""
        counts = [max(1, int(np.floor(step_mm / s + 1e-6))) for s in geometry.spacing]
        if geometry.is_uneven:
            counts[2] = 1
        cx, cy, cz = (min(count, n) for count, n in zip(counts, geometry.size, strict=True))
        nx, ny, nz = (n // count for n, count in zip(geometry.size, (cx, cy, cz), strict=True))
        blocks = array[: nz * cz, : ny * cy, : nx * cx].reshape(nz, cz, ny, cy, nx, cx)
        x, y, z = (float(v) for v in geometry.index_to_lps((np.array([cx, cy, cz]) - 1) / 2))
        sx, sy, sz = geometry.spacing
        joined = Geometry(
            (nx, ny, nz), (sx * cx, sy * cy, sz * cz), (x, y, z), geometry.direction, geometry.slice_positions
        )
        means = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
        return cls(means, joined, (cx, cy, cz), geometry.shape)

    def spread(self, array: NDArray) -> NDArray:
        """An array of the larger voxels on the scan's own grid, every voxel with the value of the one it went into."""
        places = [
            np.minimum(np.arange(n) // count, size - 1)
            for n, count, size in zip(self.shape, self.counts[::-1], self.array.shape, strict=True)
        ]
        return np.asarray(array[np.ix_(*places)])
