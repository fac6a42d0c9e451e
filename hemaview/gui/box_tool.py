"""The 3D box in one viewer: its projection, its grips, drawing a new one and dragging an old one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from hemaview.gui.gestures import ToPicture
from hemaview.gui.text_label import draw_label
from hemaview.gui.theme import COLOURS
from hemaview.gui.view_state import ViewState
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import Geometry, PlaneView
from hemaview.segmentation.contract import BoxPrompt

BOX_COLOUR = QColor(COLOURS.box)
HANDLE_SIZE_PX = 8.0
GRIP_REACH_PX = 8.0
"""How far from a corner or side the mouse still takes hold of it: hit areas are 16 px wide."""

SMALLEST_DRAWN_PX = 5.0
"""A shorter drag is a click and draws no box."""

DRAW_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
ARROWS = {
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Left: (-1, 0),
}
"""Arrow keys as steps on the screen, right and down."""

KEYED_SIDE_MM = 40.0
"""Sides of the box that the Return key draws round the crosshair."""

_MID_HANDLE_SIDE_PX = 48.0
_BELOW = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop


class Grip(IntFlag):
    """The sides of a box that a drag moves; a corner is two sides, the whole box all four."""

    LEFT = 1
    TOP = 2
    RIGHT = 4
    BOTTOM = 8
    BODY = 15


_CORNERS = (Grip.LEFT | Grip.TOP, Grip.RIGHT | Grip.TOP, Grip.RIGHT | Grip.BOTTOM, Grip.LEFT | Grip.BOTTOM)
_SIDES = (Grip.TOP, Grip.RIGHT, Grip.BOTTOM, Grip.LEFT)

_CURSORS: dict[Grip | None, Qt.CursorShape] = {
    None: Qt.CursorShape.CrossCursor,
    Grip.BODY: Qt.CursorShape.SizeAllCursor,
    Grip.LEFT: Qt.CursorShape.SizeHorCursor,
    Grip.RIGHT: Qt.CursorShape.SizeHorCursor,
    Grip.TOP: Qt.CursorShape.SizeVerCursor,
    Grip.BOTTOM: Qt.CursorShape.SizeVerCursor,
    Grip.LEFT | Grip.TOP: Qt.CursorShape.SizeFDiagCursor,
    Grip.RIGHT | Grip.BOTTOM: Qt.CursorShape.SizeFDiagCursor,
    Grip.RIGHT | Grip.TOP: Qt.CursorShape.SizeBDiagCursor,
    Grip.LEFT | Grip.BOTTOM: Qt.CursorShape.SizeBDiagCursor,
}


@dataclass(frozen=True)
class BoxOutline:
    """A box's projection on one view, in picture pixels (faces, so usually .5), and whether it holds the slice."""

    left: float
    top: float
    right: float
    bottom: float
    holds_slice: bool

    @classmethod
    def of(cls, box: BoxPrompt, geometry: Geometry, view: PlaneView, index: int) -> BoxOutline:
        """Project a box on the view whose slice ``index`` is shown."""
        lower, upper = box.index_bounds(geometry)
        x, y, depth = view.index_to_pixel(np.array([lower, upper]))
        holds = bool(depth.min() <= index <= depth.max())
        return cls(float(x.min()), float(y.min()), float(x.max()), float(y.max()), holds)

    def corners(self, transform: ViewTransform) -> NDArray[np.float64]:
        """(4, 2) screen positions: top left, top right, bottom right, bottom left."""
        x, y = transform.to_screen(
            [self.left, self.right, self.right, self.left], [self.top, self.top, self.bottom, self.bottom]
        )
        return np.stack([x, y], axis=1)

    def handles(self, transform: ViewTransform) -> list[tuple[Grip, float, float]]:
        """Grip and screen position of the eight handles; short sides have none in their middle."""
        corners = self.corners(transform)
        found = [(grip, float(x), float(y)) for grip, (x, y) in zip(_CORNERS, corners, strict=True)]
        for number, grip in enumerate(_SIDES):
            start, end = corners[number], corners[(number + 1) % 4]
            if np.hypot(*(end - start)) >= _MID_HANDLE_SIDE_PX:
                middle = (start + end) / 2
                found.append((grip, float(middle[0]), float(middle[1])))
        return found

    def grip_at(self, transform: ViewTransform, sx: float, sy: float) -> Grip | None:
        """What a press takes hold of: a corner, a side, or everything inside a box that holds the slice."""
        corners = self.corners(transform)
        point = np.array([sx, sy])
        distances = np.hypot(*(corners - point).T)
        nearest = int(np.argmin(distances))
        if distances[nearest] <= GRIP_REACH_PX * 1.25:
            return _CORNERS[nearest]
        for number, grip in enumerate(_SIDES):
            if _distance_to_segment(point, corners[number], corners[(number + 1) % 4]) <= GRIP_REACH_PX:
                return grip
        x, y = transform.to_picture(sx, sy)
        inside = self.left < x < self.right and self.top < y < self.bottom
        return Grip.BODY if inside and self.holds_slice else None


