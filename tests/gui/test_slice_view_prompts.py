"""Points, further boxes and redrawn slices in the viewers, with real mouse and key events."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest

from hemaview.gui.aim import BoxAim, ItemKind, PromptItem
from hemaview.gui.point_tool import NEGATIVE_COLOUR, POSITIVE_COLOUR
from hemaview.gui.view_state import Tool
from hemaview.imaging import Plane
from hemaview.segmentation.contract import BoxPrompt, PointPrompt, Prompt

LOWER, UPPER = np.array([9.5, 7.5, 4.5]), np.array([25.5, 22.5, 13.5])
NONE, ALT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier
CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


@pytest.fixture
def shown(viewers, straight):
    """Viewers at slice 9 with a box, in the point tool."""
    shown = viewers(straight)
    shown.state.set_cursor((17, 15, 9))
    shown.state.set_prompt(Prompt.of(BoxPrompt.from_index_bounds(straight.geometry, LOWER, UPPER)))
    shown.state.set_tool(Tool.POINTS)
    return shown


def _click(shown, ijk, button=LEFT, keys=NONE, plane=Plane.AXIAL) -> None:
    place = shown.at(plane, ijk)
    QTest.mouseMove(shown.views[plane], place)
    QTest.mouseClick(shown.views[plane], button, keys, place)


def _near(shown, point: PointPrompt, ijk) -> bool:
    return bool(np.all(np.abs(shown.geometry.lps_to_index(point.position) - ijk) <= 0.5))


@pytest.mark.parametrize("plane", list(Plane))
def test_a_click_places_a_point_where_it_was_on_every_grid(viewers, crooked, plane):
    shown = viewers(crooked)
    shown.state.set_cursor((17, 15, 9))
    shown.state.set_tool(Tool.POINTS)
    _click(shown, (17, 15, 9), plane=plane)
    assert shown.steps == ["Add point"]
    (point,) = shown.state.prompt.points
    assert point.positive
    assert _near(shown, point, (17, 15, 9))


def test_right_click_and_alt_click_place_the_other_sign(shown):
    _click(shown, (12, 10, 9), RIGHT)
    _click(shown, (20, 10, 9), keys=ALT)
    assert [point.positive for point in shown.state.prompt.points] == [False, False]
    shown.state.aim.set_positive(False)
    _click(shown, (12, 18, 9))
    _click(shown, (20, 18, 9), RIGHT)
    assert [point.positive for point in shown.state.prompt.points] == [False, False, False, True]
    assert shown.steps == ["Add point"] * 4


def test_a_right_drag_still_zooms_and_places_nothing(shown):
    before = shown.views[Plane.AXIAL].transform.zoom
    at = shown.at(Plane.AXIAL, (17, 15, 9))
    shown.drag(Plane.AXIAL, at, at - QPoint(0, 60), button=RIGHT)
    assert shown.views[Plane.AXIAL].transform.zoom > before
    assert shown.steps == []


def test_a_drag_moves_a_point_once_and_a_right_click_turns_it(shown):
    _click(shown, (12, 10, 9))
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (12, 10, 9)), shown.at(Plane.AXIAL, (20, 18, 9)))
    (point,) = shown.state.prompt.points
    assert _near(shown, point, (20, 18, 9))
    _click(shown, (20, 18, 9), RIGHT)
    (turned,) = shown.state.prompt.points
    assert not turned.positive
    assert turned.position == point.position
    assert shown.steps == ["Add point", "Move point", "Change point"]


def test_escape_gives_up_a_point_in_hand(shown):
    before = shown.state.prompt
    view, at = shown.views[Plane.AXIAL], shown.at(Plane.AXIAL, (12, 10, 9))
    QTest.mousePress(view, LEFT, NONE, at)
    assert len(shown.state.prompt.points) == 1
    QTest.keyClick(view, Qt.Key.Key_Escape)
    QTest.mouseRelease(view, LEFT, NONE, at)
    assert shown.state.prompt == before
    assert shown.steps == []


def test_a_double_click_removes_a_point_but_two_quick_clicks_beside_one_place_only_one(shown):
    view, at = shown.views[Plane.AXIAL], shown.at(Plane.AXIAL, (12, 10, 9))
    QTest.mouseClick(view, LEFT, NONE, at)
    QTest.mouseDClick(view, LEFT, NONE, at)
    assert shown.steps == ["Add point"]
    assert shown.maximised == []
    # The next press is the first of another double click, this time on the point.
    QTest.mouseClick(view, LEFT, NONE, at)
    QTest.mouseDClick(view, LEFT, NONE, at)
    assert shown.steps == ["Add point", "Remove point"]
    assert shown.state.prompt.points == ()


def test_points_are_taken_only_on_their_own_slice(shown):
    _click(shown, (12, 10, 9))
    shown.state.set_cursor((17, 15, 10))
    _click(shown, (12, 10, 10))
    assert len(shown.state.prompt.points) == 2, "the point of the slice below is not in the way"


def test_the_point_under_the_mouse_is_known_and_lit(shown):
    _click(shown, (12, 10, 9))
    shown.hover(Plane.AXIAL, shown.at(Plane.AXIAL, (20, 18, 9)))
    assert shown.state.aim.hovered is None
    shown.hover(Plane.AXIAL, shown.at(Plane.AXIAL, (12, 10, 9)))
    assert shown.state.aim.hovered == PromptItem(ItemKind.POINT, 0)


def test_signs_differ_in_shape_and_not_only_in_colour(shown):
    shown.state.set_prompt(Prompt())
    _click(shown, (12, 10, 9))
    _click(shown, (22, 18, 9), RIGHT)
    shown.state.set_tool(Tool.CROSSHAIR)
    picture = shown.picture(Plane.AXIAL)
    inside, outside = shown.at(Plane.AXIAL, (12, 10, 9)), shown.at(Plane.AXIAL, (22, 18, 9))
    away = QPoint(4, 4)
    assert _alike(picture.pixelColor(inside + away), POSITIVE_COLOUR), "filled"
    assert not _alike(picture.pixelColor(outside + away), NEGATIVE_COLOUR), "a ring with nothing in it"
    dark = picture.pixelColor(inside + QPoint(0, 3))
    assert dark.lightness() < 60, "the upright stroke of the plus"
    assert not _alike(picture.pixelColor(outside + QPoint(0, 3)), NEGATIVE_COLOUR), "a minus has none"


def _alike(first: QColor, second: QColor) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(first.getRgb(), second.getRgb(), strict=True))


def test_points_can_be_placed_by_keys_alone(shown):
    view = shown.views[Plane.AXIAL]
    QTest.keyClick(view, Qt.Key.Key_Return)
    QTest.keyClick(view, Qt.Key.Key_Right, CTRL | SHIFT)
    QTest.keyClick(view, Qt.Key.Key_Space, SHIFT)
    first, second = shown.state.prompt.points
    assert first.positive
    assert not second.positive
    assert _near(shown, first, (17, 15, 9))
    assert np.linalg.norm(np.subtract(first.position, second.position)) > 5


def test_shift_adds_a_box_and_keeps_the_first(shown):
    shown.state.set_tool(Tool.BOX)
    first = shown.state.box
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (28, 25, 9)), shown.at(Plane.AXIAL, (36, 32, 9)), modifiers=SHIFT)
    assert shown.steps == ["Add box"]
    assert len(shown.state.prompt.boxes) == 2
    assert shown.state.prompt.boxes[0] == first
    lower, upper = shown.state.prompt.boxes[1].index_bounds(shown.geometry)
    assert lower[0] == pytest.approx(28, abs=0.51)
    assert upper[1] == pytest.approx(32, abs=0.51)


def test_each_box_is_dragged_on_its_own(shown):
    other = BoxPrompt.from_index_bounds(shown.geometry, (27.5, 24.5, 6.5), (36.5, 32.5, 11.5))
    first = shown.state.box
    shown.state.set_prompt(Prompt(boxes=(first, other)))
    shown.state.set_tool(Tool.BOX)
    side = shown.at(Plane.AXIAL, (36.5, 28, 9))
    shown.drag(Plane.AXIAL, side, shown.at(Plane.AXIAL, (33.5, 28, 9)))
    assert shown.steps == ["Adjust box"]
    assert shown.state.prompt.boxes[0] == first
    assert shown.state.prompt.boxes[1].index_bounds(shown.geometry)[1][0] == pytest.approx(33.5)


def test_control_redraws_this_slice_only_and_again(shown):
    shown.state.set_tool(Tool.BOX)
    first = shown.state.box
    for start, end in (((15, 14, 9), (20, 18, 9)), ((11.7, 10.7, 9), (22.3, 20.3, 9))):
        shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, start), shown.at(Plane.AXIAL, end), modifiers=CTRL)
    assert shown.steps == ["Redraw slice", "Redraw slice"]
    assert shown.state.prompt.boxes == (first,)
    (rectangle,) = shown.state.prompt.slice_boxes
    lower, upper = rectangle.index_bounds(shown.geometry)
    np.testing.assert_allclose(lower, (11.5, 10.5, 8.5), atol=0.51)
    np.testing.assert_allclose(upper, (22.5, 20.5, 9.5), atol=0.51)


def test_control_on_a_side_moves_it_on_this_slice_only(shown):
    shown.state.set_tool(Tool.BOX)
    first = shown.state.box
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (25.5, 15, 9)), shown.at(Plane.AXIAL, (21.5, 15, 9)), modifiers=CTRL)
    assert shown.state.prompt.boxes == (first,)
    lower, upper = shown.state.prompt.slice_boxes[0].index_bounds(shown.geometry)
    np.testing.assert_allclose(lower, (9.5, 7.5, 8.5), atol=1e-6)
    np.testing.assert_allclose(upper, (21.5, 22.5, 9.5), atol=1e-6)


def test_a_redrawn_slice_is_dragged_alone_and_the_box_on_the_others(shown):
    shown.state.set_tool(Tool.BOX)
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (12, 11, 9)), shown.at(Plane.AXIAL, (20, 18, 9)), modifiers=CTRL)
    first = shown.state.box
    side = float(shown.state.prompt.slice_boxes[0].index_bounds(shown.geometry)[1][0])
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (side, 15, 9)), shown.at(Plane.AXIAL, (side + 2, 15, 9)))
    assert shown.steps[-1] == "Redraw slice"
    assert shown.state.prompt.slice_boxes[0].index_bounds(shown.geometry)[1][0] == pytest.approx(side + 2)
    assert shown.state.box == first
    shown.state.set_cursor((17, 15, 7))
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (25.5, 15, 7)), shown.at(Plane.AXIAL, (27.5, 15, 7)))
    assert shown.steps[-1] == "Adjust box"
    assert shown.state.box.index_bounds(shown.geometry)[1][0] == pytest.approx(27.5)
    assert len(shown.state.prompt.slice_boxes) == 1


def test_an_action_chooses_what_the_next_rectangle_becomes_and_holds_once(shown):
    shown.state.set_tool(Tool.BOX)
    shown.state.aim.set_box(BoxAim.ADD)
    for _ in range(2):
        shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (28, 25, 9)), shown.at(Plane.AXIAL, (36, 32, 9)))
    assert shown.steps[0] == "Add box"
    assert shown.steps[1:] != ["Add box"]
    assert shown.state.aim.box is BoxAim.NEW


def test_control_wheel_still_zooms_in_the_box_tool(shown):
    shown.state.set_tool(Tool.BOX)
    before = shown.views[Plane.AXIAL].transform.zoom
    shown.wheel(Plane.AXIAL, 1, modifiers=CTRL)
    assert shown.views[Plane.AXIAL].transform.zoom > before
    assert shown.steps == []


def test_without_a_box_every_rectangle_is_the_first_one(shown):
    shown.state.set_prompt(Prompt())
    shown.state.set_tool(Tool.BOX)
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (12, 11, 9)), shown.at(Plane.AXIAL, (20, 18, 9)), modifiers=CTRL)
    assert shown.steps == ["Draw box"]


def test_return_draws_under_the_same_choice_as_a_drag(shown):
    shown.state.set_tool(Tool.BOX)
    QTest.keyClick(shown.views[Plane.AXIAL], Qt.Key.Key_Return, CTRL)
    assert shown.steps == ["Redraw slice"]
    QTest.keyClick(shown.views[Plane.AXIAL], Qt.Key.Key_Return, SHIFT)
    assert shown.steps == ["Redraw slice", "Add box"]
    assert len(shown.state.prompt.boxes) == 2
