"""Viewers on slices that are not equally far apart: what is seen, clicked and painted is where it is in the patient."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from hemaview.gui.derived_worker import head_outline
from hemaview.gui.view_state import Tool
from hemaview.imaging import Geometry, Modality, Plane, Volume
from hemaview.imaging.windowing import Window
from hemaview.segmentation.contract import BoxPrompt, Prompt

PLACES = np.array([0, 2.5, 5, 7.5, 10, 12.5, 15, 20, 25, 30, 35, 45, 50, 56, 62, 68])
"""Thin slices at the base, one missing at 40 mm, thicker ones above."""
SIZE = (60, 50, 16)
RISING, FALLING = (1, 0, 0, 0, 1, 0, 0, 0, 1), (1, 0, 0, 0, 1, 0, 0, 0, -1)
ACROSS = (Plane.CORONAL, Plane.SAGITTAL)
"""The planes that cut across the slices."""


def scan(direction=RISING) -> Volume:
    """Every slice has a grey value of its own, 15 times its number."""
    geometry = Geometry(SIZE, (1.0, 1.2, PLACES[-1] / 15), (-30, -30, 100), direction, tuple(PLACES))
    return Volume(np.repeat(np.arange(16, dtype=np.int16) * 15, 3000).reshape(geometry.shape), geometry, Modality.MR)


def rows_of(shown, plane) -> range:
    """The widget's rows from the outer face of the first slice to that of the last."""
    top, bottom = sorted(shown.at(plane, (45, 40, k)).y() for k in (-0.5, 15.5))
    return range(top + 2, bottom - 1)


@pytest.mark.parametrize("direction", [RISING, FALLING], ids=["rising", "falling"])
@pytest.mark.parametrize("plane", ACROSS)
def test_a_click_goes_to_the_slice_that_is_painted_there(viewers, plane, direction):
    shown = viewers(scan(direction), Window(127.5, 255))
    shown.state.set_smooth(False)
    shown.state.set_cursor((5, 5, 7))
    image = shown.picture(plane)
    crosshair = shown.at(plane, (45, 40, 7)).y()
    column = shown.at(plane, (45, 40, 0)).x()
    seen = set()
    for y in (row for row in rows_of(shown, plane)[::2] if abs(row - crosshair) > 2):
        grey = image.pixelColor(column, y).red()
        QTest.mouseClick(shown.views[plane], Qt.MouseButton.LeftButton, pos=QPoint(column, y))
        # A pixel of the picture may straddle the border of two slices.
        if abs(shown.state.cursor[2] % 1 - 0.5) > 0.15:
            assert grey == pytest.approx(15 * shown.state.slice_index(Plane.AXIAL), abs=1)
            seen.add(grey // 15)
    assert seen == set(range(16))


@pytest.mark.parametrize("plane", ACROSS)
def test_distances_on_the_screen_are_those_in_the_patient(viewers, plane):
    shown = viewers(scan())
    transform = shown.views[plane].transform
    x, y, _ = transform.view.index_to_pixel([(20, 20, k) for k in range(16)])
    _, rows = transform.to_screen(x, y)
    np.testing.assert_allclose(np.diff(rows), -np.diff(PLACES) * transform.zoom)


@pytest.mark.parametrize("plane", ACROSS)
def test_smooth_scaling_mixes_neighbours_by_their_true_distance(viewers, plane):
    shown = viewers(scan(), Window(127.5, 255))
    column = shown.at(plane, (45, 40, 0)).x()
    image = shown.picture(plane)
    # Half-way between the slices beside the missing one, 10 and 11.
    assert image.pixelColor(column, shown.at(plane, (45, 40, 10.5)).y()).red() == pytest.approx(157, abs=3)


@pytest.mark.parametrize("direction", [RISING, FALLING], ids=["rising", "falling"])
@pytest.mark.parametrize("plane", ACROSS)
def test_the_brush_paints_the_voxels_within_its_radius(viewers, plane, direction):
    shown = viewers(scan(direction))
    geometry = shown.geometry
    shown.state.set_tool(Tool.BRUSH)
    shown.state.set_brush_radius(9.5)
    shown.state.set_cursor((30, 25, 3))
    view = shown.views[plane]
    place = shown.at(plane, (30, 25, 7.3))
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=place)
    ((region, values),) = shown.strokes
    painted = np.zeros(geometry.shape, dtype=bool)
    painted[region] = values

    picture = view.transform.to_picture(place.x(), place.y())
    middle = geometry.index_to_lps(view.transform.view.pixel_to_index(*picture, view.slice_index))
    k, j, i = np.indices(geometry.shape)
    away = np.linalg.norm(geometry.index_to_lps(np.stack([i, j, k], axis=-1)) - middle, axis=-1)
    on_slice = np.stack([i, j, k])[view.transform.view.slice_axis] == view.slice_index
    assert np.array_equal(painted, on_slice & (away <= 9.5))
    assert np.array_equal(np.flatnonzero(painted.any(axis=(1, 2))), [5, 6, 7, 8, 9])


