"""How sure the model is of each slice, beside the slice slider: told by width and pattern as well as by colour."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from hemaview.gui.slice_review import SliceReview, SliceState
from hemaview.gui.slice_slider import SliceSlider
from hemaview.gui.theme import COLOURS
from hemaview.gui.view_state import ViewState
from hemaview.imaging import Plane

_WIDTH_PX = 14
_GAP_PX = 1.0
_HIGHEST_PX = 14.0
_PATTERN_PX = 5.0
"""Slices at least this high on the strip carry a pattern."""

_COLOURS = {
    SliceState.SURE: COLOURS.good,
    SliceState.FAIR: COLOURS.warning,
    SliceState.UNSURE: COLOURS.error,
    SliceState.HAND: COLOURS.box,
}
_WIDTHS = {SliceState.SURE: 3.0, SliceState.FAIR: 7.0, SliceState.UNSURE: 12.0, SliceState.HAND: 8.0}


class ReviewStrip(QWidget):
    """Thin green: sure; wider amber with a gap: have a look; full red with a bar: check; hollow blue: by hand.

    Shown only beside the viewer whose slices are the scan's own, and only while there is something to tell.
    """

    def __init__(self, state: ViewState, plane: Plane, slider: SliceSlider, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state, self._plane, self._slider = state, plane, slider
        self.setMouseTracking(True)
        self.setAccessibleName("How sure the model is of each slice")
        for signal in (state.review_changed, state.volume_changed):
            signal.connect(self._follow)
        state.cursor_changed.connect(self.update)
        self._follow()

    @property
    def review(self) -> SliceReview | None:
        """What is on display; None where the strip is hidden."""
        view, review = self._state.view(self._plane), self._state.review
        known = review is not None and any(state is not SliceState.NONE for state in review.states)
        return review if known and view is not None and view.slice_axis == 2 else None

    def sizeHint(self) -> QSize:
        """Slim; the layout gives the height."""
        return QSize(_WIDTH_PX, 120)

    def slice_at(self, y: float) -> int | None:
        """The slice whose mark lies at height ``y``; None where there is no mark."""
        review = self.review
        if review is None:
            return None
        nearest = min(range(len(review.states)), key=lambda k: abs(self._slider.place_of(k) - y))
        return nearest if review.states[nearest] is not SliceState.NONE else None

    def text_at(self, y: float) -> str:
        """What the tooltip says at height ``y``."""
        k, review = self.slice_at(y), self.review
        return "" if k is None or review is None else f"Slice {k + 1}: {review.text(k)}."

    def event(self, event: QEvent) -> bool:
        """Show the tooltip of the slice under the mouse."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.text_at(event.pos().y()), self)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the slice under the mouse."""
        k = self.slice_at(event.position().y())
        if k is not None:
            self._state.set_slice_index(self._plane, k)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """A hand over what can be clicked."""
        there = self.slice_at(event.position().y()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if there else Qt.CursorShape.ArrowCursor)

    def _follow(self) -> None:
        review = self.review
        self.setVisible(review is not None)
        if review is not None:
            unsure, fair = review.count(SliceState.UNSURE), review.count(SliceState.FAIR)
            self.setAccessibleDescription(f"{unsure} slices to check, {fair} to have a look at")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """One mark per slice, at the height of the slider's place for it."""
        review = self.review
        if review is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for k, state in enumerate(review.states):
            if state is not SliceState.NONE:
                ends = sorted((self._slider.place_of(k - 0.5), self._slider.place_of(k + 0.5)))
                height = min(max(ends[1] - ends[0] - _GAP_PX, 1.5), _HIGHEST_PX)
                self._paint_mark(painter, state, (ends[0] + ends[1] - height) / 2, height)
        painter.end()

    def _paint_mark(self, painter: QPainter, state: SliceState, top: float, height: float) -> None:
        width = _WIDTHS[state]
        place = QRectF((self.width() - width) / 2, top, width, height)
        colour = QColor(_COLOURS[state])
        if state is SliceState.HAND:
            painter.setPen(QPen(colour, 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(place.adjusted(0.75, 0.5, -0.75, -0.5))
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawRect(place)
        if height < _PATTERN_PX:
            return
        painter.setBrush(QColor(COLOURS.panel))
        if state is SliceState.FAIR:
            painter.drawRect(QRectF(place.center().x() - 0.75, top, 1.5, height))
        elif state is SliceState.UNSURE:
            painter.drawRect(QRectF(place.left() + 2.5, place.center().y() - 0.75, width - 5, 1.5))