def drawn_box(
    geometry: Geometry, view: PlaneView, index: int, start: tuple[float, float], end: tuple[float, float]
) -> BoxPrompt:
    """The box of a rectangle between two picture positions on slice ``index``, out to voxel faces, within the scan."""
    x = _drawn_side(start[0], end[0], view.columns)
    y = _drawn_side(start[1], end[1], view.rows)
    ends = view.pixel_to_index(np.array(x), np.array(y), index)
    return BoxPrompt.from_rectangle(geometry, view.slice_axis, index, ends.min(axis=0), ends.max(axis=0))


def dragged_box(box: BoxPrompt, geometry: Geometry, view: PlaneView, grip: Grip, dx: float, dy: float) -> BoxPrompt:
    """The box after the sides of ``grip`` moved by picture pixels.

    Moved sides come to lie on voxel faces, within the scan and at least one voxel from the opposite side; the
    others stay exactly. Moving a side along the axis whose depth was a guess makes the depth the user's.
    """
    lower, upper = box.index_bounds(geometry)
    x, y, _ = view.index_to_pixel(np.array([lower, upper]))
    sides_x = _dragged_sides((x.min(), x.max()), Grip.LEFT in grip, Grip.RIGHT in grip, dx, view.columns)
    sides_y = _dragged_sides((y.min(), y.max()), Grip.TOP in grip, Grip.BOTTOM in grip, dy, view.rows)
    ends = view.pixel_to_index(np.array(sides_x), np.array(sides_y), 0)
    new_lower, new_upper = lower.copy(), upper.copy()
    for axis in (view.x_axis, view.y_axis):
        new_lower[axis], new_upper[axis] = ends[:, axis].min(), ends[:, axis].max()
    open_axis = box.open_axis
    resized = grip != Grip.BODY
    if resized and (
        (open_axis == view.x_axis and grip & (Grip.LEFT | Grip.RIGHT))
        or (open_axis == view.y_axis and grip & (Grip.TOP | Grip.BOTTOM))
    ):
        open_axis = None
    return replace(BoxPrompt.from_index_bounds(geometry, new_lower, new_upper), open_axis=open_axis)


class BoxDrag:
    """A box being drawn (``grip`` None) or dragged; the shared state shows it in all viewers while it changes."""

    def __init__(
        self,
        state: ViewState,
        view: PlaneView,
        index: int,
        grip: Grip | None,
        start: tuple[float, float],
        picture: ToPicture,
        done: Callable[[BoxPrompt], None],
    ) -> None:
        assert state.geometry is not None
        self._state = state
        self._geometry = state.geometry
        self._view = view
        self._index = index
        self._start = start
        self._picture = picture
        self._from = picture(*start)
        self._done = done
        self._before = state.box
        self._box: BoxPrompt | None = None
        self.grip = grip

    def move(self, sx: float, sy: float) -> None:
        """Follow the mouse."""
        far = max(abs(sx - self._start[0]), abs(sy - self._start[1]))
        if self._box is None and far < (SMALLEST_DRAWN_PX if self.grip is None else 1.0):
            return
        here = self._picture(sx, sy)
        if self.grip is None:
            self._box = drawn_box(self._geometry, self._view, self._index, self._from, here)
        elif self._before is not None:
            dx, dy = here[0] - self._from[0], here[1] - self._from[1]
            self._box = dragged_box(self._before, self._geometry, self._view, self.grip, dx, dy)
        self._state.set_box(self._box)

    def finish(self) -> None:
        """Hand over the box, if it changed."""
        if self._box is not None and self._box != self._before:
            # The shown box may have been replaced meanwhile, for example by the answer to an earlier prompt.
            self._state.set_box(self._box)
            self._done(self._box)

    def cancel(self) -> None:
        """Put the box back as it was."""
        self._state.set_box(self._before)


