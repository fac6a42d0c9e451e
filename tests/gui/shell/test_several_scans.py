"""Several scans of one patient in the window: what each is, one crosshair in all, masks carried from one to another."""

from __future__ import annotations

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from bright_engine import LESION_CENTRE, LESION_RADII_MM, SPACING, head
from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QListWidget

from hemaview.gui.carry_dialog import CarryDialog
from hemaview.imaging import Modality, Plane
from hemaview.imaging.sequence import Sequence
from hemaview.imaging.study import StudyKey
from hemaview.imaging.windowing import Window

CTRL, NONE = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def cubic_file(tmp_path):
    """The same head cut in sagittal slices, in cubic voxels, named as a T1 scan."""
    path = tmp_path / "head_t1.nii.gz"
    values = head()[0].transpose(2, 1, 0).repeat(2, axis=2)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2] / 2, 1.0])
    affine[2, 3] = -SPACING[2] / 4
    turned = nibabel.Nifti1Image(values, affine).as_reoriented(nibabel.orientations.axcodes2ornt(("P", "S", "R")))
    nibabel.save(turned, path)
    return path


@pytest.fixture
def two(hand, cubic_file):
    """A window with the head twice: axial, and active as a sagittal scan."""
    hand.window.workflow.opening.open_paths([cubic_file], add=True)
    assert hand.window.settle(60)
    assert [scan.id for scan in hand.window.case.scans] == ["scan-1", "scan-2"]
    return hand


def _rows(window) -> list[str]:
    shown = window.scans.findChild(QListWidget)
    return [shown.item(n).text() for n in range(shown.count())]


def _click_row(window, number) -> None:
    shown = window.scans.findChild(QListWidget)
    place = shown.visualItemRect(shown.item(number)).center()
    QTest.mouseClick(shown.viewport(), LEFT, NONE, place)
    assert window.settle(30)


def _choose(window, sequence) -> None:
    """Choose a kind in the combo box as a user at the keyboard does."""
    choice = window.scans.details.choice
    row = 0 if sequence is None else choice.findData(str(sequence))
    choice.setFocus()
    QTest.keyClick(choice, Qt.Key.Key_Home)
    for _ in range(row):
        QTest.keyClick(choice, Qt.Key.Key_Down)
    assert window.settle(30)


def _carry(window, source: str) -> None:
    """Trigger the action and answer its dialog."""

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, CarryDialog)
        assert dialog.chosen == source
        button = next(
            b
            for b in dialog.buttons.buttons()
            if dialog.buttons.buttonRole(b) == QDialogButtonBox.ButtonRole.AcceptRole
        )
        QTest.mouseClick(button, LEFT)

    QTimer.singleShot(200, answer)
    window.actions_table["carry_mask"].trigger()
    window.activateWindow()
    assert QTest.qWaitForWindowActive(window, 10_000)
    assert window.settle(60)


def test_scans_are_called_by_what_they_are_and_not_by_their_file(two):
    rows = _rows(two.window)
    assert rows[0].startswith("MR axial · guess\n72×80×24")
    assert rows[1].startswith("T1 3D · guess\n")
    assert "named after it" in two.window.scans.details.why.text()
    assert not any("head" in row for row in rows)


def test_what_a_scan_is_can_be_changed_and_everything_follows(hand):
    window = hand.window
    hand.draw_box()
    direct = window.volumes.readings[0].value_ml
    _choose(window, Sequence.SWI)
    assert window.case.active_scan.sequence is Sequence.SWI
    assert window.state.volume.sequence.sequence is Sequence.SWI
    assert _rows(window)[0].startswith("SWI axial\n")
    assert "too large" in window.scans.details.warnings.text()
    assert "too large" in window.volumes.shared
    assert window.volumes.readings[0].value_ml == direct
    assert window.case.box is not None
    assert "the guess was Other MR" in window.scans.details.why.text()
    _choose(window, None)
    assert window.case.active_scan.chosen is None
    assert window.volumes.shared == ""


