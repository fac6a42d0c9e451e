"""From scan and mask arrays to pixels: greys, the mask on one slice, and the layers a viewer keeps between paints."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF, QTransform

from hemaview.gui.mask_outline import outline_loops
from hemaview.gui.theme import COLOURS
from hemaview.gui.view_state import MaskPatch, ViewState
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import PlaneView
from hemaview.imaging.windowing import Window, to_grey8, window_lut

BACKGROUND = QColor("#000000")
MASK_COLOUR = QColor(COLOURS.lesion)
PREVIEW_COLOUR = QColor("#ffd28a")

_OPAQUE = np.uint32(0xFF000000)
_GREY_STEP = np.uint32(0x00010101)


@lru_cache(maxsize=8)
def _rgb32_lut(window: Window) -> NDArray[np.uint32]:
    """(65536,) pixels in the order of the int16 bit patterns, so that the scan indexes it without arithmetic."""
    lut = np.roll(window_lut(window), 32768).astype(np.uint32) * _GREY_STEP | _OPAQUE
    lut.setflags(write=False)
    return lut


def grey_rgb32(picture: NDArray, window: Window) -> NDArray[np.uint32]:
    """Pixels 0xFFggggggg, C-contiguous ``[row, column]``, of an int16 or float32 picture under a window."""
    if picture.dtype == np.int16:
        bits = np.ascontiguousarray(picture).view(np.uint16)
        # Every 16-bit pattern is a valid index; "wrap" only spares numpy the check.
        return np.asarray(_rgb32_lut(window).take(bits, mode="wrap"))
    return to_grey8(picture, window).astype(np.uint32) * _GREY_STEP | _OPAQUE


def display_mask(
    view: PlaneView,
    index: int,
    mask: NDArray[np.bool_] | None,
    *,
    preview: NDArray[np.bool_] | None = None,
    preview_slices: NDArray[np.bool_] | None = None,
    stroke: MaskPatch | None = None,
) -> tuple[NDArray[np.bool_] | None, bool]:
    """The mask picture ``[row, column]`` of slice ``index``, and whether a streamed preview has a part in it.

    Streamed slices replace the mask's, a stroke in progress replaces what it covers. None without any of them.
    """
    axis = 2 - view.slice_axis
    page = None if mask is None else np.moveaxis(mask, axis, 0)[index]
    streamed = False
    if preview is not None and preview_slices is not None:
        arrived = preview_slices[index : index + 1, None] if axis == 0 else preview_slices[:, None]
        if arrived.any():
            streamed = True
            coming = np.moveaxis(preview, axis, 0)[index]
            page = np.where(arrived, coming, False if page is None else page)
    if stroke is not None and stroke.region[axis].start <= index < stroke.region[axis].stop:
        others = tuple(stroke.region[a] for a in range(3) if a != axis)
        painted = np.moveaxis(stroke.values, axis, 0)[index - stroke.region[axis].start]
        if page is None:
            page = np.zeros([n for a, n in enumerate(view.size[::-1]) if a != axis], dtype=np.bool_)
        else:
            page = page.copy()
        page[others] = painted
    if page is None:
        return None, False
    return view.extract(np.expand_dims(page, axis), 0), streamed


def source_transform(transform: ViewTransform) -> QTransform:
    """Qt's map from image coordinates (the top left corner of the first pixel is 0, 0) to the screen."""
    (xx, xy), (yx, yy) = transform.x_step, transform.y_step
    left, top = transform.to_screen(-0.5, -0.5)
    return QTransform(xx, xy, yx, yy, float(left), float(top))


def screen_polygons(transform: ViewTransform, loops: list[NDArray[np.float64]], pixel_ratio: float) -> list[QPolygonF]:
    """Loops of picture positions as screen polygons; without shear their points are put between device pixels."""
    polygons = []
    for loop in loops:
        x, y = transform.to_screen(loop[:, 0], loop[:, 1])
        if transform.is_axis_aligned:
            x, y = np.round(x * pixel_ratio) / pixel_ratio, np.round(y * pixel_ratio) / pixel_ratio
        polygons.append(QPolygonF([QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)]))
    return polygons


_KEPT_SLICES = 64


@dataclass
class _Raster:
    """An image with the numpy buffer that it looks into and that must live as long."""

    image: QImage
    pixels: NDArray[np.uint32]

    @classmethod
    def of(cls, pixels: NDArray[np.uint32], kind: QImage.Format) -> _Raster:
        height, width = pixels.shape
        return cls(QImage(pixels.data, width, height, width * 4, kind), pixels)


@dataclass
class _MaskLayer:
    fill: _Raster
    left: int
    top: int
    loops: list[NDArray[np.float64]]
    streamed: bool


