"""Points in one viewer: which one lies under the mouse, placing, dragging and painting them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QLineF, QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from hemaview.case import prompting
from hemaview.gui.aim import ItemKind, PromptItem, last_item
from hemaview.gui.gestures import ToPicture, ZoomDrag
from hemaview.gui.theme import COLOURS
from hemaview.gui.view_state import ViewState
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import Geometry, PlaneView
from hemaview.segmentation.contract import PointPrompt, Prompt

POINT_RADIUS_PX = 8.0
POINT_REACH_PX = 11.0
"""How far from its middle a point is still under the mouse."""

CLICK_PX = 4.0
"""A shorter way between press and release is a click."""

POSITIVE_COLOUR = QColor(COLOURS.good)
NEGATIVE_COLOUR = QColor(COLOURS.error)
_NEIGHBOUR_SLICES = 1
_SIGN_PX = 4.0

Prompted = Callable[[Prompt, str], None]


def point_at(state: ViewState, transform: ViewTransform, index: int, sx: float, sy: float) -> PromptItem | None:
    """The point on slice ``index`` under a position of the widget; the nearest when several are in reach."""
    found: list[tuple[float, int]] = []
    for number, x, y, away in _places(state.prompt, state.geometry, transform, index):
        if away == 0 and (distance := float(np.hypot(x - sx, y - sy))) <= POINT_REACH_PX:
            found.append((distance, number))
    return PromptItem(ItemKind.POINT, min(found)[1]) if found else None


class PointDrag:
    """A point being placed (``item`` None) or dragged along the slice; the shared state shows it while it moves."""

    def __init__(
        self,
        state: ViewState,
        view: PlaneView,
        index: int,
        item: PromptItem | None,
        positive: bool,
        start: tuple[float, float],
        picture: ToPicture,
        done: Prompted,
    ) -> None:
        self._state, self._view, self._index, self._picture, self._done = state, view, index, picture, done
        self._start = start
        self._before = state.prompt
        self._placed = item is None
        self._moved = False
        self.item = item
        if item is None:
            state.set_prompt(prompting.point_added(self._before, PointPrompt(self._position(*start), positive)))
            self.item = last_item(state.prompt, ItemKind.POINT)

    def move(self, sx: float, sy: float) -> None:
        """Follow the mouse; a tremble of the hand does not count."""
        far = max(abs(sx - self._start[0]), abs(sy - self._start[1]))
        if self.item is None or (not self._moved and far < CLICK_PX):
            return
        self._moved = True
        prompt = self._state.prompt
        if self.item.exists_in(prompt):
            self._state.set_prompt(prompting.point_moved(prompt, self.item.number, self._position(sx, sy)))

    def finish(self) -> None:
        """Hand over the prompt, if it changed."""
        self._state.aim.select(self.item)
        if self._state.prompt != self._before:
            self._done(self._state.prompt, "Add point" if self._placed else "Move point")

    def cancel(self) -> None:
        """Put the prompt back as it was."""
        self._state.set_prompt(self._before)

    def _position(self, sx: float, sy: float) -> tuple[float, float, float]:
        return slice_position_lps(self._state, self._view, self._index, *self._picture(sx, sy))


class ZoomOrPoint(ZoomDrag):
    """The right button in the point tool: a drag zooms, a click places a point of the other sign or turns one."""

    def __init__(
        self,
        transform: ViewTransform,
        start: tuple[float, float],
        place: Callable[[ViewTransform], None],
        click: Callable[[], None],
    ) -> None:
        super().__init__(transform, start, place)
        self._click = click
        self._at, self._dragged = start, False

    def move(self, sx: float, sy: float) -> None:
        """Zoom once the mouse has really moved."""
        self._dragged = self._dragged or max(abs(sx - self._at[0]), abs(sy - self._at[1])) >= CLICK_PX
        if self._dragged:
            super().move(sx, sy)

    def finish(self) -> None:
        """A click places or turns a point."""
        if not self._dragged:
            self._click()


def slice_position_lps(state: ViewState, view: PlaneView, index: int, x: float, y: float) -> tuple[float, float, float]:
    """The place in LPS mm of a picture position on slice ``index``, pulled into the scan."""
    geometry = state.geometry
    assert geometry is not None
    inside = np.clip(view.pixel_to_index(x, y, index), -0.5, np.array(geometry.size) - 0.5)
    px, py, pz = (float(value) for value in geometry.index_to_lps(inside))
    return px, py, pz


def place_point(state: ViewState, at: tuple[float, float, float], positive: bool, done: Prompted) -> None:
    """Add a point at a place in LPS mm."""
    prompt = prompting.point_added(state.prompt, PointPrompt(at, positive))
    state.set_prompt(prompt)
    state.aim.select(last_item(prompt, ItemKind.POINT))
    done(prompt, "Add point")


def turn_point(state: ViewState, item: PromptItem, done: Prompted) -> None:
    """Give a point the other sign."""
    prompt = prompting.point_toggled(state.prompt, item.number)
    state.set_prompt(prompt)
    state.aim.select(item)
    done(prompt, "Change point")


def paint_points(
    painter: QPainter,
    state: ViewState,
    transform: ViewTransform,
    index: int,
    *,
    hovered: PromptItem | None,
    active: bool,
) -> None:
    """Inside points as filled circles with +, outside points as rings with −; those of the next slices small."""
    places = _places(state.prompt, state.geometry, transform, index)
    if not places:
        return
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    for number, x, y, away in places:
        item = PromptItem(ItemKind.POINT, number)
        lit = away == 0 and active and item in (hovered, state.aim.selected)
        _paint_point(painter, QPointF(x, y), state.prompt.points[number].positive, away, lit, item == hovered)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _paint_point(painter: QPainter, at: QPointF, positive: bool, away: int, lit: bool, hovered: bool) -> None:
    radius = POINT_RADIUS_PX if away == 0 else POINT_RADIUS_PX / 2
    colour = POSITIVE_COLOUR if positive else NEGATIVE_COLOUR
    painter.setOpacity(1.0 if away == 0 else 0.6)
    if lit:
        painter.setPen(QPen(QColor("#ffffff"), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(at, radius + 4, radius + 4)
        radius += 1.5 if hovered else 0
    painter.setPen(QPen(QColor(0, 0, 0, 200), 1.5 if positive else 4.5))
    painter.setBrush(colour if positive else QColor(0, 0, 0, 110))
    painter.drawEllipse(at, radius, radius)
    if not positive:
        painter.setPen(QPen(colour, 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(at, radius, radius)
    if away == 0:
        sign = QPen(QColor("#0d1014") if positive else colour, 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
        painter.setPen(sign)
        painter.drawLine(QLineF(at.x() - _SIGN_PX, at.y(), at.x() + _SIGN_PX, at.y()))
        if positive:
            painter.drawLine(QLineF(at.x(), at.y() - _SIGN_PX, at.x(), at.y() + _SIGN_PX))
    painter.setOpacity(1.0)


def _places(
    prompt: Prompt, geometry: Geometry | None, transform: ViewTransform, index: int
) -> list[tuple[int, float, float, int]]:
    """Number, widget position and distance in slices of every point on this slice or beside it."""
    if geometry is None:
        return []
    found = []
    for number, point in enumerate(prompt.points):
        x, y, depth = transform.view.index_to_pixel(geometry.lps_to_index(point.position))
        away = abs(int(np.floor(float(depth) + 0.5)) - index)
        if away <= _NEIGHBOUR_SLICES:
            sx, sy = transform.to_screen(x, y)
            found.append((number, float(sx), float(sy), away))
    return found
