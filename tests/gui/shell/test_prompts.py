"""Points, further boxes and corrections from a click to the mask, through the real window."""

from __future__ import annotations

import numpy as np
import pytest
from bright_engine import LESION_CENTRE, LESION_RADII_MM, SPACING, BrightEngine
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from hemaview.gui.slice_review import SliceState
from hemaview.gui.view_state import Tool
from hemaview.imaging import Plane

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
NONE, LEFT, RIGHT = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
MIDDLE = np.array(LESION_CENTRE)


def _beside(columns: float, rows: float) -> np.ndarray:
    return MIDDLE + np.array([columns, rows, 0])


def _click(hand, ijk, button=LEFT) -> None:
    view, at = hand.window.grid.frames[Plane.AXIAL].view, hand.at(Plane.AXIAL, ijk)
    QTest.mouseMove(view, at)
    QTest.mouseClick(view, button, NONE, at)
    assert hand.window.settle(30)


def test_a_point_alone_segments_and_one_outside_takes_away_and_undo_gives_back(hand, lesion):
    window = hand.window
    window.state.set_cursor(LESION_CENTRE)
    hand.key(Qt.Key.Key_P)
    assert "one is enough" in window.hint
    _click(hand, MIDDLE)
    np.testing.assert_array_equal(window.case.mask.array, lesion)
    assert window.case.prompt.boxes == ()
    assert window.case.undo_text == "Add point"
    assert "1 point" in window.answer.text
    _click(hand, _beside(5, 0), RIGHT)
    smaller = window.case.mask.voxel_count
    assert smaller < lesion.sum()
    hand.key(Qt.Key.Key_Delete)
    assert window.settle(30)
    assert len(window.case.prompt.points) == 1
    np.testing.assert_array_equal(window.case.mask.array, lesion)
    hand.key(Qt.Key.Key_Z, CTRL)
    assert window.case.mask.voxel_count == smaller
    hand.key(Qt.Key.Key_Z, CTRL)
    hand.key(Qt.Key.Key_Z, CTRL)
    assert window.case.mask is None
    assert window.state.prompt.points == ()


def test_a_point_outside_alone_asks_for_one_inside_and_t_turns_it(hand):
    window = hand.window
    window.state.set_cursor(LESION_CENTRE)
    hand.key(Qt.Key.Key_P)
    _click(hand, MIDDLE, RIGHT)
    assert window.case.mask is None
    assert "place one inside" in window.messages.text
    hand.key(Qt.Key.Key_T)
    assert window.settle(30)
    assert [point.positive for point in window.case.prompt.points] == [True]
    assert window.case.mask.voxel_count > 0
    window.state.aim.set_hovered(None)
    hand.key(Qt.Key.Key_T)
    assert not window.state.aim.positive
    assert window.actions_table["point_sign"].isChecked()


def test_corrected_slices_are_kept_and_sent_when_the_others_follow(open_window, scan_file):
    engine = BrightEngine()
    hand = open_window(engine_loader=lambda: engine)
    window = hand.window
    window.open_files([scan_file])
    assert window.settle(60)
    hand.draw_box()
    assert not window.actions_table["follow"].isEnabled()
    hand.key(Qt.Key.Key_E)
    reach = np.array(LESION_RADII_MM[0]) / SPACING[0]
    hand.drag(Plane.AXIAL, _beside(reach, 0), _beside(reach + 5, 0))
    assert window.settle(30)
    drawn = window.case.mask.array[11].copy()
    assert window.case.edited_slices == (11,)
    assert window.state.review.states[11] is SliceState.HAND
    assert "Ctrl+F" in window.hint
    hand.key(Qt.Key.Key_F, CTRL)
    assert window.settle(30)
    (fixed,) = engine.prompts[-1].fixed
    assert fixed.k == 11
    np.testing.assert_array_equal(fixed.mask, drawn)
    np.testing.assert_array_equal(window.case.mask.array[11], drawn)
    assert window.case.edited_slices == (11,)
    hand.key(Qt.Key.Key_P)
    _click(hand, _beside(0, 0))
    assert [one.k for one in engine.prompts[-1].fixed] == [11], "a point keeps what a hand drew"
    assert "stay as they are" in window.messages.text
    window.case.undo()
    hand.draw_box(margin_mm=22)
    assert engine.prompts[-1].fixed == (), "a new box begins anew"
    assert window.case.edited_slices == ()


