"""Aligning two scans of a head that moved between them, in the window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bright_engine import BrightEngine
from moved_head import LANDMARKS, LESION_AT, MOVE, THICK, THIN, lesion, moved_head
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QListWidget

from hemaview.case import Alignment, Case
from hemaview.gui.align_dialog import AlignDialog
from hemaview.gui.carry_dialog import CarryDialog
from hemaview.gui.scan_choice import ScanChoice
from hemaview.imaging import Plane
from hemaview.imaging.reading import write_volume
from hemaview.imaging.study import StudyKey

LANDMARK = LANDMARKS[0]
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
KNOWN = Alignment(MOVE.inverse, 0.2, 1.1, 5.0, 8.0)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Two scans of a head that moved by 5 degrees and 8 mm between them."""
    folder = tmp_path_factory.mktemp("moved")
    paths = folder / "before.nii.gz", folder / "after_t1.nii.gz"
    write_volume(moved_head(THICK), paths[0])
    write_volume(moved_head(THIN, MOVE), paths[1])
    return paths


@pytest.fixture
def two(open_window, files):
    """A window with both scans, the later one on display."""
    hand = open_window(BrightEngine)
    for number, path in enumerate(files):
        hand.window.workflow.opening.open_paths([path], add=number > 0)
        assert hand.window.settle(60)
    assert [scan.id for scan in hand.window.case.scans] == ["scan-1", "scan-2"]
    return hand


def align_by_key(hand) -> None:
    hand.key(Qt.Key.Key_A, CTRL | SHIFT)


def rows(window) -> list[str]:
    shown = window.scans.findChild(QListWidget)
    return [shown.item(n).text() for n in range(shown.count())]


def previous_scan(hand) -> None:
    hand.key(Qt.Key.Key_PageUp, CTRL)
    assert hand.window.settle(30)


def answer(kind: type[ScanChoice], scan: int) -> None:
    """Choose the line ``scan`` of the dialog that comes, and accept it with its button."""

    def press() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, kind)
        for _ in range(scan):
            QTest.keyClick(dialog.choice, Qt.Key.Key_Down)
        role = QDialogButtonBox.ButtonRole.AcceptRole
        button = next(b for b in dialog.buttons.buttons() if dialog.buttons.buttonRole(b) == role)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    QTimer.singleShot(200, press)


def test_the_move_is_found_said_and_kept(two, qtbot):
    window = two.window
    ticks = []
    clock = QTimer()
    clock.timeout.connect(lambda: ticks.append(window.workflow.tasks.is_busy))
    clock.start(50)
    seen = []
    window.workflow.task_changed.connect(lambda label, fraction: seen.append((label, fraction)))
    align_by_key(two)
    assert window.workflow.tasks.is_busy
    assert window.actions_table["cancel"].isEnabled()
    qtbot.waitUntil(lambda: not window.workflow.tasks.is_busy, timeout=60_000)
    assert sum(ticks) >= 2, "the window lives meanwhile"
    shares = [fraction for label, fraction in seen if label]
    assert shares == sorted(shares) and shares[-1] > 0.3
    found = window.case.active_scan.alignment
    assert np.linalg.norm(found.move(MOVE(LANDMARK)) - LANDMARK) < 0.5
    assert f"moved by {found.distance_mm:.1f} mm and turned by {found.degrees:.1f} degrees" in window.messages.text
    assert rows(window)[1].endswith("aligned to MR axial")
    assert found.text in window.scans.details.alignment.text()
    directory = window.case.directory
    window.close()
    with Case.open(directory, load_scans=False) as again:
        assert again.scans[1].alignment == found


def test_the_crosshair_and_the_views_stay_at_the_same_place_of_the_head(two):
    window, state = two.window, two.window.state
    window.workflow.attempt(lambda case: case.align("scan-2", "scan-1", KNOWN))
    state.set_cursor_lps(MOVE(LANDMARK))
    view = window.grid.frames[Plane.AXIAL].view
    view.zoom_by(3.0)
    zoom, seen = view.transform.zoom, middle_of_axial(window)
    previous_scan(two)
    np.testing.assert_allclose(state.cursor_lps, LANDMARK, atol=1e-3)
    assert view.transform.zoom == pytest.approx(zoom)
    np.testing.assert_allclose(middle_of_axial(window)[:2], MOVE.inverse(seen)[:2], atol=1.5)
    shown = middle_of_axial(window)
    window.actions_table["radiological"].trigger()
    np.testing.assert_allclose(middle_of_axial(window)[:2], shown[:2], atol=1.5)
    previous_scan(two)
    np.testing.assert_allclose(state.cursor_lps, MOVE(LANDMARK), atol=1e-3)