def test_a_mask_made_of_another_modality_asks_to_be_made_again(hand):
    window = hand.window
    hand.draw_box()
    _choose(window, Sequence.T2)
    assert "segment it again" not in window.messages.text
    _choose(window, Sequence.CT)
    assert "segment it again" in window.messages.text
    assert "taken for MR" in window.volumes.readings[2].reason
    window.actions_table["segment_again"].trigger()
    assert window.settle(60)
    assert "taken for MR" not in (window.volumes.readings[2].reason or "")


def test_grey_levels_called_ct_get_no_ct_windows(hand):
    window = hand.window
    _choose(window, Sequence.CT)
    assert window.case.active_scan.modality is Modality.CT
    assert window.actions_table["preset_1"].text() == "Auto"
    assert "not in HU" in window.scans.details.warnings.text()


def test_the_window_follows_the_kind_of_scan(hand):
    window = hand.window
    automatic = window.state.window
    window.state.set_window(Window(123, 456))
    _choose(window, Sequence.T2)
    assert window.state.window == automatic


def test_crosshair_and_zoom_stay_in_the_patient_and_each_scan_keeps_its_window(two):
    window, state = two.window, two.window.state
    own = state.window
    _click_row(window, 0)
    state.set_cursor(LESION_CENTRE)
    place = state.cursor_lps
    state.set_window(Window(400, 222))
    view = window.grid.frames[Plane.AXIAL].view
    view.zoom_by(3.0)
    zoom = view.transform.zoom
    seen = _in_the_middle(window)
    _click_row(window, 1)
    np.testing.assert_allclose(state.cursor_lps, place, atol=1e-6)
    assert state.window == own
    assert view.transform.zoom == pytest.approx(zoom)
    np.testing.assert_allclose(_in_the_middle(window)[:2], seen[:2], atol=1.5)
    two.key(Qt.Key.Key_PageUp, CTRL)
    assert window.settle(30)
    assert window.case.active_scan.id == "scan-1"
    assert state.window == Window(400, 222)
    np.testing.assert_allclose(state.cursor_lps, place, atol=1e-6)
    assert view.transform.zoom == pytest.approx(zoom)
    two.key(Qt.Key.Key_PageDown, CTRL)
    two.key(Qt.Key.Key_PageDown, CTRL)
    assert window.case.active_scan.id == "scan-1", "after the last comes the first"


def _in_the_middle(window) -> np.ndarray:
    """LPS mm of what the axial viewer shows in its middle."""
    view = window.grid.frames[Plane.AXIAL].view
    x, y = view.transform.to_picture(view.width() / 2, view.height() / 2)
    plane = window.state.view(Plane.AXIAL)
    return window.state.geometry.index_to_lps(plane.pixel_to_index(x, y, view.slice_index))


def test_a_fitted_viewer_fits_the_next_scan_too(two):
    window = two.window
    view = window.grid.frames[Plane.AXIAL].view
    _click_row(window, 0)
    shown = view.transform
    view.fit()
    assert view.transform == shown


def test_a_scan_elsewhere_begins_at_its_own_middle(two, tmp_path):
    window = two.window
    affine = np.diag([-2.5, -2.5, 5.0, 1.0])
    affine[:3, 3] = (900, 900, 900)
    path = tmp_path / "elsewhere_t2.nii.gz"
    nibabel.save(nibabel.Nifti1Image(head()[0].transpose(2, 1, 0), affine), path)
    window.grid.frames[Plane.AXIAL].view.zoom_by(3.0)
    window.workflow.opening.open_paths([path], add=True)
    assert window.settle(60)
    assert window.state.place is None
    i, j, k = window.state.cursor
    assert abs(i - 36) < 6
    assert abs(j - 40) < 6
    assert abs(k - 12) < 6
    view = window.grid.frames[Plane.AXIAL].view
    shown = view.transform
    view.fit()
    assert view.transform == shown


