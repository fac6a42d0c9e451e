"""What the tests of the viewers share: scans on straight and crooked grids, and three linked viewers on a screen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QCursor, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from hemaview.gui.slice_view import SliceView
from hemaview.gui.view_state import ViewState
from hemaview.imaging import Geometry, Modality, Plane, Volume
from hemaview.imaging.windowing import Window
from hemaview.segmentation import Prompt

SIZE = (40, 36, 20)
SPACING = (0.9, 1.3, 4.0)
ORIGIN = (-31.0, 17.0, 60.0)


def _rotation(degrees: float, axis: int) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    a, b = [n for n in range(3) if n != axis]
    matrix = np.eye(3)
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


def _sheared() -> np.ndarray:
    axes = np.eye(3)
    axes[:, 2] = (0.0, np.sin(np.radians(18)), np.cos(np.radians(18)))
    return axes


AXES = {
    "LPS": np.eye(3),
    "RAS": np.diag([-1.0, -1.0, 1.0]),
    "feet first": np.diag([1.0, -1.0, -1.0]),
    "oblique": _rotation(17, 0) @ _rotation(-12, 1) @ _rotation(8, 2),
    "sagittal": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "tilted gantry": _sheared(),
}


UNEVEN_MM = (0, 2.5, 5, 7.5, 10, 12.5, 15, 20, 25, 30, 35, 40, 45, 49, 53, 57, 61, 65, 69, 76)
"""Where the slices lie on the grids called uneven; their mean step is that of the others."""


def grid(name: str) -> Geometry:
    """A small anisotropic grid whose axes lie as ``AXES`` says, "uneven" with slices of several thicknesses."""
    axes = AXES[name.removeprefix("uneven ")]
    return Geometry(SIZE, SPACING, ORIGIN, tuple(axes.ravel()), UNEVEN_MM if name.startswith("uneven") else None)


def scan_on(geometry: Geometry, modality: Modality = Modality.MR) -> Volume:
    """Values that tell every voxel: 100 + i + 50 j + 2 k, int16."""
    k, j, i = np.indices(geometry.shape, dtype=np.int16)
    return Volume(100 + i + 50 * j + 2 * k, geometry, modality)


@dataclass
class Viewers:
    """Three viewers on one state, with a mouse that works in voxel positions."""

    state: ViewState
    views: dict[Plane, SliceView]
    drawn: list = field(default_factory=list)
    edited: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    strokes: list = field(default_factory=list)
    maximised: list = field(default_factory=list)

    def take(self, prompt: Prompt, text: str) -> None:
        self.steps.append(text)
        if text == "Draw box":
            self.drawn.append(prompt.box)
        elif text == "Adjust box":
            self.edited.append(prompt.box)

    @property
    def geometry(self) -> Geometry:
        return self.state.geometry

    def at(self, plane: Plane, ijk) -> QPoint:
        """The widget position of a continuous voxel position."""
        view = self.views[plane]
        x, y, _ = self.state.view(plane).index_to_pixel(np.asarray(ijk, dtype=float))
        sx, sy = view.transform.to_screen(x, y)
        return QPoint(round(float(sx)), round(float(sy)))

    def drag(self, plane: Plane, start: QPoint, end: QPoint, button=Qt.MouseButton.LeftButton, modifiers=None) -> None:
        view = self.views[plane]
        keys = modifiers or Qt.KeyboardModifier.NoModifier
        QTest.mouseMove(view, start)
        QTest.mousePress(view, button, keys, start)
        for share in (0.3, 0.7, 1.0):
            QTest.mouseMove(view, start + (end - start) * share)
        QTest.mouseRelease(view, button, keys, end)

    def hover(self, plane: Plane, place: QPoint, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
        view = self.views[plane]
        no = Qt.MouseButton.NoButton
        at = QPointF(place)
        event = QMouseEvent(QMouseEvent.Type.MouseMove, at, QPointF(view.mapToGlobal(place)), no, no, modifiers)
        QApplication.sendEvent(view, event)

    def wheel(self, plane: Plane, notches: float, place: QPoint | None = None, modifiers=None) -> None:
        view = self.views[plane]
        place = place or view.rect().center()
        event = QWheelEvent(
            QPointF(place),
            QPointF(view.mapToGlobal(place)),
            QPoint(0, 0),
            QPoint(0, round(120 * notches)),
            Qt.MouseButton.NoButton,
            modifiers or Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(view, event)

    def picture(self, plane: Plane):
        """What the viewer paints, as an image."""
        return self.views[plane].grab().toImage()


@pytest.fixture
def viewers(qtbot):
    """Build three viewers, 480 px each, on a volume: ``viewers(volume)``."""
    kept = []

    def build(volume: Volume, window: Window | None = None) -> Viewers:
        # Where the last test left the pointer, a new viewer would show its probe and brush ring.
        QCursor.setPos(QApplication.primaryScreen().geometry().bottomRight())
        state = ViewState()
        views = {}
        for plane in Plane:
            view = views[plane] = SliceView(state, plane)
            qtbot.addWidget(view)
            view.resize(480, 480)
            view.move(490 * len(views) - 490, 0)
            with qtbot.waitExposed(view):
                view.show()
        state.set_volume(volume, window)
        found = Viewers(state, views)
        for view in views.values():
            view.prompted.connect(found.take)
            view.brush_stroke.connect(lambda region, values: found.strokes.append((region, values)))
            view.maximise_requested.connect(found.maximised.append)
        kept.append(found)
        return found

    return build


@pytest.fixture(params=[*AXES, "uneven LPS", "uneven feet first", "uneven sagittal", "uneven tilted gantry"])
def crooked(request) -> Volume:
    """A scan on each kind of grid in turn."""
    return scan_on(grid(request.param))


@pytest.fixture
def straight() -> Volume:
    """A scan on the plain anisotropic LPS grid."""
    return scan_on(grid("LPS"))