class SliceLayers:
    """The slow layers of one viewer, each remade only after it was called stale.

    ``scan`` is the windowed slice, ``mask`` fill and outline of the mask on it, and both together are kept scaled at
    screen size, so that crosshair, box, texts and brush ring are painted over a finished image.
    """

    def __init__(self) -> None:
        self._scan: _Raster | None = None
        self._mask: _MaskLayer | None = None
        self._scan_stale = self._mask_stale = self._screen_stale = True
        self._screen: QImage | None = None
        self._kept: dict[int, _MaskLayer | None] = {}

    def scan_changed(self) -> None:
        """The slice or the window is another; the mask of that slice too."""
        self._scan_stale = self._mask_stale = self._screen_stale = True

    def window_changed(self) -> None:
        """Only the greys are others."""
        self._scan_stale = self._screen_stale = True

    def mask_changed(self) -> None:
        """The mask, the preview or the stroke is another."""
        self._kept.clear()
        self._mask_stale = self._screen_stale = True

    def placement_changed(self) -> None:
        """Zoom, pan, style or the widget's size is another."""
        self._screen_stale = True

    def screen(
        self,
        state: ViewState,
        view: PlaneView,
        index: int,
        transform: ViewTransform,
        size: tuple[int, int],
        ratio: float,
    ) -> QImage:
        """Scan and mask at screen size (logical pixels ``size``, device pixel ratio ``ratio``)."""
        width, height = round(size[0] * ratio), round(size[1] * ratio)
        if self._screen is None or (self._screen.width(), self._screen.height()) != (width, height):
            self._screen = QImage(width, height, QImage.Format.Format_RGB32)
            self._screen_stale = True
        if not self._screen_stale:
            return self._screen
        self._screen.setDevicePixelRatio(ratio)
        self._screen.fill(BACKGROUND)
        painter = QPainter(self._screen)
        try:
            self._paint_scan(painter, state, view, index, transform)
            if state.overlay.visible:
                self._paint_mask(painter, state, view, index, transform, ratio)
        finally:
            painter.end()
        self._screen_stale = False
        return self._screen

    def _paint_scan(
        self, painter: QPainter, state: ViewState, view: PlaneView, index: int, transform: ViewTransform
    ) -> None:
        if self._scan_stale or self._scan is None:
            assert state.picture is not None
            picture = view.extract(state.picture.array, index, smooth=state.smooth)
            pixels = grey_rgb32(picture, state.window)
            self._scan = _Raster.of(pixels, QImage.Format.Format_RGB32)
            self._scan_stale = False
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, state.smooth)
        painter.setTransform(source_transform(transform), True)
        painter.drawImage(QPointF(0, 0), self._scan.image)
        painter.resetTransform()

    def _paint_mask(
        self,
        painter: QPainter,
        state: ViewState,
        view: PlaneView,
        index: int,
        transform: ViewTransform,
        ratio: float,
    ) -> None:
        if self._mask_stale:
            self._mask = self._mask_of(state, view, index)
            self._mask_stale = False
        layer, style = self._mask, state.overlay
        if layer is None:
            return
        if style.fill and style.opacity > 0:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
            painter.setOpacity(style.opacity * (0.6 if layer.streamed else 1.0))
            painter.setTransform(source_transform(transform), True)
            painter.drawImage(QPointF(layer.left, layer.top), layer.fill.image)
            painter.resetTransform()
            painter.setOpacity(1.0)
        if style.outline:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, not transform.is_axis_aligned)
            polygons = screen_polygons(transform, layer.loops, ratio)
            for pen in _outline_pens(layer.streamed):
                painter.setPen(pen)
                for polygon in polygons:
                    painter.drawPolyline(polygon)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _mask_of(self, state: ViewState, view: PlaneView, index: int) -> _MaskLayer | None:
        """The mask on a slice; going back and forth through a finished mask finds its outlines made."""
        if index not in self._kept:
            if len(self._kept) >= _KEPT_SLICES:
                self._kept.clear()
            self._kept[index] = _mask_layer(state, view, index)
        return self._kept[index]


def _mask_layer(state: ViewState, view: PlaneView, index: int) -> _MaskLayer | None:
    picture, streamed = display_mask(
        view,
        index,
        state.mask,
        preview=state.preview,
        preview_slices=state.preview_slices,
        stroke=state.stroke,
    )
    if picture is None:
        return None
    rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    part = np.ascontiguousarray(picture[top : rows[-1] + 1, left : columns[-1] + 1])
    colour = PREVIEW_COLOUR if streamed else MASK_COLOUR
    pixels = part.astype(np.uint32) * np.uint32(colour.rgba())
    fill = _Raster.of(pixels, QImage.Format.Format_ARGB32_Premultiplied)
    loops = [loop + np.array([left, top]) for loop in outline_loops(part)]
    return _MaskLayer(fill, left, top, loops, streamed)


@lru_cache(maxsize=2)
def _outline_pens(streamed: bool) -> tuple[QPen, QPen]:
    """A dark pen under a bright one, so that the outline shows on bright and on dark tissue; dashed for a preview."""
    shade = QColor(0, 0, 0, 120)
    under = QPen(shade, 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap, Qt.PenJoinStyle.MiterJoin)
    over = QPen(MASK_COLOUR, 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap, Qt.PenJoinStyle.MiterJoin)
    if streamed:
        over.setColor(PREVIEW_COLOUR)
        over.setCapStyle(Qt.PenCapStyle.FlatCap)
        over.setDashPattern([3, 2])
    return under, over


def picture_rect(transform: ViewTransform) -> QRectF:
    """Bounding rectangle of the whole picture on the screen."""
    right, bottom = transform.view.columns - 0.5, transform.view.rows - 0.5
    x, y = transform.to_screen([-0.5, right, right, -0.5], [-0.5, -0.5, bottom, bottom])
    return QRectF(QPointF(float(x.min()), float(y.min())), QPointF(float(x.max()), float(y.max())))