def test_without_it_the_crosshair_stays_at_the_patient_coordinates(two):
    two.window.state.set_cursor_lps(MOVE(LANDMARK))
    previous_scan(two)
    np.testing.assert_allclose(two.window.state.cursor_lps, MOVE(LANDMARK), atol=1e-3)


def test_it_can_be_removed(two):
    window = two.window
    assert not window.actions_table["remove_alignment"].isEnabled()
    window.workflow.attempt(lambda case: case.align("scan-2", "scan-1", KNOWN))
    assert window.actions_table["remove_alignment"].isEnabled()
    window.actions_table["remove_alignment"].trigger()
    assert window.case.alignment("scan-1", "scan-2") is None
    assert not window.actions_table["remove_alignment"].isEnabled()
    assert not window.scans.details.alignment.isVisible()
    assert "aligned" not in rows(window)[1]


def test_a_carried_mask_follows_the_head_and_says_how(two):
    window = two.window
    window.workflow.attempt(lambda case: case.align("scan-2", "scan-1", KNOWN))
    previous_scan(two)
    window.workflow.attempt(lambda case: case.replace_mask(lesion(THICK)))
    previous_scan(two)
    answer(CarryDialog, 0)
    window.actions_table["carry_mask"].trigger()
    window.activateWindow()
    assert QTest.qWaitForWindowActive(window, 10_000)
    assert window.settle(30)
    mask = window.case.mask
    centre = mask.geometry.index_to_lps(np.argwhere(mask.array)[:, ::-1]).mean(axis=0)
    assert np.linalg.norm(centre - MOVE(LESION_AT)) < 1.0
    assert "through an alignment" in window.answer.text
    assert "through an alignment" in window.scans.details.warnings.text()
    assert "by the alignment" in window.messages.text
    assert [reading.value_ml for reading in window.volumes.readings] == [None, None, None]


def test_esc_stops_it_and_nothing_is_recorded(two, qtbot):
    align_by_key(two)
    two.key(Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not two.window.workflow.is_busy, timeout=30_000)
    assert two.window.settle(30)
    assert two.window.case.active_scan.alignment is None


def test_of_several_scans_one_is_asked_for_and_another_patients_is_refused(two):
    window = two.window
    first = window.case.scans[0]
    for patient in ("ab", "cd"):
        volume = replace(first.volume, study=StudyKey(patient=patient))
        window.workflow.attempt(lambda case, volume=volume: case.add_scan(first.path, volume))
    assert window.settle(30)
    answer(AlignDialog, 2)
    align_by_key(two)
    assert "name different patients" in window.messages.text
    assert not window.workflow.tasks.is_busy


def test_scans_that_share_nothing_are_left_where_they_are(two, tmp_path, qtbot):
    window = two.window
    noise = np.random.default_rng(0).normal(100, 10, THICK.shape).astype(np.float32)
    window.workflow.attempt(
        lambda case: case.add_scan(tmp_path / "noise.nii", replace(case.scans[0].volume, array=noise))
    )
    assert window.settle(30)
    answer(AlignDialog, 0)
    align_by_key(two)
    qtbot.waitUntil(lambda: not window.workflow.tasks.is_busy, timeout=60_000)
    assert "could not be aligned" in window.messages.text
    assert window.case.active_scan.alignment is None


def test_one_scan_has_nothing_to_be_aligned_to(hand):
    assert not hand.window.actions_table["align"].isEnabled()


def middle_of_axial(window) -> np.ndarray:
    """LPS mm of what the axial viewer shows in its middle."""
    view = window.grid.frames[Plane.AXIAL].view
    x, y = view.transform.to_picture(view.width() / 2, view.height() / 2)
    plane = window.state.view(Plane.AXIAL)
    return window.state.geometry.index_to_lps(plane.pixel_to_index(x, y, view.slice_index))