def keyed_box(
    state: ViewState, view: PlaneView, index: int, key: Qt.Key, modifiers: Qt.KeyboardModifier
) -> BoxPrompt | None:
    """The box that a key makes, for those who draw without a mouse; None when the key means nothing here.

    Return draws one of 40 mm round the crosshair. Alt+arrows move the box, Shift+arrows its right or lower side.
    """
    geometry, box = state.geometry, state.box
    if geometry is None:
        return None
    if key in DRAW_KEYS:
        x, y, _ = (float(v) for v in view.index_to_pixel(state.cursor))
        reach_x = KEYED_SIDE_MM / 2 / float(np.hypot(*view.x_vector_mm))
        reach_y = KEYED_SIDE_MM / 2 / float(np.hypot(*view.y_vector_mm))
        return drawn_box(geometry, view, index, (x - reach_x, y - reach_y), (x + reach_x, y + reach_y))
    if box is None or key not in ARROWS:
        return None
    dx, dy = ARROWS[key]
    if modifiers & Qt.KeyboardModifier.AltModifier:
        return dragged_box(box, geometry, view, Grip.BODY, dx, dy)
    if modifiers & Qt.KeyboardModifier.ShiftModifier:
        return dragged_box(box, geometry, view, Grip.RIGHT if dx else Grip.BOTTOM, dx, dy)
    return None


def paint_box(
    painter: QPainter,
    outline: BoxOutline,
    transform: ViewTransform,
    *,
    guessed_x: bool,
    guessed_y: bool,
    handles: bool,
    hot: Grip | None,
) -> None:
    """Draw the box: solid where it holds the slice, dashed outside; dotted across an axis whose depth is a guess."""
    corners = outline.corners(transform)
    if transform.is_axis_aligned:
        corners = np.round(corners)
    points = [QPointF(float(x), float(y)) for x, y in corners]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, not transform.is_axis_aligned)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(QColor(0, 0, 0, 130 if outline.holds_slice else 70), 4))
    painter.drawPolygon(QPolygonF(points))
    for number, grip in enumerate(_SIDES):
        guessed = guessed_x if grip in (Grip.LEFT, Grip.RIGHT) else guessed_y
        pen = QPen(BOX_COLOUR, 2)
        if not outline.holds_slice or guessed:
            pen.setCapStyle(Qt.PenCapStyle.FlatCap)
            pen.setDashPattern([1, 2] if outline.holds_slice else [4, 3])
        painter.setPen(pen)
        painter.drawLine(points[number], points[(number + 1) % 4])
    if handles:
        half = HANDLE_SIZE_PX / 2
        for grip, x, y in outline.handles(transform):
            painter.setPen(QPen(QColor(0, 0, 0, 200), 1))
            painter.setBrush(QColor("#ffffff") if grip == hot else BOX_COLOUR)
            painter.drawRect(QRectF(round(x) - half, round(y) - half, HANDLE_SIZE_PX, HANDLE_SIZE_PX))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def paint_box_size(painter: QPainter, outline: BoxOutline, transform: ViewTransform) -> None:
    """Write the sides' lengths in mm under the box while it is drawn or dragged."""
    width = (outline.right - outline.left) * float(np.hypot(*transform.view.x_vector_mm))
    height = (outline.bottom - outline.top) * float(np.hypot(*transform.view.y_vector_mm))
    corners = outline.corners(transform)
    x, y = float(corners[:, 0].mean()), float(corners[:, 1].max()) + 8
    draw_label(painter, f"{width:.0f} × {height:.0f} mm", x, y, _BELOW, colour=COLOURS.box)


def cursor_shape(grip: Grip | None) -> Qt.CursorShape:
    """The mouse cursor that tells what a press would do."""
    return _CURSORS[grip]


def _face(position: float) -> float:
    """The voxel face nearest to a continuous position."""
    return float(np.floor(position + 1.0) - 0.5)


def _drawn_side(start: float, end: float, count: int) -> tuple[float, float]:
    low = float(np.clip(_face(min(start, end)), -0.5, count - 1.5))
    high = float(np.clip(_face(max(start, end)), low + 1.0, count - 0.5))
    return low, high


def _dragged_sides(
    sides: tuple[float, float], low_moves: bool, high_moves: bool, shift: float, count: int
) -> tuple[float, float]:
    low, high = float(sides[0]), float(sides[1])
    first, last = -0.5, count - 0.5
    if low_moves and high_moves:
        whole = float(np.floor(shift + 0.5))
        whole = min(max(whole, min(first - low, 0.0)), max(last - high, 0.0))
        return low + whole, high + whole
    if low_moves:
        low = max(first, min(_face(low + shift), high - 1.0))
    if high_moves:
        high = min(last, max(_face(high + shift), low + 1.0))
    return low, high


def _distance_to_segment(point: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    along = end - start
    length = float(along @ along)
    share = float(np.clip((point - start) @ along / length, 0.0, 1.0)) if length > 0 else 0.0
    return float(np.hypot(*(point - start - share * along)))