def test_a_small_brush_paints_the_slice_under_the_mouse(viewers):
    shown = viewers(scan())
    shown.state.set_tool(Tool.BRUSH)
    shown.state.set_brush_radius(0.5)
    # Far from both centres, but on the side of slice 10 of the gap.
    QTest.mouseClick(shown.views[Plane.CORONAL], Qt.MouseButton.LeftButton, pos=shown.at(Plane.CORONAL, (20, 25, 10.4)))
    ((region, values),) = shown.strokes
    assert region[0] == slice(10, 11)
    assert values.any()


def test_a_point_set_in_the_coronal_view_has_its_place_in_the_patient(viewers):
    shown = viewers(scan())
    shown.state.set_tool(Tool.POINTS)
    place = shown.at(Plane.CORONAL, (20, 25, 10.5))
    QTest.mouseClick(shown.views[Plane.CORONAL], Qt.MouseButton.LeftButton, pos=place)
    (point,) = shown.state.prompt.points
    assert point.position[2] == pytest.approx(140.0, abs=0.3)
    assert shown.views[Plane.CORONAL].transform.zoom > 3


@pytest.mark.parametrize("plane", ACROSS)
def test_a_box_drawn_across_the_slices_ends_at_their_faces(viewers, plane):
    shown = viewers(scan())
    shown.state.set_tool(Tool.BOX)
    shown.drag(plane, shown.at(plane, (10, 10, 4.7)), shown.at(plane, (30, 30, 11.2)))
    (box,) = shown.drawn
    assert sorted((box.corner_a[2], box.corner_b[2])) == pytest.approx([100 + 11.25, 100 + 47.5])


def test_the_depth_guessed_for_a_rectangle_is_as_long_as_it_is_wide(viewers):
    shown = viewers(scan())
    shown.state.set_tool(Tool.BOX)
    shown.state.set_cursor((30, 25, 10))
    shown.drag(Plane.AXIAL, shown.at(Plane.AXIAL, (20, 20, 10)), shown.at(Plane.AXIAL, (39, 36, 10)))
    (box,) = shown.drawn
    x, y, z = np.abs(np.subtract(box.corner_a, box.corner_b))
    assert z == pytest.approx((x + y) / 2)
    assert (box.corner_a[2] + box.corner_b[2]) / 2 == pytest.approx(135)


def test_arrow_keys_move_by_one_slice_across_the_slices(viewers):
    shown = viewers(scan())
    shown.state.set_cursor((20, 25, 7))
    QTest.keyClick(shown.views[Plane.CORONAL], Qt.Key.Key_Up, Qt.KeyboardModifier.ControlModifier)
    assert shown.state.cursor == pytest.approx((20, 25, 8))
    QTest.keyClick(shown.views[Plane.SAGITTAL], Qt.Key.Key_Down, Qt.KeyboardModifier.ControlModifier)
    assert shown.state.cursor == pytest.approx((20, 25, 7))
    shown.state.set_tool(Tool.BOX)
    shown.state.set_prompt(Prompt.of(BoxPrompt.from_index_bounds(shown.geometry, (5.5, 5.5, 3.5), (20.5, 20.5, 6.5))))
    keys = Qt.KeyboardModifier.ShiftModifier
    QTest.keyClick(shown.views[Plane.CORONAL], Qt.Key.Key_Up, keys)
    lower, upper = shown.state.box.index_bounds(shown.geometry)
    assert (lower[2], upper[2]) == pytest.approx((4.5, 6.5))


def test_the_head_outline_follows_the_slices():
    size = (60, 60, 16)
    geometry = Geometry(size, (1.5, 1.5, PLACES[-1] / 15), (-45, -45, -34), slice_positions=tuple(PLACES))
    k, j, i = np.indices(geometry.shape)
    away = np.linalg.norm(geometry.index_to_lps(np.stack([i, j, k], axis=-1)), axis=-1)
    outline = head_outline(Volume(np.where(away < 28, 900, 0).astype(np.int16), geometry, Modality.MR))
    assert outline is not None
    assert np.linalg.norm(outline.points, axis=1).mean() == pytest.approx(28, abs=2.5)
    np.testing.assert_allclose([outline.points[:, 2].min(), outline.points[:, 2].max()], (-28, 28), atol=5)
