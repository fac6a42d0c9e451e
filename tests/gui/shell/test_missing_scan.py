"""A case whose scan is not where it was: the window says so, and the user shows where it is."""

from __future__ import annotations

import nibabel
import pytest
from bright_engine import head
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog


@pytest.fixture
def bereft(hand, scan_file):
    """A window with a case reopened after its file was moved, the file's new place, and the volume measured before."""
    hand.draw_box()
    window = hand.window
    direct = window.volumes.readings[0].value_ml
    directory = window.case.directory
    window.workflow.close_case()
    moved = scan_file.rename(scan_file.with_name("moved.nii.gz"))
    window.workflow.opening.open_case(directory)
    assert window.settle(60)
    return window, moved, direct


def _answer(monkeypatch, path) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))


def _press_find(window) -> None:
    assert window.scans.details.show_where.isVisible()
    QTest.mouseClick(window.scans.details.show_where, Qt.MouseButton.LeftButton)
    assert window.settle(60)


def test_the_scan_is_taken_from_where_the_user_shows_it(bereft, monkeypatch):
    window, moved, direct = bereft
    assert window.state.volume is None
    _answer(monkeypatch, moved)
    _press_find(window)
    assert window.state.volume is not None
    assert window.case.active_scan.problem is None
    assert window.volumes.readings[0].value_ml == direct
    assert not window.scans.details.show_where.isVisible()
    assert not window.actions_table["find_scan"].isEnabled()


def test_without_the_scan_the_window_does_not_invite_to_draw(bereft):
    window, _, _ = bereft
    assert not window.volumes.draw.isVisible()
    assert not window.actions_table["tool_box"].isEnabled()
    assert "is no longer at" in window.actions_table["tool_box"].toolTip()


def test_another_scan_on_the_same_grid_is_refused(bereft, monkeypatch, tmp_path):
    window, moved, _ = bereft
    other = tmp_path / "other.nii.gz"
    nibabel.save(nibabel.Nifti1Image(head()[0].transpose(2, 1, 0) + 1, nibabel.load(moved).affine), other)
    _answer(monkeypatch, other)
    _press_find(window)
    assert window.messages.text.startswith("'other.nii.gz' is not the scan of this case")
    assert window.state.volume is None
    assert window.scans.details.show_where.isVisible()


def test_thinking_better_of_it_changes_nothing(bereft, monkeypatch):
    window, _, _ = bereft
    _answer(monkeypatch, "")
    _press_find(window)
    assert window.state.volume is None
    assert window.scans.details.show_where.isVisible()