def test_a_mask_is_carried_only_on_request_and_is_never_measured(two, lesion_ml):
    window, actions = two.window, two.window.actions_table
    assert not actions["carry_mask"].isEnabled()
    assert not window.scans.details.carry.isVisible()
    _click_row(window, 0)
    two.draw_box()
    assert window.volumes.readings[0].value_ml == pytest.approx(lesion_ml)
    assert not actions["carry_mask"].isEnabled(), "it would be carried to where it is"
    _click_row(window, 1)
    assert window.case.mask is None
    assert actions["carry_mask"].isEnabled()
    assert window.scans.details.carry.isVisibleTo(window.scans)
    _carry(window, "scan-1")
    geometry = window.state.geometry
    assert geometry.volume_ml(window.state.mask) == pytest.approx(lesion_ml, rel=0.02)
    assert [reading.value_ml for reading in window.volumes.readings] == [None, None, None]
    assert "carried over from MR axial" in window.volumes.shared
    assert "Carried over from MR axial" in window.answer.text
    assert _rows(window)[1].endswith("⚠ Carried mask, not measured")
    assert _rows(window)[0].endswith("Measurable · has a mask")
    assert "carried over" in window.scans.details.warnings.text()
    assert "carried" in window.state.mask_note
    assert not actions["export_stl"].isEnabled()
    assert actions["export_mask"].isEnabled()
    two.key(Qt.Key.Key_Z, CTRL)
    assert window.case.mask is None


def test_segmenting_the_scan_takes_the_carried_mark_away(two, lesion_ml):
    window = two.window
    _click_row(window, 0)
    two.draw_box()
    place = window.state.cursor_lps
    _click_row(window, 1)
    _carry(window, "scan-1")
    window.state.set_cursor_lps(place)
    two.key(Qt.Key.Key_B)
    middle = window.state.geometry.lps_to_index(place)
    view = window.state.view(Plane.AXIAL)
    across = np.zeros(3)
    across[view.x_axis] = (LESION_RADII_MM[0] + 6) / window.state.geometry.spacing[view.x_axis]
    across[view.y_axis] = (LESION_RADII_MM[1] + 6) / window.state.geometry.spacing[view.y_axis]
    two.drag(Plane.AXIAL, middle - across, middle + across)
    assert window.settle(60)
    assert window.case.carried_from is None
    assert window.state.mask_note == ""
    assert window.volumes.readings[0].value_ml == pytest.approx(lesion_ml, rel=0.02)
    assert _rows(window)[1].endswith("Measurable · has a mask")


def test_the_wheel_over_the_kinds_changes_nothing(hand):
    choice = hand.window.scans.details.choice
    before = choice.currentIndex()
    QTest.mouseMove(choice, QPoint(5, 5))
    choice.setFocus()
    turn = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        NONE,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(choice, turn)
    assert choice.currentIndex() == before
    assert hand.window.case.active_scan.chosen is None


def test_a_scan_of_another_patient_is_marked(two):
    case = two.window.case
    first = case.scans[0].volume
    for patient in ("ab", "ab", "cd"):
        two.window.workflow.attempt(
            lambda open_case, patient=patient: open_case.add_scan(
                case.scans[0].path, replace(first, study=StudyKey(patient=patient))
            )
        )
    assert two.window.settle(60)
    assert [row.endswith("⚠ Another patient") for row in _rows(two.window)] == [False] * 4 + [True]
    assert "another patient" in two.window.scans.details.warnings.text()


def test_days_are_said_where_there_are_several(two):
    case = two.window.case
    for date in ("20260301", "20260303"):
        two.window.workflow.attempt(
            lambda open_case, date=date: open_case.add_scan(
                case.scans[0].path, replace(case.scans[0].volume, study=StudyKey(date=date))
            )
        )
    assert two.window.settle(60)
    assert [row.split("\n")[0].split(" · ")[0] for row in _rows(two.window)] == [
        "MR axial",
        "T1 3D",
        "MR axial, day 0",
        "MR axial, day +2",
    ]
