"""Brush and eraser: a disc in millimetres dragged over one slice; the whole stroke is one edit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from hemaview.gui.gestures import ToPicture
from hemaview.gui.slice_painter import MASK_COLOUR
from hemaview.gui.view_state import MaskPatch, Region, ViewState
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import PlaneView


def paint_stamp(
    picture: NDArray[np.bool_],
    view: PlaneView,
    start: tuple[float, float],
    end: tuple[float, float],
    radius_mm: float,
) -> None:
    """Set the voxels of ``picture[row, column]`` whose centre is within ``radius_mm`` of the segment start-end.

    ``picture`` is as ``view.voxels`` gives it, the positions are picture pixels. A disc smaller than a voxel still
    sets the voxel under the mouse.
    """
    xv, yv = np.array(view.x_vector_mm), np.array(view.y_vector_mm)
    # The disc in pixels: how far a circle in mm reaches along rows and columns of a possibly sheared grid.
    reach_x, reach_y = np.linalg.norm(np.linalg.inv(np.stack([xv, yv], axis=1)), axis=1) * radius_mm
    left, right = np.searchsorted(view.voxel_columns, _reached(start[0], end[0], reach_x))
    top, bottom = np.searchsorted(view.voxel_rows, _reached(start[1], end[1], reach_y))
    if right > left and bottom > top:
        x = view.voxel_columns[left:right][None, :, None] - start[0]
        y = view.voxel_rows[top:bottom][:, None, None] - start[1]
        away = x * xv + y * yv
        along = (end[0] - start[0]) * xv + (end[1] - start[1]) * yv
        length = float(along @ along)
        share = np.clip(away @ along / length, 0.0, 1.0) if length > 0 else np.zeros(away.shape[:2])
        distance = np.linalg.norm(away - share[..., None] * along, axis=-1)
        picture[top:bottom, left:right] |= distance <= radius_mm
    if -0.5 <= end[0] < view.columns - 0.5 and -0.5 <= end[1] < view.rows - 0.5:
        picture[_nearest(view.voxel_rows, end[1]), _nearest(view.voxel_columns, end[0])] = True


def _reached(start: float, end: float, reach: float) -> tuple[float, float]:
    """From where to where, the end left out, a stroke with this reach goes."""
    return min(start, end) - reach, float(np.nextafter(max(start, end) + reach, np.inf))


def _nearest(centres: NDArray[np.float64], position: float) -> int:
    """The voxel whose extent, half-way to its neighbours, holds a picture position."""
    return int(np.searchsorted((centres[1:] + centres[:-1]) / 2, position, side="right"))


class BrushDrag:
    """A stroke in progress; the shared state shows it in all viewers, ``done(region, values)`` gets it at the end."""

    def __init__(
        self,
        state: ViewState,
        view: PlaneView,
        index: int,
        erase: bool,
        start: tuple[float, float],
        picture: ToPicture,
        done: Callable[[Region, NDArray[np.bool_]], None],
    ) -> None:
        assert state.geometry is not None
        self._state = state
        self._view = view
        self._to_picture = picture
        self._erase = erase
        self._done = done
        self._index = index
        self._axis = 2 - self._view.slice_axis
        shape = list(state.geometry.shape)
        shape[self._axis] = 1
        # ``_picture`` is the slice as it lies on the screen and shares its memory with the array-ordered page.
        self._page = np.zeros(shape, dtype=np.bool_)
        self._picture = self._view.voxels(self._page, 0)
        self._last = picture(*start)
        self.move(*start)

    def move(self, sx: float, sy: float) -> None:
        """Paint from the last mouse position to this one."""
        here = self._to_picture(sx, sy)
        paint_stamp(self._picture, self._view, self._last, here, self._state.brush_radius_mm)
        self._last = here
        self._state.set_stroke(self._patch())

    def finish(self) -> None:
        """Hand over the whole stroke as one edit, if it changes a voxel."""
        patch = self._patch()
        if patch is not None and not np.array_equal(patch.values, self._old(patch.region)):
            self._done(patch.region, patch.values)
        self._state.set_stroke(None)

    def cancel(self) -> None:
        """Drop the stroke."""
        self._state.set_stroke(None)

    def _old(self, region: Region) -> NDArray[np.bool_]:
        if self._state.mask is not None:
            return self._state.mask[region]
        return np.zeros([part.stop - part.start for part in region], dtype=np.bool_)

    def _patch(self) -> MaskPatch | None:
        touched = []
        for axis in range(3):
            line = np.flatnonzero(self._page.any(axis=tuple(a for a in range(3) if a != axis)))
            if not len(line):
                return None
            touched.append(slice(int(line[0]), int(line[-1]) + 1))
        painted = self._page[tuple(touched)]
        touched[self._axis] = slice(self._index, self._index + 1)
        region = (touched[0], touched[1], touched[2])
        old = self._old(region)
        return MaskPatch(region, old & ~painted if self._erase else old | painted)


def paint_ring(
    painter: QPainter, transform: ViewTransform, sx: float, sy: float, radius_mm: float, erase: bool
) -> None:
    """Draw the brush under the mouse; the screen shows mm alike in all directions, so its disc is a circle.

    The eraser's ring is white and dashed.
    """
    centre, radius = QPointF(sx, sy), radius_mm * transform.zoom
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(0, 0, 0, 160), 3))
    painter.drawEllipse(centre, radius, radius)
    pen = QPen(QColor("#ffffff") if erase else MASK_COLOUR, 1.5)
    if erase:
        pen.setDashPattern([4, 3])
    painter.setPen(pen)
    painter.drawEllipse(centre, radius, radius)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
