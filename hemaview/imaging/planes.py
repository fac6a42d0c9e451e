"""The three orthogonal views of a grid: which voxel axes they show and how they lie on the screen.

Views follow the voxel grid, so what is seen is what is measured; each anatomical plane takes the voxel axis nearest
to its normal. A picture's pixels are voxels, except where it cuts across unevenly spaced slices: there its pixels lie
in even fine steps, so that distances on the screen are true. Screen coordinates are millimetres, x to the right, y
down.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hemaview.imaging.even_slices import EvenSlices
from hemaview.imaging.geometry import AXIS_LETTERS, Geometry


class Plane(StrEnum):
    """An anatomical plane; its name in the user interface is the value."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


_NORMAL = {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}
# Radiological display: LPS direction that points right and down on the screen.
_RIGHT = {Plane.AXIAL: (0, +1), Plane.CORONAL: (0, +1), Plane.SAGITTAL: (1, +1)}
_DOWN = {Plane.AXIAL: (1, +1), Plane.CORONAL: (2, -1), Plane.SAGITTAL: (2, -1)}


@dataclass(frozen=True)
class PlaneView:
    """How one plane of a grid is laid on the screen.

    ``slice_axis``, ``x_axis``, ``y_axis`` are voxel axes (0 = i, 1 = j, 2 = k): the one scrolled through,
    the one that runs across and the one that runs down the screen. ``flip_x``/``flip_y`` tell whether
    the index falls to the right / downwards. ``x_vector_mm``/``y_vector_mm`` are the screen steps
    (right, down) in mm of one pixel to the right and one pixel down; they are not at right angles on a
    tilted grid. ``left``, ``right``, ``top``, ``bottom`` are the R/L/A/P/I/S letters at the screen's edges.
    ``even`` are the picture's steps along axis k where it cuts across unevenly spaced slices, else None.
    """

    plane: Plane
    slice_axis: int
    x_axis: int
    y_axis: int
    flip_x: bool
    flip_y: bool
    x_vector_mm: tuple[float, float]
    y_vector_mm: tuple[float, float]
    left: str
    right: str
    top: str
    bottom: str
    size: tuple[int, int, int]
    even: EvenSlices | None = None

    @property
    def slice_count(self) -> int:
        """Number of slices along ``slice_axis``."""
        return self.size[self.slice_axis]

    @property
    def columns(self) -> int:
        """Pixels across the picture."""
        return self._length(self.x_axis)

    @property
    def rows(self) -> int:
        """Pixels down the picture."""
        return self._length(self.y_axis)

    def extract(self, array: NDArray, index: int, *, smooth: bool = False) -> NDArray:
        """The 2D picture ``[row, column]`` of slice ``index`` of ``array[k, j, i]``, ready to paint.

        A view of the array, except across unevenly spaced slices: there every pixel shows the slice that holds it,
        or with ``smooth`` a float32 mixture of the two slices nearest to it.
        """
        if self.even is None:
            return self.voxels(array, index)
        plane: NDArray = np.moveaxis(array, 2 - self.slice_axis, 0)[index]
        return self._turned(self.even.mixed(plane) if smooth else plane[self.even.source])

    def voxels(self, array: NDArray, index: int) -> NDArray:
        """The voxels of slice ``index`` of ``array[k, j, i]`` in the order of the picture's rows and columns, a view.

        Their centres lie at ``voxel_rows`` and ``voxel_columns`` of the picture.
        """
        return self._turned(np.moveaxis(array, 2 - self.slice_axis, 0)[index])

    @cached_property
    def voxel_columns(self) -> NDArray[np.float64]:
        """Rising picture x of the voxel centres. Treat as read-only."""
        return self._centres(self.x_axis, self.flip_x)

    @cached_property
    def voxel_rows(self) -> NDArray[np.float64]:
        """Rising picture y of the voxel centres. Treat as read-only."""
        return self._centres(self.y_axis, self.flip_y)

    def _centres(self, axis: int, flip: bool) -> NDArray[np.float64]:
        if self.even is None or axis != 2:
            return np.arange(self.size[axis], dtype=np.float64)
        return self.even.count - 1 - self.even.centres[::-1] if flip else self.even.centres

    def _length(self, axis: int) -> int:
        return self.even.count if self.even is not None and axis == 2 else self.size[axis]

    def _turned(self, plane: NDArray) -> NDArray:
        """A page whose axes are in array order as it lies on the screen."""
        remaining = [a for a in (2, 1, 0) if a != self.slice_axis]
        if remaining != [self.y_axis, self.x_axis]:
            plane = plane.T
        if self.flip_y:
            plane = plane[::-1]
        if self.flip_x:
            plane = plane[:, ::-1]
        return plane

    def pixel_to_index(self, x: ArrayLike, y: ArrayLike, index: ArrayLike) -> NDArray[np.float64]:
        """Voxel indices ``(..., 3)`` in the order i, j, k of picture positions.

        ``x``, ``y`` are continuous picture pixels with centres at integers, ``index`` the slice.
        """
        x = np.asarray(x, dtype=np.float64)
        y = np.asarray(y, dtype=np.float64)
        out = np.empty((*np.broadcast_shapes(x.shape, y.shape, np.shape(index)), 3))
        out[..., self.x_axis] = self.columns - 1 - x if self.flip_x else x
        out[..., self.y_axis] = self.rows - 1 - y if self.flip_y else y
        out[..., self.slice_axis] = index
        if self.even is not None:
            out[..., 2] = self.even.to_own(out[..., 2])
        return out

    def index_to_pixel(self, ijk: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Picture x, y and slice position of voxel indices ``(..., 3)``; inverse of ``pixel_to_index``."""
        ijk = np.asarray(ijk, dtype=np.float64)
        if self.even is not None:
            ijk = ijk.copy()
            ijk[..., 2] = self.even.from_own(ijk[..., 2])
        x = ijk[..., self.x_axis]
        y = ijk[..., self.y_axis]
        return (
            self.columns - 1 - x if self.flip_x else x,
            self.rows - 1 - y if self.flip_y else y,
            ijk[..., self.slice_axis],
        )

    def voxel_step(self, right: int, down: int) -> NDArray[np.float64]:
        """(3,) change of the voxel index (i, j, k) that moves so many voxels to the right and down the screen."""
        step = np.zeros(3)
        step[self.x_axis] = -right if self.flip_x else right
        step[self.y_axis] = -down if self.flip_y else down
        return step


def plane_view(geometry: Geometry, plane: Plane, *, radiological: bool = True) -> PlaneView:
    """The view of ``plane`` on ``geometry``; radiological puts the patient's right on the screen's left."""
    slice_axis = _grid_axes(geometry)[_NORMAL[plane]]
    right_lps, right_sign = _RIGHT[plane]
    if not radiological and right_lps == 0:
        right_sign = -right_sign
    down_lps, down_sign = _DOWN[plane]
    axes = geometry.axes
    x_axis = _grid_axes(geometry)[right_lps]
    y_axis = _grid_axes(geometry)[down_lps]
    x_sign = right_sign if axes[right_lps, x_axis] >= 0 else -right_sign
    y_sign = down_sign if axes[down_lps, y_axis] >= 0 else -down_sign
    even = None
    if geometry.is_uneven and slice_axis != 2:
        # As fine as the pixels the other way, and fine enough for slices to look as thick as they are.
        finest = float(geometry.slice_steps_mm.min()) / 4
        even = EvenSlices.about(geometry, min(geometry.spacing[x_axis if y_axis == 2 else y_axis], finest))
    lengths = [*geometry.spacing[:2], geometry.spacing[2] if even is None else even.step_mm]
    step_x = axes[:, x_axis] * lengths[x_axis] * x_sign
    step_y = axes[:, y_axis] * lengths[y_axis] * y_sign
    # Screen frame in the plane: x along the picture's rows, y at right angles to it towards the bottom.
    across = step_x / np.linalg.norm(step_x)
    down = step_y - np.dot(step_y, across) * across
    down /= np.linalg.norm(down)
    right_letter = AXIS_LETTERS[right_lps][1 if right_sign > 0 else 0]
    left_letter = AXIS_LETTERS[right_lps][0 if right_sign > 0 else 1]
    bottom_letter = AXIS_LETTERS[down_lps][1 if down_sign > 0 else 0]
    top_letter = AXIS_LETTERS[down_lps][0 if down_sign > 0 else 1]
    return PlaneView(
        plane=plane,
        slice_axis=slice_axis,
        x_axis=x_axis,
        y_axis=y_axis,
        flip_x=x_sign < 0,
        flip_y=y_sign < 0,
        x_vector_mm=(float(np.dot(step_x, across)), float(np.dot(step_x, down))),
        y_vector_mm=(float(np.dot(step_y, across)), float(np.dot(step_y, down))),
        left=left_letter,
        right=right_letter,
        top=top_letter,
        bottom=bottom_letter,
        size=geometry.size,
        even=even,
    )


def acquisition_plane(geometry: Geometry) -> Plane:
    """The anatomical plane in which the slices were acquired (the one whose normal is nearest to axis k)."""
    grid = _grid_axes(geometry)
    return next(plane for plane, normal in _NORMAL.items() if grid[normal] == 2)


def _grid_axes(geometry: Geometry) -> tuple[int, int, int]:
    """For x, y, z of LPS the voxel axis that runs along it, each axis used once (best total alignment)."""
    weight = np.abs(geometry.axes)
    best = max(permutations(range(3)), key=lambda order: sum(weight[lps, axis] for lps, axis in enumerate(order)))
    return best[0], best[1], best[2]
