"""What is written and drawn over a viewer: letters, scale bar, slice, window, probe, crosshair, A and B."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen

from hemaview.gui.text_label import draw_label, line_height
from hemaview.gui.theme import COLOURS, PLANE_COLOURS
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import Geometry, Plane, PlaneView, Volume
from hemaview.imaging.geometry import AXIS_LETTERS
from hemaview.imaging.windowing import Window
from hemaview.volumetry import TadaMeasurement

INSET_PX = 10
SMALL_VIEW_PX = 250
"""Below this width or height only letters, slice number and scale bar are written."""

_SCALE_LENGTHS_MM = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)
_SCALE_SHARE = 0.25
_CROSSHAIR_GAP_PX = 12
_LEFT, _RIGHT = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
_TOP, _BOTTOM = Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignBottom
_HCENTRE, _VCENTRE = Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True)
class Probe:
    """What lies under the mouse: voxel (i, j, k) from 0, point in LPS mm, value, and whether the mask holds it.

    ``lps`` is None on a scan that can only be looked at: where its voxels lie is not known well enough.
    """

    plane: Plane
    voxel: tuple[int, int, int]
    lps: tuple[float, float, float] | None
    value: float
    unit: str
    in_mask: bool

    @property
    def lines(self) -> tuple[str, ...]:
        """Value, position and voxel as the viewer writes them; voxels count from 0."""
        value = f"{self.value:.0f}" if float(self.value).is_integer() else f"{self.value:.4g}"
        what = f"{value} {self.unit}".rstrip() + (" · in mask" if self.in_mask else "")
        voxel = "voxel " + ", ".join(str(n) for n in self.voxel)
        if self.lps is None:
            return what, voxel
        return what, "  ".join(anatomical(axis, mm) for axis, mm in enumerate(self.lps)) + " mm", voxel


def probe_at(
    volume: Volume, mask: NDArray[np.bool_] | None, transform: ViewTransform, index: int, sx: float, sy: float
) -> Probe | None:
    """What lies under a screen position on slice ``index``; None beside the scan."""
    x, y = transform.to_picture(sx, sy)
    i, j, k = (int(v) for v in np.floor(transform.view.pixel_to_index(x, y, index) + 0.5))
    if not all(0 <= n < size for n, size in zip((i, j, k), volume.geometry.size, strict=True)):
        return None
    px, py, pz = (float(v) for v in volume.geometry.index_to_lps((i, j, k)))
    lps = (px, py, pz) if volume.not_measurable is None else None
    unit = "HU" if volume.is_hounsfield else ""
    in_mask = mask is not None and bool(mask[k, j, i])
    return Probe(transform.view.plane, (i, j, k), lps, float(volume.array[k, j, i]), unit, in_mask)


def anatomical(axis: int, mm: float) -> str:
    """A coordinate along LPS axis 0, 1 or 2 with the letter of its side, for example "S 34.2"."""
    rounded = round(mm, 1)
    return f"{AXIS_LETTERS[axis][1 if rounded >= 0 else 0]} {abs(rounded):.1f}"


def slice_position(geometry: Geometry, view: PlaneView, cursor: tuple[float, float, float], index: int) -> str:
    """Where the slice lies along its anatomical axis, at the crosshair, for example "S 34.2 mm"."""
    at = list(cursor)
    at[view.slice_axis] = index
    axis = {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[view.plane]
    return f"{anatomical(axis, float(geometry.index_to_lps(at)[axis]))} mm"


def window_text(window: Window, *, hounsfield: bool) -> str:
    """Width and level as radiologists read them; the scan's own units or HU."""
    digits = 0 if window.width >= 10 else 2 if window.width >= 0.1 else 4
    unit = " HU" if hounsfield else ""
    return f"W {window.width:.{digits}f}  L {window.centre:.{digits}f}{unit}".replace("-", "−")


