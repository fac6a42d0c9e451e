"""Where the voxels of a grid lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hemaview.errors import ScanError

AXIS_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))
"""For x, y, z of the LPS frame: the letter in the negative and in the positive direction."""

_EVEN_MM = 1e-6
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

    ``slice_positions`` is None for evenly spaced slices. Otherwise it holds the place of every slice's centre
    along axis k, in mm from slice 0, first 0 and rising; ``spacing[2]`` is then their mean step. An even list is
    stored as None, so two equal grids always compare equal.

    Raises ``ScanError`` for a size below 1, a spacing that is not finite and positive, a non-unit
    direction column, axes that span no volume, or slice positions that do not rise from 0.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    slice_positions: tuple[float, ...] | None = None

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
        if self.slice_positions is not None:
            self._take_slice_positions(np.asarray(self.slice_positions, dtype=np.float64))

    def _take_slice_positions(self, positions: NDArray[np.float64]) -> None:
        steps = np.diff(positions)
        if positions.shape != (self.size[2],) or positions[0] != 0 or not np.all(steps > 0):
            raise ScanError("The scan's slice positions do not follow each other; export it again from the PACS.")
        if len(steps) == 0 or np.max(np.abs(positions - np.arange(len(positions)) * steps.mean())) <= _EVEN_MM:
            object.__setattr__(self, "slice_positions", None)
            return
        object.__setattr__(self, "slice_positions", tuple(float(p) for p in positions))
        if abs(self.spacing[2] - steps.mean()) > _EVEN_MM:
            raise ScanError("The scan's slice spacing is not the mean of its slice steps; export it again.")

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
        """(4, 4) matrix from (i, j, k, 1), voxel centres at integers, to LPS mm. Treat as read-only.

        On an uneven grid it is the grid of the mean step that shares the first and the last slice: right for
        axes, tilt and extent, not for the place of a slice. ``index_to_lps`` and ``volume_ml`` know the slices.
        """
        matrix = np.eye(4)
        matrix[:3, :3] = self.axes * np.asarray(self.spacing)
        matrix[:3, 3] = self.origin
        matrix.setflags(write=False)
        return matrix

    @cached_property
    def inverse_affine(self) -> NDArray[np.float64]:
        """(4, 4) matrix from LPS mm to continuous (i, j, k, 1), the inverse of ``affine``. Treat as read-only."""
        matrix = np.asarray(np.linalg.inv(self.affine), dtype=np.float64)
        matrix.setflags(write=False)
        return matrix

    @property
    def is_uneven(self) -> bool:
        """Whether the distance from slice to slice changes along the scan."""
        return self.slice_positions is not None

    @cached_property
    def slice_places_mm(self) -> NDArray[np.float64]:
        """(slices,) place of every slice's centre along axis k in mm, slice 0 at 0. Treat as read-only."""
        if self.slice_positions is None:
            places = np.arange(self.size[2], dtype=np.float64) * self.spacing[2]
        else:
            places = np.array(self.slice_positions, dtype=np.float64)
        places.setflags(write=False)
        return places

    @cached_property
    def slice_steps_mm(self) -> NDArray[np.float64]:
        """(slices,) extent along axis k that belongs to each slice, in mm; half of the gaps on either side.

        The first and the last slice reach as far outwards as inwards. Treat as read-only.
        """
        if self.slice_positions is None:
            steps = np.full(self.size[2], self.spacing[2])
        else:
            gaps = np.diff(self.slice_places_mm)
            steps = np.asarray((np.concatenate((gaps[:1], gaps)) + np.concatenate((gaps, gaps[-1:]))) / 2)
        steps.setflags(write=False)
        return steps

    @property
    def voxel_volume_ml(self) -> float:
        """|det| of the grid in mL; right for tilted and sheared grids too, on an uneven one for the mean step.

        A mask is measured with ``volume_ml``.
        """
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def volume_ml(self, voxels: NDArray) -> float:
        """Volume in mL of voxels ``[k, j, i]`` (boolean or weights) or of their counts per slice, ``(slices,)``.

        Every slice counts with the extent that belongs to it: V = sum of area_k (z_k+1 - z_k-1) / 2.
        """
        if voxels.shape != self.shape and voxels.shape != (self.size[2],):
            raise ValueError(f"voxels of shape {voxels.shape} do not lie on a grid of {self.shape}")
        if voxels.ndim == 1:
            counts = voxels
        elif voxels.dtype == np.bool_:
            counts = np.array([np.count_nonzero(page) for page in voxels])
        else:
            counts = voxels.sum(axis=(1, 2), dtype=np.float64)
        if self.slice_positions is None:
            return float(counts.sum()) * self.voxel_volume_ml
        return float(np.dot(counts, self.slice_steps_mm)) / self.spacing[2] * self.voxel_volume_ml

    @property
    def slice_spacing_mm(self) -> float:
        """Distance between neighbouring slices along the slice normal, the mean one where slices are uneven."""
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

    @cached_property
    def slice_extents_mm(self) -> NDArray[np.float64]:
        """(slices,) extent along the slice normal that belongs to each slice, in mm. Treat as read-only."""
        extents = np.asarray(self.slice_steps_mm * (self.slice_spacing_mm / self.spacing[2]))
        extents.setflags(write=False)
        return extents

    def index_to_mm(self, ijk: ArrayLike) -> NDArray[np.float64]:
        """Way in mm along the voxel axes i, j and k from voxel (0, 0, 0) to continuous indices ``(..., 3)``."""
        points = np.asarray(ijk, dtype=np.float64)
        ways = np.asarray(points * self.spacing)
        if self.slice_positions is not None:
            ways[..., 2] = _along(points[..., 2], np.arange(self.size[2]), self.slice_places_mm)
        return ways

    def mm_to_index(self, ways: ArrayLike) -> NDArray[np.float64]:
        """Continuous voxel indices ``(..., 3)`` at ways in mm along the voxel axes; inverse of ``index_to_mm``."""
        points = np.asarray(ways, dtype=np.float64)
        found = np.asarray(points / self.spacing)
        if self.slice_positions is not None:
            found[..., 2] = _along(points[..., 2], self.slice_places_mm, np.arange(self.size[2]))
        return found

    def cropped(self, window: tuple[slice, slice, slice], margin: int = 0) -> Geometry:
        """The grid of ``array[window]`` padded by ``margin`` voxels on every side; ``window`` is (k, j, i).

        Slices beyond the scan follow in its outermost steps. On an uneven grid, a slice at the window's edge is as
        thick as in the whole scan only with a margin of 1 or more.
        """
        first = np.array([part.start - margin for part in window[::-1]])
        last = np.array([part.stop - 1 + margin for part in window[::-1]])
        x, y, z = (int(n) for n in last - first + 1)
        ox, oy, oz = (float(v) for v in self.index_to_lps(first))
        if self.slice_positions is None:
            return Geometry((x, y, z), self.spacing, (ox, oy, oz), self.direction)
        places = _along(np.arange(first[2], last[2] + 1), np.arange(self.size[2]), self.slice_places_mm)
        places = places - places[0]
        step = float(places[-1]) / (z - 1) if z > 1 else float(self.slice_steps_mm[first[2]])
        positions = tuple(float(p) for p in places) if z > 1 else None
        return Geometry((x, y, z), (*self.spacing[:2], step), (ox, oy, oz), self.direction, positions)

    def index_to_lps(self, ijk: ArrayLike) -> NDArray[np.float64]:
        """LPS mm of continuous voxel indices ``(..., 3)`` in the order i, j, k; integers are voxel centres."""
        points = np.asarray(ijk, dtype=np.float64)
        if self.slice_positions is not None:
            points = self.index_to_mm(points) / self.spacing
        return np.asarray(points @ self.affine[:3, :3].T + self.affine[:3, 3])

    def lps_to_index(self, lps: ArrayLike) -> NDArray[np.float64]:
        """Continuous voxel indices (i, j, k), ``(..., 3)``, of LPS points in mm; integers are voxel centres."""
        points = np.asarray(lps, dtype=np.float64)
        found = np.asarray(points @ self.inverse_affine[:3, :3].T + self.inverse_affine[:3, 3])
        return found if self.slice_positions is None else self.mm_to_index(found * self.spacing)

    def matches(self, other: Geometry, tolerance_mm: float = 1e-2) -> bool:
        """Whether two grids have the same size and their voxels lie within ``tolerance_mm`` of each other."""
        if self.size != other.size:
            return False
        if np.max(np.abs(self.slice_places_mm - other.slice_places_mm)) > tolerance_mm:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size], indexing="ij")).reshape(3, -1).T
        return bool(np.max(np.abs(self.index_to_lps(corners) - other.index_to_lps(corners))) <= tolerance_mm)


def _along(values: NDArray, known: NDArray, wanted: NDArray) -> NDArray[np.float64]:
    """``values`` carried from the rising scale ``known`` to ``wanted``: linear between entries and beyond the ends."""
    below = np.clip(np.searchsorted(known, values, side="right") - 1, 0, len(known) - 2)
    share = (values - known[below]) / (known[below + 1] - known[below])
    return np.asarray(wanted[below] + share * (wanted[below + 1] - wanted[below]))