def test_unsure_slices_are_shown_and_n_goes_from_one_to_the_next(open_window, scan_file):
    engine = BrightEngine(confidence=[0.9] * 9 + [0.6, 0.9, 0.75, 0.9, 0.5])
    hand = open_window(engine_loader=lambda: engine)
    window = hand.window
    window.open_files([scan_file])
    assert window.settle(60)
    strip = window.grid.frames[Plane.AXIAL].strip
    assert not strip.isVisible()
    hand.draw_box()
    first = window.case.segmentation.region[0].start
    assert strip.isVisible()
    assert not window.grid.frames[Plane.CORONAL].strip.isVisible()
    unsure = [first + 9, first + 13]
    unsure = [k for k in unsure if window.state.review.states[k] is SliceState.UNSURE]
    assert len(unsure) == 2
    window.state.set_slice_index(Plane.AXIAL, 0)
    for k in (*unsure, unsure[0]):
        hand.key(Qt.Key.Key_N)
        assert window.state.slice_index(Plane.AXIAL) == k
        assert f"Slice {k + 1}" in window.messages.text
    slider = window.grid.frames[Plane.AXIAL].slider
    assert "unsure" in strip.text_at(slider.place_of(unsure[0]))
    window.state.set_cursor(MIDDLE)
    QTest.mouseClick(strip, LEFT, NONE, QPoint(strip.width() // 2, round(slider.place_of(unsure[0]))))
    assert window.state.slice_index(Plane.AXIAL) == unsure[0]
    assert "Unsure on" in window.answer.text


def test_a_mask_is_marked_as_checked_until_it_changes(hand):
    window = hand.window
    hand.draw_box()
    hand.key(Qt.Key.Key_D, CTRL)
    assert window.case.checked
    assert window.actions_table["checked"].isChecked()
    hand.key(Qt.Key.Key_E)
    hand.drag(Plane.AXIAL, _beside(12, 0), _beside(14, 0))
    assert not window.case.checked
    assert not window.actions_table["checked"].isChecked()


def test_further_boxes_and_slices_by_the_menu_and_removal_of_everything(hand):
    window = hand.window
    hand.draw_box()
    window.actions_table["box_add"].trigger()
    assert window.state.tool is Tool.BOX
    hand.drag(Plane.AXIAL, (50, 50, 11), (60, 60, 11))
    assert window.settle(30)
    assert len(window.case.prompt.boxes) == 2
    hand.key(Qt.Key.Key_B, CTRL)
    hand.drag(Plane.AXIAL, _beside(-4, -4), _beside(4, 4))
    assert window.settle(30)
    assert len(window.case.prompt.slice_boxes) == 1
    assert "2 boxes" in window.answer.text
    assert "1 redrawn slice" in window.answer.text
    mask = window.case.mask.array
    hand.key(Qt.Key.Key_Delete, CTRL)
    assert window.settle(30)
    assert window.case.prompt == type(window.case.prompt)()
    np.testing.assert_array_equal(window.case.mask.array, mask)


def test_the_engine_may_compute_ahead_for_the_slice_on_display(open_window, scan_file, qtbot):
    engine = BrightEngine()
    hand = open_window(engine_loader=lambda: engine)
    hand.window.open_files([scan_file])
    assert hand.window.settle(60)
    hand.window.state.set_cursor((20, 20, 7))
    qtbot.waitUntil(lambda: engine.looks[-1:] == [7], timeout=10_000)


@pytest.mark.parametrize("key", [Qt.Key.Key_P, Qt.Key.Key_B, Qt.Key.Key_E])
def test_every_tool_says_what_to_do_next(hand, key):
    hand.key(key)
    assert hand.window.hint
