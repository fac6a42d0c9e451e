"""Wheel, zoom, pan, window, crosshair, brush and keys, with real events."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QToolButton

from hemaview.gui.slice_frame import SliceViewFrame
from hemaview.gui.view_state import Tool, ViewState
from hemaview.imaging import Geometry, LabelMap, Modality, Plane, Volume
from hemaview.imaging.windowing import Window

CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
# LPS axis of the normal and the direction that the wheel and Page Up take on it: head, front, left.
UP = {Plane.AXIAL: (2, 1), Plane.CORONAL: (1, -1), Plane.SAGITTAL: (0, 1)}


@pytest.mark.parametrize("plane", list(Plane))
def test_the_wheel_goes_slice_by_slice_towards_head_front_and_left(viewers, crooked, plane):
    shown = viewers(crooked)
    index, here = shown.views[plane].slice_index, shown.state.cursor_lps
    shown.wheel(plane, 1)
    assert abs(shown.views[plane].slice_index - index) == 1
    axis, up = UP[plane]
    assert (shown.state.cursor_lps - here)[axis] * up > 0
    shown.wheel(plane, -1)
    assert shown.views[plane].slice_index == index


def test_a_touchpad_needs_a_whole_notch_for_a_slice(viewers, straight):
    shown = viewers(straight)
    index = shown.views[Plane.AXIAL].slice_index
    for _ in range(3):
        shown.wheel(Plane.AXIAL, 0.25)
    assert shown.views[Plane.AXIAL].slice_index == index
    shown.wheel(Plane.AXIAL, 0.25)
    assert shown.views[Plane.AXIAL].slice_index == index + 1


def test_slices_end_at_the_last_one(viewers, straight):
    shown = viewers(straight)
    shown.wheel(Plane.AXIAL, 100)
    assert shown.views[Plane.AXIAL].slice_index == 19
    shown.wheel(Plane.AXIAL, -100)
    assert shown.views[Plane.AXIAL].slice_index == 0


@pytest.mark.parametrize("plane", list(Plane))
def test_control_wheel_zooms_about_the_pointer(viewers, crooked, plane):
    shown = viewers(crooked)
    view = shown.views[plane]
    place = QPoint(301, 187)
    before, zoom, index = view.transform.to_picture(301, 187), view.transform.zoom, view.slice_index
    shown.wheel(plane, 3, place, CONTROL)
    assert view.transform.zoom > zoom * 1.5
    np.testing.assert_allclose(view.transform.to_picture(301, 187), before, atol=1e-6)
    assert view.slice_index == index


def test_a_right_drag_zooms_about_the_pressed_point(viewers, straight):
    shown = viewers(straight)
    view = shown.views[Plane.AXIAL]
    before, zoom = view.transform.to_picture(200, 300), view.transform.zoom
    shown.drag(Plane.AXIAL, QPoint(200, 300), QPoint(210, 220), Qt.MouseButton.RightButton)
    assert view.transform.zoom > zoom
    np.testing.assert_allclose(view.transform.to_picture(200, 300), before, atol=1e-6)
    shown.drag(Plane.AXIAL, QPoint(200, 200), QPoint(200, 320), Qt.MouseButton.RightButton)
    assert view.transform.zoom < zoom


def test_a_middle_drag_pans_and_r_fits_again(viewers, straight):
    shown = viewers(straight)
    view = shown.views[Plane.AXIAL]
    fitted = view.transform
    before = view.transform.to_picture(200, 200)
    shown.drag(Plane.AXIAL, QPoint(200, 200), QPoint(260, 170), Qt.MouseButton.MiddleButton)
    np.testing.assert_allclose(view.transform.to_picture(260, 170), before, atol=1e-6)
    assert view.transform.zoom == fitted.zoom
    QTest.keyClick(view, Qt.Key.Key_R)
    assert view.transform == fitted


def test_the_picture_cannot_be_panned_out_of_sight(viewers, straight):
    shown = viewers(straight)
    view = shown.views[Plane.AXIAL]
    for _ in range(4):
        shown.drag(Plane.AXIAL, QPoint(10, 10), QPoint(470, 470), Qt.MouseButton.MiddleButton)
    x, y = view.transform.to_picture([0, 480], [0, 480])
    assert x[1] > 0
    assert y[1] > 0


def test_the_window_drag_sets_width_across_and_level_down(viewers, straight):
    shown = viewers(straight, Window(1000, 800))
    shown.state.set_tool(Tool.WINDOW)
    shown.drag(Plane.AXIAL, QPoint(200, 200), QPoint(260, 200))
    assert shown.state.window.width > 800
    assert shown.state.window.centre == 1000
    width = shown.state.window.width
    shown.drag(Plane.AXIAL, QPoint(200, 200), QPoint(200, 240))
    assert shown.state.window.width == width
    assert shown.state.window.centre > 1000
    shown.drag(Plane.AXIAL, QPoint(470, 200), QPoint(2, 200))
    shown.drag(Plane.AXIAL, QPoint(470, 200), QPoint(2, 200))
    assert shown.state.window.width > 0


def test_the_window_drag_follows_the_range_of_the_values(viewers, straight):
    narrow = viewers(straight, Window(1000, 800))
    scaled = Volume(straight.array.astype(np.float32) / 1000, straight.geometry, Modality.MR)
    small = viewers(scaled, Window(1.0, 0.8))
    for shown in (narrow, small):
        shown.state.set_tool(Tool.WINDOW)
        shown.drag(Plane.AXIAL, QPoint(200, 200), QPoint(260, 230))
    assert small.state.window.width * 1000 == pytest.approx(narrow.state.window.width, rel=1e-3)
    assert small.state.window.centre * 1000 == pytest.approx(narrow.state.window.centre, rel=1e-3)


@pytest.mark.parametrize("plane", list(Plane))
def test_the_crosshair_tool_moves_the_other_viewers(viewers, crooked, plane):
    shown = viewers(crooked)
    target = np.array([27.0, 11.0, 6.0])
    axis = shown.state.view(plane).slice_axis
    target[axis] = shown.views[plane].slice_index
    QTest.mouseClick(shown.views[plane], Qt.MouseButton.LeftButton, pos=shown.at(plane, target))
    np.testing.assert_allclose(shown.state.cursor, target, atol=0.5)
    for other, view in shown.views.items():
        assert view.slice_index == round(target[shown.state.view(other).slice_axis])


def test_shift_and_move_takes_the_crosshair_along_in_every_tool(viewers, straight):
    shown = viewers(straight)
    shown.state.set_tool(Tool.BRUSH)
    before = shown.state.cursor
    shown.hover(Plane.AXIAL, shown.at(Plane.AXIAL, (30, 9, 10)))
    assert shown.state.cursor == before
    shown.hover(Plane.AXIAL, shown.at(Plane.AXIAL, (30, 9, 10)), SHIFT)
    np.testing.assert_allclose(shown.state.cursor[:2], (30, 9), atol=0.3)
    assert shown.views[Plane.SAGITTAL].slice_index == 30
    assert shown.views[Plane.CORONAL].slice_index == 9
    assert shown.strokes == []


def test_only_the_slices_that_changed_are_redrawn_by_a_crosshair_move(viewers, straight):
    shown = viewers(straight)
    shown.state.set_cursor((10, 10, 10))
    axial = shown.picture(Plane.AXIAL)
    shown.state.set_cursor((10, 10, 12))
    assert shown.picture(Plane.AXIAL) != axial
    shown.state.set_cursor((10, 10, 10))
    assert shown.picture(Plane.AXIAL) == axial


def test_keys_move_through_the_slices(viewers, straight):
    shown = viewers(straight)
    view = shown.views[Plane.AXIAL]
    start = view.slice_index
    seen = []
    for key in ("PageUp", "Up", "Right", "PageDown", "Down", "Left", "Home", "End"):
        QTest.keyClick(view, getattr(Qt.Key, f"Key_{key}"))
        seen.append(view.slice_index)
    assert seen == [start + 1, start + 2, start + 3, start + 2, start + 1, start, 19, 0]


def test_control_arrows_move_the_crosshair_by_a_voxel(viewers, straight):
    shown = viewers(straight)
    shown.state.set_cursor((20, 20, 10))
    view = shown.views[Plane.AXIAL]
    QTest.keyClick(view, Qt.Key.Key_Right, CONTROL)
    QTest.keyClick(view, Qt.Key.Key_Down, CONTROL)
    assert shown.state.cursor == (21, 21, 10)
    QTest.keyClick(view, Qt.Key.Key_Left, CONTROL | SHIFT)
    assert shown.state.cursor == (11, 21, 10)


def test_a_double_click_asks_for_a_larger_view_but_not_while_painting(viewers, straight):
    shown = viewers(straight)
    view = shown.views[Plane.CORONAL]
    QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=QPoint(240, 240))
    assert shown.maximised == [Plane.CORONAL]
    shown.state.set_tool(Tool.BRUSH)
    QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=QPoint(240, 240))
    assert shown.maximised == [Plane.CORONAL]


@pytest.mark.parametrize("plane", list(Plane))
def test_a_brush_dab_is_a_disc_in_millimetres(viewers, crooked, plane):
    shown = viewers(crooked)
    geometry = crooked.geometry
    shown.state.set_tool(Tool.BRUSH)
    shown.state.set_brush_radius(7.0)
    centre = np.array([20.0, 18.0, 9.0])
    axis = shown.state.view(plane).slice_axis
    shown.state.set_cursor(centre)
    place = shown.at(plane, centre)
    QTest.mouseClick(shown.views[plane], Qt.MouseButton.LeftButton, pos=place)

    ((region, values),) = shown.strokes
    painted = np.zeros(geometry.shape, dtype=bool)
    painted[region] = values
    assert region[2 - axis] == slice(int(centre[axis]), int(centre[axis]) + 1)
    view = shown.state.view(plane)
    x, y = shown.views[plane].transform.to_picture(place.x(), place.y())
    middle = geometry.index_to_lps(view.pixel_to_index(x, y, centre[axis]))
    k, j, i = np.indices(geometry.shape)
    distance = np.linalg.norm(geometry.index_to_lps(np.stack([i, j, k], axis=-1)) - middle, axis=-1)
    on_slice = np.stack([i, j, k], axis=-1)[..., axis] == centre[axis]
    np.testing.assert_array_equal(painted, on_slice & (distance <= 7.0))


def test_a_whole_stroke_is_one_edit_without_gaps(viewers, straight):
    shown = viewers(straight)
    shown.state.set_tool(Tool.BRUSH)
    shown.state.set_brush_radius(2.0)
    shown.state.set_cursor((20, 18, 9))
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (5, 18, 9)), shown.at(Plane.AXIAL, (35, 18, 9)))
    ((region, values),) = shown.strokes
    painted = np.zeros(straight.geometry.shape, dtype=bool)
    painted[region] = values
    assert painted[9, 18, 5:36].all()
    assert painted.sum() == painted[9].sum()
    assert shown.state.stroke is None


def test_a_stroke_keeps_the_mask_it_passes_and_the_eraser_takes_it_away(viewers, straight):
    mask = np.zeros(straight.geometry.shape, dtype=np.bool_)
    mask[9, 10:26, 10:30] = True
    shown = viewers(straight)
    shown.state.set_mask(LabelMap(mask, straight.geometry))
    shown.state.set_cursor((20, 18, 9))
    shown.state.set_brush_radius(3.0)
    shown.state.set_tool(Tool.ERASER)
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (15, 18, 9)), shown.at(Plane.AXIAL, (25, 18, 9)))
    region, values = shown.strokes[0]
    after = mask.copy()
    after[region] = values
    assert not after[9, 18, 15:26].any()
    assert (after <= mask).all()
    assert after[9, 10, 10:30].all()

    shown.state.set_tool(Tool.BRUSH)
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (28, 24, 9)), shown.at(Plane.AXIAL, (34, 24, 9)))
    region, values = shown.strokes[1]
    after = mask.copy()
    after[region] = values
    assert (after >= mask).all()
    assert after[9, 24, 30:34].all()


def test_a_stroke_that_changes_nothing_is_no_edit(viewers, straight):
    shown = viewers(straight)
    shown.state.set_tool(Tool.ERASER)
    shown.drag(Plane.AXIAL, QPoint(200, 200), QPoint(260, 240))
    assert shown.strokes == []


def test_a_stroke_shows_in_all_viewers_while_it_is_painted_and_escape_drops_it(viewers, straight):
    shown = viewers(straight)
    shown.state.set_tool(Tool.BRUSH)
    shown.state.set_brush_radius(8.0)
    shown.state.set_cursor((20, 18, 9))
    before = shown.picture(Plane.SAGITTAL)
    view = shown.views[Plane.AXIAL]
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=shown.at(Plane.AXIAL, (20, 18, 9)))
    assert shown.picture(Plane.SAGITTAL) != before
    assert shown.strokes == []
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert shown.picture(Plane.SAGITTAL) == before
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=shown.at(Plane.AXIAL, (20, 18, 9)))
    assert shown.strokes == []


@pytest.mark.parametrize("plane", list(Plane))
def test_the_probe_tells_voxel_value_and_place(viewers, crooked, plane):
    shown = viewers(Volume(crooked.array, crooked.geometry, Modality.CT))
    found = []
    shown.views[plane].probe_changed.connect(found.append)
    voxel = [13, 22, 7]
    voxel[shown.state.view(plane).slice_axis] = shown.views[plane].slice_index
    shown.hover(plane, shown.at(plane, voxel))
    i, j, k = voxel
    probe = found[-1]
    assert probe.voxel == (i, j, k)
    assert probe.value == crooked.array[k, j, i]
    assert probe.unit == "HU"
    np.testing.assert_allclose(probe.lps, crooked.geometry.index_to_lps(voxel), atol=1e-9)


def test_the_slider_and_the_viewer_follow_each_other(qtbot):
    geometry = Geometry((10, 10, 12), (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, -1, 0, 0, 0, -1))
    state = ViewState()
    frame = SliceViewFrame(state, Plane.AXIAL)
    qtbot.addWidget(frame)
    frame.resize(400, 400)
    with qtbot.waitExposed(frame):
        frame.show()
    state.set_volume(Volume(np.arange(1200, dtype=np.int16).reshape(12, 10, 10), geometry))
    # The last slice of this grid is the lowest, so the slider's bottom shows it.
    QTest.mouseClick(frame.slider, Qt.MouseButton.LeftButton, pos=QPoint(9, frame.slider.height() - 2))
    assert frame.view.slice_index == 11
    frame.slider.setFocus()
    QTest.keyClick(frame.slider, Qt.Key.Key_Up)
    assert frame.view.slice_index == 10
    QTest.keyClick(frame.view, Qt.Key.Key_PageUp)
    assert frame.slider.value() == 2


def test_names_for_screen_readers(viewers, straight):
    shown = viewers(straight)
    view = shown.views[Plane.CORONAL]
    assert view.accessibleName() == "Coronal view"
    shown.state.set_cursor((1, 7, 2))
    assert view.accessibleDescription() == "slice 8 of 36"
    assert view.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_the_space_bar_dabs_at_the_crosshair(viewers, straight):
    shown = viewers(straight)
    shown.state.set_cursor((20, 18, 9))
    shown.state.set_tool(Tool.BRUSH)
    QTest.keyClick(shown.views[Plane.AXIAL], Qt.Key.Key_Space)
    ((region, values),) = shown.strokes
    painted = np.zeros(straight.geometry.shape, dtype=bool)
    painted[region] = values
    assert painted[9, 18, 20]
    assert shown.state.stroke is None


def test_choosing_square_pixels_keeps_the_zoom(viewers, straight):
    shown = viewers(straight)
    view = shown.views[Plane.AXIAL]
    shown.wheel(Plane.AXIAL, 2, QPoint(200, 200), CONTROL)
    transform, smooth = view.transform, shown.picture(Plane.AXIAL)
    shown.state.set_smooth(False)
    assert view.transform == transform
    assert shown.picture(Plane.AXIAL) != smooth


def test_a_hidden_viewer_gives_up_its_drag(viewers, straight):
    shown = viewers(straight)
    view = shown.views[Plane.AXIAL]
    shown.state.set_tool(Tool.BRUSH)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(240, 240))
    assert shown.state.stroke is not None
    view.hide()
    assert shown.state.stroke is None
    assert shown.strokes == []


def test_the_frame_asks_for_a_larger_view_and_fits(qtbot, straight):
    state = ViewState()
    frame = SliceViewFrame(state, Plane.SAGITTAL)
    qtbot.addWidget(frame)
    frame.resize(400, 400)
    with qtbot.waitExposed(frame):
        frame.show()
    state.set_volume(straight)
    asked = []
    frame.view.maximise_requested.connect(asked.append)
    fitted = frame.view.transform
    frame.view.zoom_by(2)
    fit, larger = sorted(frame.findChildren(QToolButton), key=lambda button: button.x())
    QTest.mouseClick(fit, Qt.MouseButton.LeftButton)
    assert frame.view.transform == fitted
    QTest.mouseClick(larger, Qt.MouseButton.LeftButton)
    assert asked == [Plane.SAGITTAL]
    assert all(button.accessibleName() for button in (fit, larger))


def test_painting_takes_no_reference_from_none(viewers, straight):
    # A PySide6 release did, and the interpreter died after some thousand repaints.
    view = viewers(straight).views[Plane.AXIAL]
    before = sys.getrefcount(None)
    for _ in range(1000):
        view.update()
    view.repaint()
    assert sys.getrefcount(None) > before - 200