def scale_length_mm(zoom: float, width: float) -> float:
    """The longest round length that takes at most a quarter of the viewer's width."""
    fitting = [mm for mm in _SCALE_LENGTHS_MM if mm * zoom <= width * _SCALE_SHARE]
    return float(fitting[-1]) if fitting else float(_SCALE_LENGTHS_MM[0])


def paint_letters(painter: QPainter, view: PlaneView, width: float, height: float) -> None:
    """R/L/A/P/I/S in the middle of the four edges."""
    for letter, x, y, anchor in (
        (view.left, INSET_PX, height / 2, _LEFT | _VCENTRE),
        (view.right, width - INSET_PX, height / 2, _RIGHT | _VCENTRE),
        (view.top, width / 2, INSET_PX - 4, _HCENTRE | _TOP),
        (view.bottom, width / 2, height - INSET_PX + 4, _HCENTRE | _BOTTOM),
    ):
        draw_label(painter, letter, x, y, anchor, pixels=15, weight=QFont.Weight.Bold)


def paint_scale_bar(painter: QPainter, zoom: float, width: float, height: float) -> None:
    """A round length in mm, bottom right, with its number above."""
    mm = scale_length_mm(zoom, width)
    length = round(mm * zoom)
    right, bottom = width - INSET_PX - 1, height - INSET_PX - 1
    left, top = right - length, bottom - 6
    lines = [QLineF(left, bottom, right, bottom), QLineF(left, bottom, left, top), QLineF(right, bottom, right, top)]
    for colour, thickness in ((QColor(0, 0, 0, 190), 4), (QColor(COLOURS.text), 2)):
        painter.setPen(QPen(colour, thickness, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap))
        painter.drawLines(lines)
    draw_label(painter, f"{mm:g} mm", (left + right) / 2, top - 1, _HCENTRE | _BOTTOM, pixels=11)


def paint_slice_text(painter: QPainter, number: int, count: int, position: str, small: bool) -> None:
    """Slice number and position, top left."""
    place = draw_label(
        painter, str(number), INSET_PX, INSET_PX - 2, _LEFT | _TOP, pixels=14, weight=QFont.Weight.DemiBold
    )
    draw_label(painter, f"/ {count}", place.right() + 5, place.bottom() - 1, _LEFT | _BOTTOM, colour=COLOURS.muted)
    if not small:
        draw_label(painter, position, INSET_PX, place.bottom() + 3, _LEFT | _TOP)


def paint_bottom_text(painter: QPainter, window: str, probe: Probe | None, height: float) -> None:
    """Window values bottom left, above them what is under the mouse."""
    y = height - INSET_PX + 2
    draw_label(painter, window, INSET_PX, y, _LEFT | _BOTTOM)
    if probe is not None:
        value, *places = probe.lines
        y -= line_height() + 4
        for place in reversed(places):
            draw_label(painter, place, INSET_PX, y, _LEFT | _BOTTOM, pixels=11, colour="#c3cddb")
            y -= line_height()
        draw_label(painter, value, INSET_PX, y, _LEFT | _BOTTOM, weight=QFont.Weight.DemiBold)


def bottom_text_rect(height: float) -> QRectF:
    """Where ``paint_bottom_text`` writes; all that a mouse move has to repaint."""
    top = height - INSET_PX - 4 * line_height() - 12
    return QRectF(0, top, 260, height - top)


def paint_warning(painter: QPainter, text: str, width: float) -> None:
    """A line that must not be overlooked, top right."""
    draw_label(painter, text, width - INSET_PX, INSET_PX, _RIGHT | _TOP, colour=COLOURS.warning, pixels=11)


