"""Where the voxels of a grid lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hemaview.errors import ScanError

AXIS_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))
"""For x, y, z of the LPS frame: the letter in the negative and in the positive direction."""

_UNIT_TOLERANCE = 1e-4
_ORTHOGONAL_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Geometry:
    """The grid of a scan or mask in LPS millimetres (DICOM, ITK).

    ``size``, ``spacing``, ``origin`` and ``direction`` follow SimpleITK's order (x, y, z = column i,
    row j, slice k); arrays on this grid have shape ``size[::-1]`` and are indexed ``[k, j, i]``.
    ``direction`` is row-major 3 x 3; its columns are unit vectors along i, j and k. They need not be
    orthogonal: a gantry tilt or a sheared affine is carried exactly. ``origin`` is the centre of voxel
    (0, 0, 0).

    Raises ``ScanError`` for a size below 1, a spacing that is not finite and positive, a non-unit
    direction column, or axes that span no volume.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(int(n) for n in self.size))
        object.__setattr__(self, "spacing", tuple(float(s) for s in self.spacing))
        object.__setattr__(self, "origin", tuple(float(o) for o in self.origin))
        object.__setattr__(self, "direction", tuple(float(d) for d in np.ravel(self.direction)))
        if len(self.size) != 3 or min(self.size) < 1:
            raise ScanError(
                f"The scan has the size {self.size}; at least one voxel along each of three axes is needed."
            )
        numbers = np.array([*self.spacing, *self.origin, *self.direction])
        if len(numbers) != 15 or not np.all(np.isfinite(numbers)) or min(self.spacing) <= 0:
            raise ScanError(
                f"The scan's voxel spacing {self.spacing} or position is not usable; "
                "export it again from the scanner or PACS."
            )
        columns = self.axes
        if np.max(np.abs(np.linalg.norm(columns, axis=0) - 1)) > _UNIT_TOLERANCE or abs(np.linalg.det(columns)) < 1e-3:
            raise ScanError("The scan's axes are not valid directions; export it again from the scanner or PACS.")

    @classmethod
    def from_affine(cls, affine: ArrayLike, size: tuple[int, int, int]) -> Geometry:
        """Build a geometry from a 4 x 4 matrix that takes (i, j, k, 1) to LPS mm, and the size (i, j, k)."""
        matrix = np.asarray(affine, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
            raise ScanError("The scan's affine matrix is not usable; export it again from its original software.")
        columns = matrix[:3, :3]
        spacing = np.linalg.norm(columns, axis=0)
        if np.min(spacing) <= 0:
            raise ScanError(
                "The scan's affine matrix has an axis without length; export it again from its original software."
            )
        x, y, z = (float(v) for v in spacing)
        ox, oy, oz = (float(v) for v in matrix[:3, 3])
        return cls(size, (x, y, z), (ox, oy, oz), tuple(float(v) for v in (columns / spacing).ravel()))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape ``(slices, rows, columns)``."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def axes(self) -> NDArray[np.float64]:
        """(3, 3) unit vectors in LPS; column 0 along i (columns of the image), 1 along j, 2 along k."""
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) matrix from (i, j, k, 1), voxel centres at integers, to LPS mm. Treat as read-only."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.axes * np.asarray(self.spacing)
        matrix[:3, 3] = self.origin
        matrix.setflags(write=False)
        return matrix

    @cached_property
    def inverse_affine(self) -> NDArray[np.float64]:
        """(4, 4) matrix from LPS mm to continuous (i, j, k, 1). Treat as read-only."""
        matrix = np.asarray(np.linalg.inv(self.affine), dtype=np.float64)
        matrix.setflags(write=False)
        return matrix

    @property
    def voxel_volume_ml(self) -> float:
        """|det| of the grid in mL; right for tilted and sheared grids too."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @property
    def slice_spacing_mm(self) -> float:
        """Distance between neighbouring slices along the slice normal; the step along k minus any shear."""
        normal = np.cross(self.axes[:, 0], self.axes[:, 1])
        return float(abs(np.dot(normal / np.linalg.norm(normal), self.axes[:, 2])) * self.spacing[2])

    @property
    def is_sheared(self) -> bool:
        """Whether the axes are not at right angles to each other (gantry tilt, sheared affine)."""
        gram = self.axes.T @ self.axes
        return bool(np.max(np.abs(gram - np.eye(3))) > _ORTHOGONAL_TOLERANCE)

    @property
    def is_left_handed(self) -> bool:
        """Whether the axes (i, j, k) form a left-handed system."""
        return bool(np.linalg.det(self.axes) < 0)

    def index_to_lps(self, ijk: ArrayLike) -> NDArray[np.float64]:
        """LPS mm of continuous voxel indices ``(..., 3)`` in the order i, j, k; integers are voxel centres."""
        points = np.asarray(ijk, dtype=np.float64)
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3])

    def lps_to_index(self, lps: ArrayLike) -> NDArray[np.float64]:
        """Continuous voxel indices (i, j, k), ``(..., 3)``, of LPS points in mm; integers are voxel centres."""
        points = np.asarray(lps, dtype=np.float64)
        return np.asarray(points @ self.inverse_affine[:3, :3].T + self.inverse_affine[:3, 3])

    def matches(self, other: Geometry, tolerance_mm: float = 1e-2) -> bool:
        """Whether two grids have the same size and their corners lie within ``tolerance_mm`` of each other."""
        if self.size != other.size:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size], indexing="ij")).reshape(3, -1).T
        return bool(np.max(np.abs(self.index_to_lps(corners) - other.index_to_lps(corners))) <= tolerance_mm)
