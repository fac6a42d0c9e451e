"""A viewer in its coloured frame, with title, buttons and slice slider."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from hemaview.gui.icons import icon
from hemaview.gui.review_strip import ReviewStrip
from hemaview.gui.slice_slider import SliceSlider
from hemaview.gui.slice_view import SliceView
from hemaview.gui.theme import COLOURS, PLANE_COLOURS
from hemaview.gui.view_state import ViewState
from hemaview.imaging import Plane

_HEADER_PX = 28
_EDGE_PX = 3
_RADIUS_PX = 5


class SliceViewFrame(QFrame):
    """One viewer with what belongs to it: ``view`` is the viewer, ``slider`` moves through its slices,
    ``strip`` tells how sure the model is of each.

    The border has the plane's colour (axial red, sagittal yellow, coronal green) and brightens with the focus.
    """

    def __init__(self, state: ViewState, plane: Plane, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plane = plane
        self.view = SliceView(state, plane, self)
        self.slider = SliceSlider(state, plane, self)
        self.strip = ReviewStrip(state, plane, self.slider, self)
        self._colour = QColor(PLANE_COLOURS[plane])
        self.setAccessibleName(f"{plane.value.capitalize()} viewer")
        layout = QGridLayout(self)
        layout.setContentsMargins(_EDGE_PX, _EDGE_PX, _EDGE_PX, _EDGE_PX)
        layout.setSpacing(0)
        layout.addLayout(self._header(), 0, 0, 1, 3)
        layout.addWidget(self.view, 1, 0)
        layout.addWidget(self.slider, 1, 1)
        layout.addWidget(self.strip, 1, 2)
        layout.setColumnStretch(0, 1)
        layout.setRowStretch(1, 1)
        self.view.installEventFilter(self)

    def _header(self) -> QHBoxLayout:
        header = QHBoxLayout()
        header.setContentsMargins(10, 0, 2, 0)
        header.setSpacing(2)
        title = QLabel(self.plane.value.capitalize())
        title.setStyleSheet(f"color: {PLANE_COLOURS[self.plane]}; font-weight: 600; background: transparent;")
        title.setFixedHeight(_HEADER_PX)
        title.setBuddy(self.view)
        header.addWidget(title)
        header.addStretch(1)
        fit = self._button("fit", "Fit the head into this view (R)")
        fit.clicked.connect(self.view.fit)
        larger = self._button("maximise", "Show only this view, or all again (double-click)")
        larger.clicked.connect(lambda: self.view.maximise_requested.emit(self.plane))
        header.addWidget(fit)
        header.addWidget(larger)
        return header

    def _button(self, name: str, text: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon(name, COLOURS.muted))
        button.setIconSize(QSize(14, 14))
        button.setToolTip(text)
        button.setAccessibleName(f"{text.split('(')[0].strip()}: {self.plane.value}")
        button.setAutoRaise(True)
        button.setFixedSize(24, 24)
        button.setStyleSheet("QToolButton { padding: 2px; }")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        return button

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Repaint the border when the viewer gains or loses the focus."""
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            self.update()
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Panel and coloured border."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        border = QColor(self._colour)
        focused = self.view.hasFocus()
        if not focused:
            border.setAlpha(130)
        painter.setPen(QPen(border, 2 if focused else 1.5))
        painter.setBrush(QColor(COLOURS.panel))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), _RADIUS_PX, _RADIUS_PX)
        painter.end()