def paint_crosshair(
    painter: QPainter, transform: ViewTransform, x: float, y: float, colours: tuple[str, str], opacity: float
) -> None:
    """Two lines through picture position (x, y) that leave its middle free; (vertical, horizontal) colours."""
    view = transform.view
    right, bottom = view.columns - 0.5, view.rows - 0.5
    vertical = _screen_line(transform, (x, -0.5), (x, bottom))
    horizontal = _screen_line(transform, (-0.5, y), (right, y))
    cx, cy = (float(v) for v in transform.to_screen(x, y))
    painter.setOpacity(opacity)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, not transform.is_axis_aligned)
    for line, colour in ((vertical, colours[0]), (horizontal, colours[1])):
        parts = _with_gap(line, cx, cy, _CROSSHAIR_GAP_PX)
        for pen in (QPen(QColor(0, 0, 0, 110), 3), QPen(QColor(colour), 1)):
            painter.setPen(pen)
            painter.drawLines(parts)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setOpacity(1.0)


def crosshair_colours(view: PlaneView, views: dict[Plane, PlaneView]) -> tuple[str, str]:
    """Colours of the vertical and the horizontal line: those of the planes that the lines stand for."""
    by_axis = {other.slice_axis: PLANE_COLOURS[plane] for plane, other in views.items()}
    return by_axis[view.x_axis], by_axis[view.y_axis]


def paint_tada(painter: QPainter, transform: ViewTransform, geometry: Geometry, tada: TadaMeasurement) -> None:
    """The diameters A and B as calipers with their lengths; the caller shows it on the slice they belong to."""
    for name, segment, mm, dashed in (
        ("A", tada.a_segment, tada.a_mm, False),
        ("B", tada.b_segment, tada.b_mm, True),
    ):
        x, y, _ = transform.view.index_to_pixel(geometry.lps_to_index(np.array(segment)))
        sx, sy = transform.to_screen(x, y)
        start, end = np.array([sx[0], sy[0]]), np.array([sx[1], sy[1]])
        _paint_caliper(painter, start, end, f"{name}  {mm:.1f} mm", dashed)


def _paint_caliper(
    painter: QPainter, start: NDArray[np.float64], end: NDArray[np.float64], text: str, dashed: bool
) -> None:
    length = float(np.hypot(*(end - start)))
    along = (end - start) / length if length > 0 else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]]) * 5
    ticks = [QLineF(*(p - across), *(p + across)) for p in (start, end)]
    line = QLineF(*start, *end)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setPen(QPen(QColor(0, 0, 0, 170), 3.5))
    painter.drawLines([line, *ticks])
    pen = QPen(QColor("#ffffff"), 1.5)
    painter.setPen(pen)
    painter.drawLines(ticks)
    if dashed:
        pen.setDashPattern([4, 3])
        painter.setPen(pen)
    painter.drawLine(line)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    # The text goes past the end that lies further right, away from the line.
    tip, outward = (end, along) if along[0] >= 0 else (start, -along)
    x, y = tip + outward * 10
    side = _LEFT if abs(outward[0]) > 0.35 else _HCENTRE
    level = _VCENTRE if side == _LEFT else (_TOP if outward[1] > 0 else _BOTTOM)
    within = QRectF(painter.window()).adjusted(4, 4, -4, -4)
    draw_label(painter, text, float(x), float(y), side | level, weight=QFont.Weight.DemiBold, within=within)


def _screen_line(transform: ViewTransform, start: tuple[float, float], end: tuple[float, float]) -> QLineF:
    x, y = transform.to_screen([start[0], end[0]], [start[1], end[1]])
    if transform.is_axis_aligned:
        # On the middle of a device pixel a one pixel line is sharp.
        x, y = np.floor(x) + 0.5, np.floor(y) + 0.5
    return QLineF(float(x[0]), float(y[0]), float(x[1]), float(y[1]))


def _with_gap(line: QLineF, cx: float, cy: float, gap: float) -> list[QLineF]:
    length = line.length()
    if length <= 0:
        return []
    ux, uy = line.dx() / length, line.dy() / length
    middle = (cx - line.x1()) * ux + (cy - line.y1()) * uy
    before, after = min(max(middle - gap, 0.0), length), min(max(middle + gap, 0.0), length)
    at = [QPointF(line.x1() + ux * s, line.y1() + uy * s) for s in (0.0, before, after, length)]
    return [QLineF(at[0], at[1]), QLineF(at[2], at[3])]
