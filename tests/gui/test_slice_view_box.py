"""Drawing and editing the 3D box with the mouse, on every kind of grid and in every plane."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from hemaview.gui.view_state import Tool
from hemaview.imaging import Plane
from hemaview.segmentation.contract import BoxPrompt, Prompt

LOWER, UPPER = np.array([9.5, 8.5, 5.5]), np.array([24.5, 21.5, 12.5])


def box_on(geometry) -> BoxPrompt:
    return BoxPrompt.from_index_bounds(geometry, LOWER, UPPER)


def with_box(viewers, volume):
    shown = viewers(volume)
    shown.state.set_tool(Tool.BOX)
    shown.state.set_prompt(Prompt.of(box_on(volume.geometry)))
    shown.state.set_cursor((LOWER + UPPER) / 2)
    return shown


@pytest.mark.parametrize("plane", list(Plane))
def test_a_drawn_rectangle_is_the_right_box_in_the_patient(viewers, crooked, plane):
    shown = viewers(crooked)
    geometry = crooked.geometry
    shown.state.set_tool(Tool.BOX)
    shown.state.set_cursor((17, 15, 9))
    axis = shown.state.view(plane).slice_axis
    # A little inside the corner voxels, so that a rounded mouse position still means these voxels.
    shown.drag(plane, shown.at(plane, LOWER + 0.2), shown.at(plane, UPPER - 0.2))

    (box,) = shown.drawn
    assert box == shown.state.box
    assert box.open_axis == axis
    corners = np.array([box.corner_a, box.corner_b])
    lower, upper = LOWER.copy(), UPPER.copy()
    in_plane = [a for a in range(3) if a != axis]
    half = np.mean((geometry.index_to_mm(UPPER) - geometry.index_to_mm(LOWER))[in_plane]) / 2
    lower[axis] = upper[axis] = shown.views[plane].slice_index
    ends = geometry.index_to_mm([lower, upper])
    ends[:, axis] += (-half, half)
    first, last = geometry.mm_to_index(ends)[:, axis]
    lower[axis] = max(-0.5, first)
    upper[axis] = min(geometry.size[axis] - 0.5, last)
    np.testing.assert_allclose(corners, geometry.index_to_lps([lower, upper]), atol=1e-6)


@pytest.mark.parametrize("plane", list(Plane))
def test_the_direction_of_the_drag_does_not_matter(viewers, straight, plane):
    shown = viewers(straight)
    shown.state.set_tool(Tool.BOX)
    shown.state.set_cursor((17, 15, 9))
    shown.drag(plane, shown.at(plane, UPPER - 0.2), shown.at(plane, LOWER + 0.2))
    shown.state.set_prompt(Prompt())
    shown.drag(plane, shown.at(plane, LOWER + 0.2), shown.at(plane, UPPER - 0.2))
    assert shown.drawn[0] == shown.drawn[1]


def test_a_rectangle_over_the_border_is_clipped_to_the_scan(viewers, straight):
    shown = viewers(straight)
    shown.state.set_tool(Tool.BOX)
    shown.views[Plane.AXIAL].zoom_by(0.5)
    shown.drag(Plane.AXIAL, QPoint(2, 2), QPoint(478, 478))
    lower, upper = shown.drawn[0].index_bounds(straight.geometry)
    np.testing.assert_allclose(lower[:2], (-0.5, -0.5), atol=1e-6)
    np.testing.assert_allclose(upper[:2], (39.5, 35.5), atol=1e-6)


def test_a_click_draws_no_box(viewers, straight):
    shown = viewers(straight)
    shown.state.set_tool(Tool.BOX)
    QTest.mouseClick(shown.views[Plane.AXIAL], Qt.MouseButton.LeftButton, pos=QPoint(240, 240))
    assert shown.drawn == []
    assert shown.state.box is None


def test_a_new_box_shows_in_all_viewers_while_it_is_drawn(viewers, straight):
    shown = viewers(straight)
    shown.state.set_tool(Tool.BOX)
    before = shown.picture(Plane.CORONAL)
    view = shown.views[Plane.AXIAL]
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=shown.at(Plane.AXIAL, LOWER))
    QTest.mouseMove(view, shown.at(Plane.AXIAL, UPPER))
    assert shown.state.box is not None
    assert shown.drawn == []
    assert shown.picture(Plane.CORONAL) != before
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=shown.at(Plane.AXIAL, UPPER))
    assert len(shown.drawn) == 1


@pytest.mark.parametrize("plane", list(Plane))
@pytest.mark.parametrize("corner", ["lower", "upper"])
def test_a_corner_handle_moves_two_sides_of_the_same_box(viewers, crooked, plane, corner):
    shown = with_box(viewers, crooked)
    view = shown.state.view(plane)
    step = np.zeros(3)
    step[[view.x_axis, view.y_axis]] = (-3, -2) if corner == "lower" else (3, 2)
    start = LOWER if corner == "lower" else UPPER
    shown.drag(plane, shown.at(plane, start), shown.at(plane, start + step))

    (box,) = shown.edited
    assert shown.drawn == []
    lower, upper = box.index_bounds(crooked.geometry)
    np.testing.assert_allclose(lower, LOWER + step * (corner == "lower"), atol=1e-6)
    np.testing.assert_allclose(upper, UPPER + step * (corner == "upper"), atol=1e-6)


@pytest.mark.parametrize("plane", list(Plane))
@pytest.mark.parametrize("which", ["x", "y"])
def test_a_side_handle_moves_one_side(viewers, crooked, plane, which):
    shown = with_box(viewers, crooked)
    view = shown.state.view(plane)
    axis = view.x_axis if which == "x" else view.y_axis
    middle = (LOWER + UPPER) / 2
    start, end = middle.copy(), middle.copy()
    start[axis], end[axis] = UPPER[axis], UPPER[axis] + 3
    # Beside the middle, because the whole side can be taken.
    other = view.y_axis if which == "x" else view.x_axis
    start[other] = end[other] = middle[other] + 1
    shown.drag(plane, shown.at(plane, start), shown.at(plane, end))

    lower, upper = shown.edited[0].index_bounds(crooked.geometry)
    np.testing.assert_allclose(lower, LOWER, atol=1e-6)
    expected = UPPER.copy()
    expected[axis] += 3
    np.testing.assert_allclose(upper, expected, atol=1e-6)


@pytest.mark.parametrize("plane", list(Plane))
def test_dragging_inside_moves_the_box_and_keeps_its_size(viewers, crooked, plane):
    shown = with_box(viewers, crooked)
    view = shown.state.view(plane)
    middle, step = (LOWER + UPPER) / 2, np.zeros(3)
    step[view.x_axis], step[view.y_axis] = 4, -3
    shown.drag(plane, shown.at(plane, middle), shown.at(plane, middle + step))
    lower, upper = shown.edited[0].index_bounds(crooked.geometry)
    geometry = crooked.geometry
    across = [axis for axis in range(3) if axis != 2 or not geometry.is_uneven]
    np.testing.assert_allclose(lower[across], (LOWER + step)[across], atol=1e-6)
    np.testing.assert_allclose(upper[across], (UPPER + step)[across], atol=1e-6)
    # Over slices of another thickness it covers as much of the patient, to the nearest faces.
    assert (lower[2] % 1, upper[2] % 1) == pytest.approx((0.5, 0.5))
    length, before = (np.ptp(geometry.index_to_mm(ends)[:, 2]) for ends in ([lower, upper], [LOWER, UPPER]))
    assert length == pytest.approx(before, abs=4.0 if geometry.is_uneven else 1e-6)


def test_a_box_cannot_leave_the_scan_or_become_thinner_than_a_voxel(viewers, straight):
    shown = with_box(viewers, straight)
    middle = (LOWER + UPPER) / 2
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, middle), QPoint(479, 479))
    lower, upper = shown.edited[-1].index_bounds(straight.geometry)
    np.testing.assert_allclose((upper - lower), UPPER - LOWER, atol=1e-6)
    np.testing.assert_allclose(upper[:2], (39.5, 35.5), atol=1e-6)

    shown.state.set_prompt(Prompt.of(box_on(straight.geometry)))
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, LOWER), shown.at(Plane.AXIAL, UPPER + 5))
    lower, upper = shown.edited[-1].index_bounds(straight.geometry)
    np.testing.assert_allclose((upper - lower)[:2], (1, 1), atol=1e-6)


def test_escape_puts_the_box_back(viewers, straight):
    shown = with_box(viewers, straight)
    view, before = shown.views[Plane.AXIAL], shown.state.box
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=shown.at(Plane.AXIAL, UPPER))
    QTest.mouseMove(view, shown.at(Plane.AXIAL, UPPER + 6))
    assert shown.state.box != before
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert shown.state.box == before
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=shown.at(Plane.AXIAL, UPPER + 6))
    assert shown.edited == []


def test_handles_can_be_taken_within_six_pixels(viewers, straight):
    for dx, dy in ((6, 0), (-6, 0), (0, 6), (0, -6)):
        shown = with_box(viewers, straight)
        start = shown.at(Plane.AXIAL, UPPER) + QPoint(dx, dy)
        step = shown.at(Plane.AXIAL, UPPER + 3) - shown.at(Plane.AXIAL, UPPER)
        shown.drag(Plane.AXIAL, start, start + step)
        _, upper = shown.edited[0].index_bounds(straight.geometry)
        np.testing.assert_allclose(upper[:2], UPPER[:2] + 3, atol=1e-6)


def test_the_mouse_cursor_tells_what_a_press_would_do(viewers, straight):
    shown = with_box(viewers, straight)
    view = shown.views[Plane.AXIAL]
    middle = (LOWER + UPPER) / 2
    shapes = []
    for place in (
        LOWER,
        (UPPER[0], LOWER[1], 9),
        (LOWER[0], middle[1], 9),
        (middle[0], LOWER[1], 9),
        middle,
        (2, 2, 9),
    ):
        QTest.mouseMove(view, shown.at(Plane.AXIAL, place))
        shapes.append(view.cursor().shape())
    shape = Qt.CursorShape
    assert shapes == [
        shape.SizeFDiagCursor,
        shape.SizeBDiagCursor,
        shape.SizeHorCursor,
        shape.SizeVerCursor,
        shape.SizeAllCursor,
        shape.CrossCursor,
    ]


def test_setting_the_depth_by_hand_closes_an_open_box(viewers, straight):
    geometry = straight.geometry
    shown = viewers(straight)
    shown.state.set_tool(Tool.BOX)
    shown.state.set_cursor((17, 15, 9))
    open_box = BoxPrompt.from_rectangle(geometry, 2, 9, LOWER, UPPER)
    shown.state.set_prompt(Prompt.of(open_box))
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, UPPER), shown.at(Plane.AXIAL, UPPER + 2))
    assert shown.edited[-1].open_axis == 2
    _, upper = shown.state.box.index_bounds(geometry)
    side = (17, 15, upper[2])
    shown.drag(Plane.CORONAL, shown.at(Plane.CORONAL, side), shown.at(Plane.CORONAL, (17, 15, upper[2] + 2)))
    assert shown.edited[-1].open_axis is None


def test_control_draws_a_new_box_inside_the_old_one(viewers, straight):
    shown = with_box(viewers, straight)
    start, end = shown.at(Plane.AXIAL, LOWER + 3.2), shown.at(Plane.AXIAL, UPPER - 3.2)
    shown.drag(
        Plane.AXIAL, start, end, modifiers=Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    lower, upper = shown.drawn[0].index_bounds(straight.geometry)
    np.testing.assert_allclose(lower[:2], LOWER[:2] + 3, atol=1e-6)
    np.testing.assert_allclose(upper[:2], UPPER[:2] - 3, atol=1e-6)


def test_the_box_is_solid_on_its_slices_and_dashed_outside(viewers, straight):
    shown = with_box(viewers, straight)
    shown.state.set_tool(Tool.CROSSHAIR)
    start, end = shown.at(Plane.AXIAL, LOWER), shown.at(Plane.AXIAL, (UPPER[0], LOWER[1], 9))

    def blue_share(index: int) -> float:
        shown.state.set_cursor((1, 34, index))
        image = shown.picture(Plane.AXIAL)
        colours = [image.pixelColor(x, start.y()) for x in range(start.x() + 5, end.x() - 5)]
        return float(np.mean([c.blue() > 200 and c.red() < 140 for c in colours]))

    assert blue_share(6) == 1.0
    assert blue_share(12) == 1.0
    assert 0.3 < blue_share(13) < 0.8
    assert 0.3 < blue_share(5) < 0.8


def test_a_box_can_be_drawn_moved_and_resized_with_keys(viewers, straight):
    shown = viewers(straight)
    view, geometry = shown.views[Plane.AXIAL], straight.geometry
    shown.state.set_tool(Tool.BOX)
    shown.state.set_cursor((20, 18, 9))
    QTest.keyClick(view, Qt.Key.Key_Return)
    (box,) = shown.drawn
    lower, upper = box.index_bounds(geometry)
    assert box.open_axis == 2
    np.testing.assert_allclose((lower + upper)[:2] / 2, (20, 18), atol=0.6)

    QTest.keyClick(view, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClick(view, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    new_lower, new_upper = shown.edited[-1].index_bounds(geometry)
    np.testing.assert_allclose((new_lower - lower)[:2], (0, 1), atol=1e-6)
    np.testing.assert_allclose((new_upper - upper)[:2], (-1, 1), atol=1e-6)
    assert view.slice_index == 9


def test_an_answer_that_arrives_mid_drag_does_not_replace_what_the_hand_holds(viewers, straight):
    shown = with_box(viewers, straight)
    view = shown.views[Plane.AXIAL]
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=shown.at(Plane.AXIAL, UPPER))
    QTest.mouseMove(view, shown.at(Plane.AXIAL, UPPER + 4))
    shown.state.set_prompt(Prompt.of(BoxPrompt.from_index_bounds(straight.geometry, LOWER - 3, UPPER - 5)))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=shown.at(Plane.AXIAL, UPPER + 4))
    _, upper = shown.edited[0].index_bounds(straight.geometry)
    np.testing.assert_allclose(upper[:2], UPPER[:2] + 4, atol=1e-6)
    assert shown.state.box == shown.edited[0]


def test_a_viewer_that_is_resized_mid_drag_still_follows_the_mouse(viewers, straight):
    shown = with_box(viewers, straight)
    view = shown.views[Plane.AXIAL]
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=shown.at(Plane.AXIAL, UPPER))
    view.resize(400, 350)
    place = shown.at(Plane.AXIAL, UPPER + 4)
    QTest.mouseMove(view, place)
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=place)
    _, upper = shown.edited[0].index_bounds(straight.geometry)
    np.testing.assert_allclose(upper[:2], UPPER[:2] + 4, atol=1e-6)
