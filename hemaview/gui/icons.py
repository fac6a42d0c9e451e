"""Icons drawn from the SVG files in ``assets/icons``, tinted for the theme and sharp at every scale."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from hemaview.gui.theme import COLOURS
from hemaview.resources import resource_path

_SIZES = (16, 20, 24, 32, 48)


@lru_cache(maxsize=256)
def icon(name: str, colour: str = COLOURS.text) -> QIcon:
    """The icon ``name`` in ``colour`` (greyed when disabled); an empty icon when its file is missing."""
    result = QIcon()
    modes = QIcon.Mode
    for mode, tint in ((modes.Normal, colour), (modes.Selected, colour), (modes.Disabled, COLOURS.border_strong)):
        source = _source(name, tint)
        if source is None:
            continue
        for size in _SIZES:
            for scale in (1, 2):
                result.addPixmap(_render(source, size, scale), mode)
    return result


@lru_cache(maxsize=64)
def pixmap(name: str, size: int, colour: str = COLOURS.text) -> QPixmap:
    """The icon ``name`` as a square pixmap of ``size`` logical pixels, drawn at twice that for sharp screens."""
    source = _source(name, colour)
    return QPixmap(QSize(size, size)) if source is None else _render(source, size, 2)


def untinted(picture: QPixmap) -> QIcon:
    """A picture as an icon that a selected row shows as it is; the style would tint one made for normal rows alone."""
    result = QIcon(picture)
    result.addPixmap(picture, QIcon.Mode.Selected)
    return result


def app_icon() -> QIcon:
    """The application's own icon."""
    source = _source("hemaview", COLOURS.text)
    result = QIcon()
    if source is not None:
        for size in (16, 24, 32, 48, 64, 128, 256):
            result.addPixmap(_render(source, size, 1))
    return result


def _source(name: str, colour: str) -> bytes | None:
    try:
        text = resource_path("assets", "icons", f"{name}.svg").read_text(encoding="utf-8")
    except OSError:
        return None
    return text.replace("currentColor", colour).encode()


def _render(source: bytes, size: int, scale: int) -> QPixmap:
    picture = QPixmap(size * scale, size * scale)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(QByteArray(source)).render(painter, QRectF(0, 0, size * scale, size * scale))
    painter.end()
    picture.setDevicePixelRatio(scale)
    return picture
