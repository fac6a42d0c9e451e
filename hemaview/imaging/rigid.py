"""A rigid map of points from one scan's patient space to another's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_TOLERANCE = 1e-6


@dataclass(frozen=True)
class RigidMap:
    """A turn and a shift: ``matrix`` holds 4 x 4 numbers row by row and takes LPS mm to LPS mm.

    Raises ``ValueError`` for a matrix that stretches, shears, mirrors or is not finite.
    """

    matrix: tuple[float, ...] = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", tuple(float(value) for value in self.matrix))
        if len(self.matrix) != 16 or not np.all(np.isfinite(self.matrix)):
            raise ValueError("a rigid map has 4 x 4 finite numbers")
        turn = self._array[:3, :3]
        off = np.abs(turn @ turn.T - np.eye(3)).max()
        if off > _TOLERANCE or np.linalg.det(turn) < 0 or tuple(self.matrix[12:]) != (0, 0, 0, 1):
            raise ValueError("a rigid map only turns and shifts")

    @classmethod
    def of(cls, rotation: ArrayLike, shift: ArrayLike) -> RigidMap:
        """The map p -> ``rotation`` p + ``shift``; (3, 3) or its 9 numbers row by row, and (3,) in mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.asarray(rotation, dtype=np.float64).reshape(3, 3)
        matrix[:3, 3] = shift
        return cls(tuple(matrix.ravel()))

    def __call__(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points ``(..., 3)`` in LPS mm on the other side."""
        matrix = self._array
        return np.asarray(np.asarray(points, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3])

    @property
    def inverse(self) -> RigidMap:
        """The way back."""
        back = self._array[:3, :3].T
        return RigidMap.of(back, -back @ self._array[:3, 3])

    def after(self, first: RigidMap) -> RigidMap:
        """``first``, and then this map."""
        return RigidMap(tuple((self._array @ first._array).ravel()))

    @property
    def _array(self) -> NDArray[np.float64]:
        return np.asarray(self.matrix, dtype=np.float64).reshape(4, 4)
