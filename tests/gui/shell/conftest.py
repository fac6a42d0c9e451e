"""What the tests of the window share: the small head on disk, a real window, and a hand at mouse and keyboard."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from hemaview.gui.main_window import MainWindow
from hemaview.gui.theme import apply_theme
from hemaview.imaging import Plane

# Tests are imported by path, so a module beside them is found only this way (and by processes that tests start).
sys.path.insert(0, str(Path(__file__).parent))

from bright_engine import LESION_CENTRE, LESION_RADII_MM, SPACING, BrightEngine, head
from browser_hand import Chooser
from dicom_folder import write_cd


@pytest.fixture(scope="session")
def lesion() -> np.ndarray:
    """The true lesion ``[k, j, i]``."""
    return head()[1]


@pytest.fixture(scope="session")
def lesion_ml(lesion) -> float:
    """Its volume."""
    return float(np.count_nonzero(lesion)) * float(np.prod(SPACING)) / 1000


@pytest.fixture
def scan_file(tmp_path) -> Path:
    """The head as a NIfTI file whose voxel axes run to L, P and S."""
    path = tmp_path / "head.nii.gz"
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    nibabel.save(nibabel.Nifti1Image(head()[0].transpose(2, 1, 0), affine), path)
    return path


class Hand:
    """A user at the window: works with real mouse and key events, in voxel positions."""

    def __init__(self, window: MainWindow) -> None:
        self.window = window

    def at(self, plane: Plane, ijk) -> QPoint:
        view = self.window.grid.frames[plane].view
        x, y, _ = self.window.state.view(plane).index_to_pixel(np.asarray(ijk, dtype=float))
        sx, sy = view.transform.to_screen(x, y)
        return QPoint(round(float(sx)), round(float(sy)))

    def drag(self, plane: Plane, start, end) -> None:
        view = self.window.grid.frames[plane].view
        first, last = self.at(plane, start), self.at(plane, end)
        QTest.mouseMove(view, first)
        QTest.mousePress(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, first)
        for share in (0.3, 0.7, 1.0):
            QTest.mouseMove(view, first + (last - first) * share)
        QTest.mouseRelease(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, last)

    def key(self, key, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(QApplication.focusWidget() or self.window, key, modifiers)

    def draw_box(self, *, margin_mm: float = 6.0) -> None:
        """Scroll to the lesion, press B and drag a rectangle round it on the axial slice; wait for everything."""
        self.window.state.set_cursor(LESION_CENTRE)
        self.key(Qt.Key.Key_B)
        reach = (np.array(LESION_RADII_MM) + margin_mm) / SPACING
        self.drag(Plane.AXIAL, np.array(LESION_CENTRE) - reach, np.array(LESION_CENTRE) + reach)
        assert self.window.settle(30)


@pytest.fixture
def cases(tmp_path) -> Path:
    """An empty folder for cases."""
    return tmp_path / "cases"


@pytest.fixture
def open_window(qtbot, cases):
    """Show a real window: ``open_window(engine_loader=..., ...)``; it is closed after the test."""
    apply_theme(QApplication.instance())
    windows: list[MainWindow] = []

    def build(engine_loader=BrightEngine, root: Path = cases, engine_source=None, **options) -> Hand:
        QCursor.setPos(QApplication.primaryScreen().geometry().bottomRight())
        window = MainWindow(root, engine_source=engine_source or (lambda choice: engine_loader()), **options)
        windows.append(window)
        window.resize(1280, 800)
        with qtbot.waitExposed(window):
            window.show()
        window.activateWindow()
        assert QTest.qWaitForWindowActive(window, 10_000)
        qtbot.waitUntil(lambda: window.workflow.engine is not None or window.messages.text != "", timeout=30_000)
        return Hand(window)

    yield build
    for window in windows:
        window.close()
        window.deleteLater()
    # Deleted here and now: otherwise Qt takes the old OpenGL pane down while the next window is being exposed, which
    # has crashed the software renderer.
    windows.clear()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()


@pytest.fixture
def hand(open_window, scan_file) -> Hand:
    """A window with the head open in it."""
    hand = open_window()
    hand.window.open_files([scan_file])
    assert hand.window.settle(60)
    assert hand.window.case is not None
    return hand


@pytest.fixture
def cd(tmp_path) -> Path:
    """The folder of a CD with two patients."""
    return write_cd(tmp_path / "CD")


@pytest.fixture
def chooser(open_window, cd) -> Chooser:
    """The browser open on the CD."""
    window = open_window().window
    window.open_files([cd])
    assert window.settle(60)
    chooser = Chooser(window)
    assert chooser.browser.isVisible()
    assert QTest.qWaitForWindowActive(chooser.browser, 10_000)
    return chooser
