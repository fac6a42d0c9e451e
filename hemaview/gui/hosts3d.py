"""Where the 3D scene is drawn: in the window, or off screen into a picture."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QGuiApplication, QImage, QOffscreenSurface, QOpenGLContext, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget


def opengl_available() -> bool:
    """Whether a window here can have an OpenGL 3.2 context, which VTK needs; asked of Qt, so nothing can crash."""
    context = QOpenGLContext()
    if not context.create():
        return False
    surface = QOffscreenSurface()
    surface.setFormat(context.format())
    surface.create()
    if not surface.isValid() or not context.makeCurrent(surface):
        return False
    version = context.format().version()
    context.doneCurrent()
    return version >= (3, 2)


def is_offscreen() -> bool:
    """Whether Qt draws into memory, so that no OpenGL widget can be used."""
    return QGuiApplication.platformName() in ("offscreen", "minimal")


class Host(Protocol):
    """Where the scene is drawn."""

    plotter: Any

    @property
    def widget(self) -> QWidget:
        """What is laid into the pane."""

    def render(self) -> None:
        """Draw the scene as it is now."""

    def close(self) -> None:
        """Give the graphics memory back."""


class WindowHost:
    """The scene in the window, turned with the mouse."""

    def __init__(self, parent: QWidget) -> None:
        from pyvistaqt import QtInteractor

        self.plotter = QtInteractor(parent, auto_update=False, line_smoothing=False, multi_samples=0)
        self.widget: QWidget = self.plotter
        self.widget.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        # VTK answers letters with wireframes and even with quitting; here letters belong to the window.
        for event in ("CharEvent", "KeyPressEvent"):
            self.plotter.iren.interactor.RemoveObservers(event)

    def render(self) -> None:
        """Draw the scene as it is now."""
        self.plotter.render()

    def close(self) -> None:
        """Give the graphics memory back."""
        self.plotter.close()


class PictureHost:
    """The scene drawn off screen and shown as a picture, for platforms without a window system."""

    def __init__(self, parent: QWidget) -> None:
        import pyvista as pv

        self.plotter = pv.Plotter(off_screen=True, window_size=(640, 480))
        self.widget = _Picture(parent)

    def render(self) -> None:
        """Draw the scene as it is now."""
        size = self.widget.size()
        self.plotter.window_size = (max(size.width(), 64), max(size.height(), 64))
        self.widget.set_pixels(np.ascontiguousarray(self.plotter.screenshot(return_img=True)))

    def close(self) -> None:
        """Give the graphics memory back."""
        self.plotter.close()


class _Picture(QWidget):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._pixels: np.ndarray | None = None

    def set_pixels(self, pixels: np.ndarray) -> None:
        self._pixels = pixels
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._pixels is not None:
            rows, columns, channels = self._pixels.shape
            image = QImage(self._pixels.data, columns, rows, columns * channels, QImage.Format.Format_RGB888)
            painter = QPainter(self)
            painter.drawImage(QRect(0, 0, self.width(), self.height()), image)
            painter.end()


def make_host(parent: QWidget) -> Host:
    """The host that fits the platform; whatever VTK raises when it cannot draw."""
    return PictureHost(parent) if is_offscreen() else WindowHost(parent)
