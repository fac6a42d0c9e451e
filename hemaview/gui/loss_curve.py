"""The loss of a training as a line that grows, with the validation Dice beside it in numbers."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from hemaview.gui.text_label import draw_label
from hemaview.gui.theme import COLOURS

_INSET = 10
_MOST_POINTS = 2000


class LossCurve(QWidget):
    """``add`` appends a value, ``clear`` begins anew."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.losses: list[float] = []
        self.dice: float | None = None
        self.setAccessibleName("Loss of the training")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(140)

    def sizeHint(self) -> QSize:
        """Wide and low."""
        return QSize(480, 180)

    def clear(self) -> None:
        """Forget the run before."""
        self.losses.clear()
        self.dice = None
        self.update()

    def add(self, loss: float | None, dice: float | None) -> None:
        """Show one more step."""
        if loss is not None:
            self.losses.append(loss)
            if len(self.losses) > _MOST_POINTS:
                self.losses = self.losses[::2]
            self.setAccessibleDescription(f"loss {loss:.3f}")
        if dice is not None:
            self.dice = dice
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A card with the line in it; lower is better."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(COLOURS.border), 1))
        painter.setBrush(QColor(COLOURS.window))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        top = Qt.AlignmentFlag.AlignTop
        if not self.losses:
            middle = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignVCenter
            text = "The loss appears here once the learning begins"
            draw_label(painter, text, self.width() / 2, self.height() / 2, middle, colour=COLOURS.muted)
        else:
            self._paint_line(painter)
            loss = f"loss {self.losses[-1]:.3f}"
            draw_label(painter, loss, _INSET, _INSET - 2, Qt.AlignmentFlag.AlignLeft | top, colour=COLOURS.lesion)
            if self.dice is not None:
                dice = f"validation Dice {self.dice:.3f}"
                right = self.width() - _INSET
                draw_label(painter, dice, right, _INSET - 2, Qt.AlignmentFlag.AlignRight | top, colour=COLOURS.good)
        painter.end()

    def _paint_line(self, painter: QPainter) -> None:
        low, high = min(0.0, *self.losses), max(self.losses)
        across = (self.width() - 2 * _INSET) / max(len(self.losses) - 1, 1)
        top = _INSET + 22
        down = (self.height() - top - _INSET) / max(high - low, 1e-9)
        points = [
            QPointF(_INSET + number * across, top + (high - value) * down) for number, value in enumerate(self.losses)
        ]
        painter.setPen(QPen(QColor(COLOURS.lesion), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))
