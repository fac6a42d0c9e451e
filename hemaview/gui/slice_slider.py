"""The slider beside a viewer: where in the scan it is, and on which slices mask and box lie."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSlider, QWidget

from hemaview.gui.theme import COLOURS, PLANE_COLOURS
from hemaview.gui.view_state import ViewState
from hemaview.imaging import Plane

_WIDTH_PX = 18
_HANDLE_PX = 10
_GROOVE_PX = 4

NORMAL_UP = {Plane.AXIAL: (2, 1), Plane.CORONAL: (1, -1), Plane.SAGITTAL: (0, 1)}
"""Each plane's LPS axis and the direction on it that is "up" for a slider or wheel: head, front, left."""


def index_rises(state: ViewState, plane: Plane) -> bool:
    """Whether the slice index grows towards the patient's head (axial), front (coronal) or left (sagittal)."""
    view, geometry = state.view(plane), state.geometry
    if view is None or geometry is None:
        return True
    axis, up = NORMAL_UP[plane]
    return bool(geometry.axes[axis, view.slice_axis] * up >= 0)


class SliceSlider(QSlider):
    """Top is the head (axial), the front (coronal) or the left (sagittal), however the slices are numbered."""

    def __init__(self, state: ViewState, plane: Plane, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self._state, self._plane = state, plane
        self.setAccessibleName(f"{plane.value.capitalize()} slice")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setPageStep(5)
        for signal in (state.volume_changed, state.cursor_changed):
            signal.connect(self._follow)
        for signal in (state.mask_changed, state.prompt_changed):
            signal.connect(self.update)
        self.valueChanged.connect(self._lead)
        self._follow()

    def sizeHint(self) -> QSize:
        """Slim; the layout gives the height."""
        return QSize(_WIDTH_PX, 120)

    def _follow(self) -> None:
        view = self._state.view(self._plane)
        self.setEnabled(view is not None and view.slice_count > 1)
        self.blockSignals(True)
        self.setRange(0, view.slice_count - 1 if view is not None else 0)
        self.setValue(self._mirrored(self._state.slice_index(self._plane)))
        self.blockSignals(False)
        self.update()

    def _lead(self, value: int) -> None:
        self._state.set_slice_index(self._plane, self._mirrored(value))

    def _mirrored(self, number: int) -> int:
        """Slice index of a slider value, and slider value of a slice index."""
        return number if index_rises(self._state, self._plane) else self.maximum() - number

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Jump to the slice under the mouse."""
        self.setSliderDown(True)
        self._jump(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the mouse."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._jump(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self.setSliderDown(False)

    def _jump(self, event: QMouseEvent) -> None:
        room = max(self.height() - _HANDLE_PX, 1)
        share = 1 - (event.position().y() - _HANDLE_PX / 2) / room
        self.setValue(round(min(max(share, 0.0), 1.0) * self.maximum()))

    def place_of(self, index: float) -> float:
        """The y where slice ``index`` (continuous) lies on the slider."""
        share = index / max(self.maximum(), 1)
        if not index_rises(self._state, self._plane):
            share = 1 - share
        return self.height() - _HANDLE_PX / 2 - share * (self.height() - _HANDLE_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Groove, the mask's slices in orange, the box's depth as a blue bracket, and the handle."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = self.width() / 2
        groove = QRectF(middle - _GROOVE_PX / 2, _HANDLE_PX / 2, _GROOVE_PX, self.height() - _HANDLE_PX)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(COLOURS.border))
        painter.drawRoundedRect(groove, 2, 2)
        if self.isEnabled():
            self._paint_extents(painter, middle)
            y = self.place_of(self._state.slice_index(self._plane))
            painter.setPen(QPen(QColor(COLOURS.on_primary if self.hasFocus() else COLOURS.window), 1.5))
            painter.setBrush(QColor(PLANE_COLOURS[self._plane]))
            painter.drawRoundedRect(QRectF(middle - 7, y - _HANDLE_PX / 2 + 1, 14, _HANDLE_PX - 2), 3, 3)
        painter.end()

    def _paint_extents(self, painter: QPainter, middle: float) -> None:
        view, geometry = self._state.view(self._plane), self._state.geometry
        if view is None or geometry is None:
            return
        bounds, box = self._state.mask_bounds, self._state.box
        if bounds is not None:
            part = bounds[2 - view.slice_axis]
            painter.setBrush(QColor(COLOURS.lesion))
            painter.drawRoundedRect(self._extent(part.start - 0.5, part.stop - 0.5, middle - 2, 4), 2, 2)
        if box is not None:
            lower, upper = box.index_bounds(geometry)
            painter.setBrush(QColor(COLOURS.box))
            place = self._extent(lower[view.slice_axis], upper[view.slice_axis], middle + 4, 2)
            painter.drawRect(place)
            painter.drawRect(QRectF(place.left() - 3, place.top(), 3, 1.5))
            painter.drawRect(QRectF(place.left() - 3, place.bottom() - 1.5, 3, 1.5))

    def _extent(self, lower: float, upper: float, left: float, width: float) -> QRectF:
        ends = [min(max(self.place_of(n), 0.0), float(self.height())) for n in (lower, upper)]
        return QRectF(left, min(ends), width, max(abs(ends[1] - ends[0]), 2.0))
