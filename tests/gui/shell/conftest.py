"""What the tests of the window share: a small head on disk, an engine that is exact on it, and a real window."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from hemaview.gui.main_window import MainWindow
from hemaview.gui.theme import apply_theme
from hemaview.imaging import Plane, Volume
from hemaview.segmentation.contract import BoxPrompt, CancelToken, EngineInfo, Segmentation, SliceResult

SIZE = (72, 80, 24)
SPACING = (2.5, 2.5, 5.0)
LESION_CENTRE = (26.0, 36.0, 11.0)
LESION_RADII_MM = (20.0, 16.0, 18.0)
LESION_VALUE = 900


def head() -> tuple[np.ndarray, np.ndarray]:
    """Values ``[k, j, i]`` of a head with a bright lesion, and where the lesion is."""
    k, j, i = np.indices(SIZE[::-1], dtype=np.float64)
    place = np.stack([i, j, k], axis=-1)
    middle = (np.array(SIZE) - 1) / 2
    skull = (np.square((place - middle) * SPACING / (80, 92, 56)).sum(axis=-1)) < 1
    lesion = (np.square((place - LESION_CENTRE) * SPACING / LESION_RADII_MM).sum(axis=-1)) < 1
    rng = np.random.default_rng(3)
    values = np.where(skull, 300 + rng.normal(0, 12, skull.shape), 0)
    values[lesion] = LESION_VALUE
    return values.astype(np.int16), lesion


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


class BrightEngine:
    """A segmenter by the contract that takes what is bright inside the box; with a ``gate`` it waits at each slice."""

    info = EngineInfo("bright", "Bright voxels", "CPU", "0" * 64, "nothing", "Apache-2.0")

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate
        self.calls: list[BoxPrompt] = []
        self.started = threading.Event()

    def segment(self, volume: Volume, prompt: BoxPrompt, *, focus=None, on_slice=None, cancel=None) -> Segmentation:
        cancel = cancel or CancelToken()
        began = time.perf_counter()
        box = prompt
        if prompt.open_axis is not None:
            lower, upper = prompt.clipped_bounds(volume.geometry)
            lower[prompt.open_axis], upper[prompt.open_axis] = -0.5, volume.geometry.size[prompt.open_axis] - 0.5
            box = BoxPrompt.from_index_bounds(volume.geometry, lower, upper)
        region = box.voxel_slices(volume.geometry)
        found = (volume.array[region] > 0.66 * LESION_VALUE).astype(np.float32)
        if volume.geometry.size == SIZE:
            self.calls.append(prompt)
            self.started.set()
        middle = (focus if focus is not None else (region[0].start + region[0].stop) // 2) - region[0].start
        for done, page in enumerate(sorted(range(len(found)), key=lambda n: abs(n - middle)), start=1):
            if self.gate is not None and volume.geometry.size == SIZE:
                while not self.gate.wait(0.01):
                    cancel.raise_if_cancelled()
            cancel.raise_if_cancelled()
            if on_slice is not None:
                on_slice(
                    SliceResult(region[0].start + page, region[1].start, region[2].start, found[page], done, len(found))
                )
        return Segmentation(
            probability=found,
            region=region,
            geometry=volume.geometry,
            prompt=box,
            engine=self.info,
            slice_confidence=np.full(len(found), 0.9, dtype=np.float32),
            seconds_first=0.001,
            seconds_total=time.perf_counter() - began,
        )


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

    def build(engine_loader=BrightEngine, root: Path = cases, **options) -> Hand:
        QCursor.setPos(QApplication.primaryScreen().geometry().bottomRight())
        window = MainWindow(root, engine_loader=engine_loader, **options)
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


@pytest.fixture
def hand(open_window, scan_file) -> Hand:
    """A window with the head open in it."""
    hand = open_window()
    hand.window.open_files([scan_file])
    assert hand.window.settle(60)
    assert hand.window.case is not None
    return hand
