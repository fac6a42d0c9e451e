"""How boxes look in a viewer, and the mouse cursors over their sides."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from hemaview.gui.box_tool import SIDES, BoxOutline, Grip
from hemaview.gui.text_label import draw_label
from hemaview.gui.theme import COLOURS
from hemaview.gui.view_transform import ViewTransform

BOX_COLOUR = QColor(COLOURS.box)
HANDLE_SIZE_PX = 8.0

_BELOW = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop

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


def paint_box(
    painter: QPainter,
    outline: BoxOutline,
    transform: ViewTransform,
    *,
    guessed_x: bool,
    guessed_y: bool,
    handles: bool,
    hot: Grip | None,
    stands_back: bool = False,
) -> None:
    """Draw a box: solid where it holds the slice, dashed outside; dotted across an axis whose depth is a guess.

    A box that stands back behind a redrawn rectangle is dashed and fainter.
    """
    corners = outline.corners(transform)
    if transform.is_axis_aligned:
        corners = np.round(corners)
    points = [QPointF(float(x), float(y)) for x, y in corners]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, not transform.is_axis_aligned)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    holds = outline.holds_slice and not stands_back
    colour = QColor(BOX_COLOUR)
    colour.setAlpha(130 if stands_back else 255)
    painter.setPen(QPen(QColor(0, 0, 0, 130 if holds else 70), 4))
    painter.drawPolygon(QPolygonF(points))
    for number, grip in enumerate(SIDES):
        guessed = guessed_x if grip in (Grip.LEFT, Grip.RIGHT) else guessed_y
        pen = QPen(colour, 2)
        if not holds or guessed:
            pen.setCapStyle(Qt.PenCapStyle.FlatCap)
            pen.setDashPattern([1, 2] if holds else [4, 3])
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
