"""The minute that matters, with real events: open, box, mask, volumes, correct, undo, export."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from hemaview.gui.view_state import Tool
from hemaview.imaging import Plane
from hemaview.volumetry import ReadingKind

CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def shown(hand, kind: ReadingKind) -> float:
    return float(hand.window.volumes.rows[kind].text)


def test_a_box_gives_mask_volumes_and_surface(hand, lesion, lesion_ml):
    window = hand.window
    assert window.volumes.readings is None
    assert not window.actions_table["export_stl"].isEnabled()
    window.messages.dismiss()
    hand.draw_box()

    np.testing.assert_array_equal(window.case.mask.array, lesion)
    np.testing.assert_array_equal(window.state.mask, lesion)
    assert shown(hand, ReadingKind.DIRECT) == pytest.approx(lesion_ml, abs=0.05)
    assert shown(hand, ReadingKind.TADA) == pytest.approx(window.case.tada().volume_ml, abs=0.05)
    assert window.state.tada is window.case.tada()
    assert window.grid.space.lesion.volume_ml == pytest.approx(lesion_ml, rel=0.01)
    assert window.state.box == window.case.box
    assert window.case.box.open_axis is None
    assert window.messages.text == ""


def test_the_status_line_names_model_device_and_time(hand):
    hand.draw_box()
    text = hand.window.status_text
    assert "Bright voxels · CPU" in text
    assert "first slice" in text
    assert "3D mask" in text


def test_a_handle_dragged_in_another_view_makes_the_mask_again(hand, lesion):
    hand.draw_box()
    window = hand.window
    lower, upper = window.case.box.index_bounds(window.state.geometry)
    middle = (lower + upper) / 2
    # The upper edge of the box in the coronal view comes down to the lesion's middle.
    top = middle.copy()
    top[2] = upper[2]
    hand.drag(Plane.CORONAL, top, middle)
    assert window.settle(30)
    mask = window.case.mask.array
    found = np.flatnonzero(mask.any(axis=(1, 2)))
    assert found[0] == np.flatnonzero(lesion.any(axis=(1, 2)))[0]
    assert found[-1] < np.flatnonzero(lesion.any(axis=(1, 2)))[-1]
    np.testing.assert_array_equal(mask, lesion & (np.arange(mask.shape[0]) <= found[-1])[:, None, None])


def test_undo_and_redo_take_box_and_mask_together(hand, lesion):
    hand.draw_box()
    window = hand.window
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert window.settle(30)
    assert window.case.box is None
    assert window.state.box is None
    assert window.state.mask is None or not window.state.mask.any()
    assert window.volumes.readings is None
    assert window.grid.space.lesion is None
    assert not window.actions_table["undo"].isEnabled()
    for redo in ((Qt.Key.Key_Z, CONTROL | SHIFT), (Qt.Key.Key_Y, CONTROL)):
        hand.key(*redo)
        assert window.settle(30)
        np.testing.assert_array_equal(window.state.mask, lesion)
        assert window.grid.space.lesion is not None
        hand.key(Qt.Key.Key_Z, CONTROL)
        assert window.settle(30)
        assert window.case.box is None


def test_brush_and_eraser_change_the_volumes(hand, lesion):
    hand.draw_box()
    window = hand.window
    before = shown(hand, ReadingKind.DIRECT)
    hand.key(Qt.Key.Key_X)
    assert window.state.tool is Tool.ERASER
    hand.drag(Plane.AXIAL, (22, 36, 11), (30, 36, 11))
    assert window.settle(30)
    erased = shown(hand, ReadingKind.DIRECT)
    assert erased < before
    assert window.case.edited
    hand.key(Qt.Key.Key_E)
    hand.drag(Plane.AXIAL, (22, 36, 11), (30, 36, 11))
    assert window.settle(30)
    assert shown(hand, ReadingKind.DIRECT) > erased
    for _ in range(2):
        hand.key(Qt.Key.Key_Z, CONTROL)
    assert window.settle(30)
    np.testing.assert_array_equal(window.state.mask, lesion)
    assert shown(hand, ReadingKind.DIRECT) == before


def test_a_new_box_over_brush_edits_says_how_to_get_them_back(hand):
    hand.draw_box()
    hand.key(Qt.Key.Key_X)
    hand.drag(Plane.AXIAL, (22, 36, 11), (30, 36, 11))
    assert hand.window.settle(30)
    edited = hand.window.case.mask.array.copy()
    hand.window.workflow.prompts.segment_box(hand.window.case.box)
    assert "Ctrl+Z" in hand.window.messages.text
    assert hand.window.settle(30)
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert hand.window.settle(30)
    np.testing.assert_array_equal(hand.window.state.mask, edited)


@pytest.mark.parametrize(
    ("key", "modifiers", "name"),
    [
        (Qt.Key.Key_E, CONTROL, "haematoma.stl"),
        (Qt.Key.Key_E, CONTROL | SHIFT, "mask.nii.gz"),
        (Qt.Key.Key_E, CONTROL | Qt.KeyboardModifier.AltModifier, "volumes.csv"),
    ],
)
def test_results_are_exported_by_key(hand, tmp_path, monkeypatch, lesion, key, modifiers, name):
    hand.draw_box()
    target = tmp_path / name
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args, **kwargs: (str(target), ""))
    hand.key(key, modifiers)
    assert hand.window.settle(30)
    assert name in hand.window.messages.text
    if name.endswith(".stl"):
        data = target.read_bytes()
        assert b"SPACE=LPS" in data[:80]
        assert len(data) == 84 + 50 * int.from_bytes(data[80:84], "little")
    elif name.endswith(".nii.gz"):
        image = nibabel.load(target)
        np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0) > 0, lesion)
    else:
        assert "direct" in target.read_text(encoding="utf-8")


def test_all_results_are_saved_in_one_folder(hand, tmp_path, monkeypatch):
    hand.draw_box()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *args, **kwargs: str(tmp_path / "out"))
    hand.key(Qt.Key.Key_S, CONTROL)
    assert hand.window.settle(30)
    assert {p.name for p in (tmp_path / "out").iterdir()} >= {"haematoma.stl", "mask.nii.gz", "volumes.csv"}


def test_a_saved_mask_can_be_imported_again(hand, tmp_path, monkeypatch, lesion):
    hand.draw_box()
    target = tmp_path / "mask.nii.gz"
    hand.window.case.export_mask(target)
    hand.key(Qt.Key.Key_Delete, SHIFT)
    assert hand.window.settle(30)
    assert not hand.window.state.mask.any()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args, **kwargs: (str(target), ""))
    hand.key(Qt.Key.Key_I, CONTROL)
    assert hand.window.settle(30)
    np.testing.assert_array_equal(hand.window.state.mask, lesion)


def test_a_file_dropped_on_the_window_opens(open_window, scan_file):
    window = open_window().window
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(scan_file))])
    arguments = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(window.rect().center(), *arguments)
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(window, QDropEvent(QPointF(window.rect().center()), *arguments))
    assert window.settle(60)
    assert window.state.volume is not None
    assert window.case.name in window.windowTitle()


def test_a_second_scan_joins_the_case_and_each_keeps_its_work(hand, tmp_path, scan_file, monkeypatch, lesion):
    hand.draw_box()
    second = tmp_path / "second.nii.gz"
    second.write_bytes(scan_file.read_bytes())
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *args, **kwargs: ([str(second)], ""))
    hand.key(Qt.Key.Key_O, CONTROL | Qt.KeyboardModifier.AltModifier)
    window = hand.window
    assert window.settle(60)
    assert len(window.case.scans) == 2
    assert window.case.active_scan.name == "second"
    assert window.volumes.readings is None
    assert window.state.box is None
    window.scans.scan_chosen.emit(window.case.scans[0].id)
    assert window.settle(60)
    np.testing.assert_array_equal(window.state.mask, lesion)
    assert window.volumes.readings is not None


def test_a_double_click_lets_a_view_fill_the_place_and_again_brings_all_back(hand):
    grid = hand.window.grid
    view = grid.frames[Plane.CORONAL].view
    width = view.width()
    QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=view.rect().center())
    QApplication.processEvents()
    assert not grid.frames[Plane.AXIAL].isVisible()
    assert view.width() > 1.6 * width
    QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=view.rect().center())
    QApplication.processEvents()
    assert all(frame.isVisible() for frame in grid.frames.values())
    assert grid.space.isVisible()
    assert abs(view.width() - width) <= 2
