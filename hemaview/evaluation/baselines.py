"""What the box alone already says: the ellipse and the ellipsoid inscribed in it.

Any engine must beat these; every table of results shows them beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hemaview.imaging import Geometry, LabelMap
from hemaview.segmentation import BoxPrompt


def inscribed_ellipse(shape: tuple[int, int], box_xyxy: ArrayLike) -> NDArray[np.bool_]:
    """Boolean ``[j, i]`` picture of the ellipse inscribed in a rectangle on one slice.

    ``box_xyxy`` = (i0, j0, i1, j1): face positions in voxel units (voxel n covers n - 0.5 to n + 0.5).
    A voxel belongs to the ellipse when its centre does; an affine map takes ellipses to ellipses, so this is
    the inscribed ellipse in mm on any grid.
    """
    i0, j0, i1, j1 = (float(v) for v in np.asarray(box_xyxy, dtype=np.float64))
    return _quadric(shape, (j0, i0), (j1, i1))


def inscribed_ellipsoid(prompt: BoxPrompt, geometry: Geometry) -> LabelMap:
    """The ellipsoid inscribed in a 3D box, on the scan's grid.

    Raises ``PromptError`` for a box outside the scan or without area.
    """
    prompt.clipped_bounds(geometry)
    lower, upper = prompt.index_bounds(geometry)
    return LabelMap(_quadric(geometry.shape, lower[::-1], upper[::-1]), geometry)


def _quadric(shape: tuple[int, ...], lower: ArrayLike, upper: ArrayLike) -> NDArray[np.bool_]:
    """Voxels whose centre lies in the ellipsoid between the faces ``lower`` and ``upper`` (array order)."""
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    total = np.zeros(shape, dtype=np.float32)
    for axis, size in enumerate(shape):
        half = (high[axis] - low[axis]) / 2
        offset = ((np.arange(size) - (low[axis] + high[axis]) / 2) / half) ** 2
        total += offset.astype(np.float32).reshape([-1 if n == axis else 1 for n in range(len(shape))])
    return np.asarray(total <= 1.0)
