"""One slice of a scan before and after a change, side by side in true proportions."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from hemaview.gui.scan_content import scan_looks
from hemaview.gui.slice_painter import grey_rgb32
from hemaview.gui.theme import COLOURS, GAP
from hemaview.imaging import Plane, PlaneView, Volume, plane_view

_CAPTION_PX = 24

NOT_MADE = "Press Preview to see it."


class PicturePair(QWidget):
    """Shows ``before`` on the left and ``after`` on the right, each in the automatic window of its own values."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(480, 260)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._before: Volume | None = None
        self._after: Volume | None = None
        self._view: PlaneView | None = None
        self._index = 0
        self._gap = NOT_MADE

    @property
    def after(self) -> Volume | None:
        """The changed scan; None before it was computed."""
        return self._after

    @property
    def slice_count(self) -> int:
        """Slices that can be shown."""
        return self._view.slice_count if self._view is not None else 0

    def show_before(self, volume: Volume, index: int) -> None:
        """Show a scan at axial slice ``index``, without anything beside it."""
        self._before, self._after = volume, None
        self._view = plane_view(volume.geometry, Plane.AXIAL)
        self._index = index
        self.update()

    def show_after(self, volume: Volume | None, gap: str = NOT_MADE) -> None:
        """Show the changed scan, on the same grid, beside it; None for a ``gap`` with a sentence in it."""
        self._after, self._gap = volume, gap
        self.update()

    def set_slice(self, index: int) -> None:
        """Go to another slice."""
        self._index = index
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Both pictures with their captions."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("#000000"))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        width = (self.width() - GAP) / 2
        for number, (caption, volume) in enumerate((("Before", self._before), ("After", self._after))):
            room = QRectF(number * (width + GAP), 0, width, self.height())
            painter.setPen(QColor(COLOURS.text))
            painter.drawText(room.adjusted(GAP, 4, -GAP, 0), Qt.AlignmentFlag.AlignLeft, caption)
            inner = room.adjusted(0, _CAPTION_PX, 0, 0)
            if volume is None:
                painter.setPen(QColor(COLOURS.muted))
                painter.drawText(inner, Qt.AlignmentFlag.AlignCenter, self._gap)
            else:
                self._paint(painter, inner, volume)
        painter.end()

    def _paint(self, painter: QPainter, room: QRectF, volume: Volume) -> None:
        assert self._view is not None
        picture = self._view.extract(volume.array, min(self._index, self.slice_count - 1))
        pixels = np.ascontiguousarray(grey_rgb32(np.ascontiguousarray(picture), scan_looks(volume).window))
        rows, columns = pixels.shape
        image = QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGB32)
        across = columns * float(np.hypot(*self._view.x_vector_mm))
        down = rows * float(np.hypot(*self._view.y_vector_mm))
        scale = min(room.width() / across, room.height() / down)
        target = QRectF(0, 0, across * scale, down * scale)
        target.moveCenter(QPointF(room.center()))
        painter.drawImage(target, image)
