"""A head with folds as fine as a brain's, on any grid, before and after it moved."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.imaging.rigid import RigidMap

THICK = Geometry((56, 66, 30), (3.0, 3.0, 5.0), (-82.5, -97.5, -72.5))
THIN = Geometry((64, 74, 50), (2.7, 2.7, 3.0), (-85.0, -98.0, -73.5))
MOVE = RigidMap.of(Rotation.from_rotvec(np.radians(5) * np.array([2, -1, 2]) / 3).as_matrix(), (5.3, -5.3, 2.7))
"""Takes a place in the head to where it is afterwards: 5 degrees and 8 mm."""
LANDMARKS = np.array([[30.0, -20.0, 15.0], [-35.0, 25.0, -10.0], [0.0, -50.0, 30.0], [10.0, 40.0, -30.0]])
LESION_AT, LESION_MM = np.array([28.0, -15.0, 10.0]), 20.0

#           middle, half axes in mm, value: scalp, skull, brain, two ventricles, a clot, a cyst
_BODIES = (
    ((0, 0, 0), (72, 88, 68), 700),
    ((0, 0, 0), (67, 83, 63), 60),
    ((0, 0, 0), (62, 78, 58), 400),
    ((12, -8, 10), (6, 26, 9), 90),
    ((-12, -8, 10), (5, 22, 9), 90),
    ((28, -15, 10), (20, 20, 20), 800),
    ((-30, 30, -20), (10, 8, 12), 180),
)


def moved_head(geometry: Geometry, move: RigidMap | None = None) -> Volume:
    """The head on a grid, after ``move``."""
    points = _places(geometry, move)
    values = np.zeros(geometry.shape)
    for middle, axes, value in _BODIES:
        values[(np.square((points - middle) / np.array(axes)).sum(axis=-1)) < 1] = value
    x, y, z = np.moveaxis(points, -1, 0)
    folds = np.sin(x / 4 + 0.6) * np.cos(y / 5) + np.sin(y / 4.5 + z / 6) * np.cos(z / 5 - x / 9)
    values[values > 300] *= 1 + 0.15 * folds[values > 300]
    values += np.random.default_rng(2).normal(0, 8, geometry.shape)
    return Volume(np.abs(values).astype(np.float32), geometry, Modality.MR)


def lesion(geometry: Geometry, move: RigidMap | None = None) -> LabelMap:
    """Its clot on a grid, after ``move``."""
    return LabelMap(np.linalg.norm(_places(geometry, move) - LESION_AT, axis=-1) < LESION_MM, geometry)


def _places(geometry: Geometry, move: RigidMap | None) -> np.ndarray:
    k, j, i = np.indices(geometry.shape)
    points = geometry.index_to_lps(np.stack([i, j, k], axis=-1))
    return points if move is None else move.inverse(points)
