"""Short texts over a scan: light letters with a dark halo, readable on black, white and everything between."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QGuiApplication, QImage, QPainter, QPainterPath, QPen

from hemaview.gui.theme import COLOURS

_HALO_PX = 3
_HALO = QColor(0, 0, 0, 215)


def draw_label(
    painter: QPainter,
    text: str,
    x: float,
    y: float,
    anchor: Qt.AlignmentFlag,
    *,
    colour: str = COLOURS.text,
    pixels: int = 12,
    weight: int = QFont.Weight.Medium,
    within: QRectF | None = None,
) -> QRectF:
    """Write one line with its ``anchor`` (for example left and top) at (x, y); returns the place it took.

    A label that would leave ``within`` is pushed back inside.
    """
    ratio = painter.device().devicePixelRatio() if painter.device() is not None else 1.0
    image, width, height = _rendered(text, QGuiApplication.font().family(), pixels, int(weight), colour, ratio)
    if anchor & Qt.AlignmentFlag.AlignRight:
        x -= width
    elif anchor & Qt.AlignmentFlag.AlignHCenter:
        x -= width / 2
    if anchor & Qt.AlignmentFlag.AlignBottom:
        y -= height
    elif anchor & Qt.AlignmentFlag.AlignVCenter:
        y -= height / 2
    if within is not None:
        x = max(min(x, within.right() - width), within.left())
        y = max(min(y, within.bottom() - height), within.top())
    x, y = round(x * ratio) / ratio, round(y * ratio) / ratio
    painter.drawImage(QPointF(x - _HALO_PX, y - _HALO_PX), image)
    return QRectF(x, y, width, height)


def line_height(pixels: int = 12) -> float:
    """Distance between the tops of two lines."""
    return round(pixels * 1.4)


@lru_cache(maxsize=512)
def _rendered(
    text: str, family: str, pixels: int, weight: int, colour: str, ratio: float
) -> tuple[QImage, float, float]:
    """Rendered once and kept: most of a viewer's texts stay the same from paint to paint."""
    font = QFont(family)
    font.setPixelSize(pixels)
    font.setWeight(QFont.Weight(weight))
    # Digits of equal width, so that running numbers do not dance.
    font.setFeature(QFont.Tag("tnum"), 1)
    metrics = QFontMetricsF(font)
    width, height = metrics.horizontalAdvance(text), metrics.ascent() + metrics.descent()
    image = QImage(
        round((width + 2 * _HALO_PX + 1) * ratio),
        round((height + 2 * _HALO_PX + 1) * ratio),
        QImage.Format.Format_ARGB32_Premultiplied,
    )
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    path = QPainterPath()
    path.addText(QPointF(_HALO_PX, _HALO_PX + metrics.ascent()), font, text)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    halo = QPen(_HALO, _HALO_PX, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    painter.strokePath(path, halo)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(QPointF(_HALO_PX, _HALO_PX + metrics.ascent()), text)
    painter.end()
    return image, width, height
