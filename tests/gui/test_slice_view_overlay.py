"""Mask outlines, the streamed preview, diameters, texts and annotations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest

from hemaview.gui.annotations import anatomical, scale_length_mm, slice_position, window_text
from hemaview.gui.box_painting import BOX_COLOUR
from hemaview.gui.mask_outline import outline_edges, outline_loops
from hemaview.gui.slice_painter import MASK_COLOUR, display_mask, grey_rgb32
from hemaview.gui.view_state import MaskPatch, OverlayStyle, Tool
from hemaview.imaging import Geometry, LabelMap, Plane, Volume, plane_view
from hemaview.imaging.windowing import Window
from hemaview.segmentation.contract import SliceResult
from hemaview.volumetry import measure_tada


def refilled(loops, shape) -> np.ndarray:
    """The pixels inside closed loops, by counting the vertical edges to the left of each centre."""
    crossings = np.zeros(shape, dtype=int)
    for loop in loops:
        for (x0, y0), (x1, y1) in itertools.pairwise(loop):
            if x0 == x1:
                rows = slice(int(min(y0, y1) + 0.5), int(max(y0, y1) + 0.5))
                crossings[rows, int(x0 + 0.5) :] += 1
    return crossings % 2 == 1


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.booleans()))
def test_the_outline_encloses_exactly_the_mask(mask):
    loops = outline_loops(mask)
    np.testing.assert_array_equal(refilled(loops, mask.shape), mask)
    for loop in loops:
        np.testing.assert_array_equal(loop[0], loop[-1])
        assert ((loop * 2) % 2 == 1).all()


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.booleans()))
def test_the_outline_is_as_long_as_the_border(mask):
    edges = outline_edges(mask)
    padded = np.pad(mask, 1)
    border = np.count_nonzero(np.diff(padded, axis=0)) + np.count_nonzero(np.diff(padded, axis=1))
    assert np.abs(edges[:, :2] - edges[:, 2:]).sum() == border


def test_a_mask_of_noise_is_outlined_too():
    noise = np.random.default_rng(0).random((200, 200)) < 0.5
    np.testing.assert_array_equal(refilled(outline_loops(noise), noise.shape), noise)


def test_greys_of_both_pixel_types_agree():
    values = np.arange(-500, 500, dtype=np.int16).reshape(20, 50)
    window = Window(30, 300)
    np.testing.assert_array_equal(grey_rgb32(values, window), grey_rgb32(values.astype(np.float32), window))
    assert grey_rgb32(np.array([[-500, 500]], dtype=np.int16), window).tolist() == [[0xFF000000, 0xFFFFFFFF]]


@pytest.mark.parametrize("plane", list(Plane))
def test_preview_and_stroke_stand_in_for_the_mask(crooked, plane):
    view = plane_view(crooked.geometry, plane)
    rng = np.random.default_rng(4)
    mask, preview = rng.random((2, *crooked.geometry.shape)) < 0.5
    known = rng.random(crooked.geometry.shape[0]) < 0.5
    region = (slice(3, 6), slice(5, 20), slice(7, 30))
    patch = MaskPatch(region, rng.random((3, 15, 23)) < 0.5)
    expected = np.where(known[:, None, None], preview, mask)
    expected[region] = patch.values
    for index in range(0, view.slice_count, 4):
        picture, streamed = display_mask(view, index, mask, preview=preview, preview_slices=known, stroke=patch)
        np.testing.assert_array_equal(picture, view.extract(expected, index))
        assert streamed == (bool(known[index]) if view.slice_axis == 2 else True)
    assert display_mask(view, 0, None) == (None, False)


def test_a_streamed_slice_shows_at_once_and_a_later_answer_replaces_it(viewers, straight):
    shown = viewers(straight)
    shown.state.set_cursor((1, 1, 9))
    inside, outside = shown.at(Plane.AXIAL, (20, 16, 9)), shown.at(Plane.AXIAL, (28, 16, 9))
    plain = shown.picture(Plane.AXIAL)
    shown.state.begin_preview()
    assert shown.picture(Plane.AXIAL) == plain
    shown.state.add_preview(SliceResult(9, 12, 15, np.ones((8, 16), dtype=np.float32), 1, 2))
    first = shown.picture(Plane.AXIAL)
    assert first.pixelColor(inside) != plain.pixelColor(inside)
    assert first.pixelColor(outside) != plain.pixelColor(outside)
    shown.state.add_preview(SliceResult(9, 12, 15, np.ones((8, 9), dtype=np.float32), 2, 2))
    second = shown.picture(Plane.AXIAL)
    assert second.pixelColor(inside) == first.pixelColor(inside)
    assert second.pixelColor(outside) == plain.pixelColor(outside)

    array = np.zeros(straight.geometry.shape, dtype=np.bool_)
    array[9, 12:20, 15:24] = True
    shown.state.set_mask(LabelMap(array, straight.geometry))
    assert shown.state.preview is None
    final = shown.picture(Plane.AXIAL)
    assert final.pixelColor(inside) != second.pixelColor(inside)


def test_a_dropped_preview_leaves_the_mask_as_it_was(viewers, straight):
    array = np.zeros(straight.geometry.shape, dtype=np.bool_)
    array[9, 12:20, 15:24] = True
    shown = viewers(straight)
    shown.state.set_mask(LabelMap(array, straight.geometry))
    shown.state.set_cursor((1, 1, 9))
    before = shown.picture(Plane.CORONAL), shown.picture(Plane.AXIAL)
    shown.state.begin_preview()
    shown.state.add_preview(SliceResult(9, 0, 0, np.zeros((36, 40), dtype=np.float32), 1, 2))
    assert shown.picture(Plane.AXIAL) != before[1]
    shown.state.end_preview()
    assert (shown.picture(Plane.CORONAL), shown.picture(Plane.AXIAL)) == before


def test_the_diameters_show_on_their_slice_and_on_no_other(viewers, crooked):
    k, j, i = np.indices(crooked.geometry.shape)
    array = ((i - 20) / 12) ** 2 + ((j - 18) / 6) ** 2 + ((k - 9) / 5) ** 2 < 1
    mask = LabelMap(array, crooked.geometry)
    shown = viewers(crooked)
    tada = measure_tada(mask)
    for plane in Plane:
        view = shown.state.view(plane)
        for index in range(2, view.slice_count - 2, 3):
            shown.state.set_tada(None)
            shown.state.set_slice_index(plane, index)
            without = shown.picture(plane)
            shown.state.set_tada(tada)
            changed = shown.picture(plane) != without
            assert changed == (view.slice_axis == 2 and index == tada.slice_index)
    plane = tada.plane
    shown.state.set_slice_index(plane, tada.slice_index)
    shown.state.set_tada(None)
    without = shown.picture(plane)
    shown.state.set_tada(tada)
    with_lines = shown.picture(plane)
    for segment in (tada.a_segment, tada.b_segment):
        ends = crooked.geometry.lps_to_index(np.array(segment))
        for end in ends:
            place = shown.at(plane, end)
            around = [(place.x() + dx, place.y() + dy) for dx in (-2, -1, 0, 1) for dy in (-2, -1, 0, 1)]
            assert any(with_lines.pixel(x, y) != without.pixel(x, y) for x, y in around)


def test_the_overlay_switch_hides_mask_and_diameters(viewers, straight):
    array = np.zeros(straight.geometry.shape, dtype=np.bool_)
    array[9, 12:20, 15:24] = True
    mask = LabelMap(array, straight.geometry)
    shown = viewers(straight)
    shown.state.set_cursor((1, 1, 9))
    plain = shown.picture(Plane.AXIAL)
    shown.state.set_mask(mask)
    shown.state.set_tada(measure_tada(mask))
    assert shown.picture(Plane.AXIAL) != plain
    shown.state.set_overlay(OverlayStyle(visible=False))
    assert shown.picture(Plane.AXIAL) == plain


@pytest.mark.parametrize("zoom", [0.3, 1.0, 2.7, 9.0, 60.0])
def test_the_scale_bar_is_round_and_fits(zoom):
    mm = scale_length_mm(zoom, 400)
    assert mm in (0.5, 1, 2, 5, 10, 20, 50, 100, 200)
    assert mm * zoom <= 100


def test_the_scale_bar_is_as_long_as_it_says(viewers):
    geometry = Geometry((60, 60, 5), (1.0, 1.0, 1.0))
    array = np.zeros(geometry.shape, dtype=np.int16)
    array[:, :2, :2] = array[:, -2:, -2:] = 1
    shown = viewers(Volume(array, geometry), Window(5000, 100))
    shown.state.set_cursor((0, 0, 2))
    image = shown.picture(Plane.AXIAL)
    zoom = shown.views[Plane.AXIAL].transform.zoom
    row = 480 - 11
    bright = [x for x in range(240, 480) if image.pixelColor(x, row).lightness() > 180]
    assert bright[-1] < 479
    assert bright[-1] - bright[0] == pytest.approx(scale_length_mm(zoom, 480) * zoom, abs=2.5)


def test_texts_name_the_side_of_the_patient():
    assert anatomical(0, -12.34) == "R 12.3"
    assert anatomical(0, 12.34) == "L 12.3"
    assert anatomical(1, -3.0) == "A 3.0"
    assert anatomical(2, -0.04) == "S 0.0"
    assert anatomical(2, -7.25) == "I 7.2"


@pytest.mark.parametrize("plane", list(Plane))
def test_the_slice_position_is_that_of_the_patient(crooked, plane):
    geometry = crooked.geometry
    view = plane_view(geometry, plane)
    cursor = (12.0, 9.0, 4.0)
    at = list(cursor)
    at[view.slice_axis] = 8
    axis = {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[plane]
    expected = f"{anatomical(axis, geometry.index_to_lps(at)[axis])} mm"
    assert slice_position(geometry, view, cursor, 8) == expected


def test_window_values_have_the_unit_of_the_scan():
    assert window_text(Window(40, 80), hounsfield=True) == "W 80  L 40 HU"
    assert window_text(Window(-600, 1500), hounsfield=True) == "W 1500  L −600 HU"
    assert window_text(Window(0.25, 3.5), hounsfield=False) == "W 3.50  L 0.25"


def test_colours_of_mask_and_box_differ_for_the_colour_blind():

    # Orange and sky blue differ along blue-yellow, which red-green blindness leaves intact.
    assert abs(QColor(MASK_COLOUR).blue() - QColor(BOX_COLOUR).blue()) > 150


def test_the_brush_ring_has_the_radius_in_millimetres(viewers):
    geometry = Geometry((60, 60, 5), (1.0, 1.0, 1.0))
    array = np.zeros(geometry.shape, dtype=np.int16)
    array[:, 0, 0] = array[:, -1, -1] = 1
    shown = viewers(Volume(array, geometry), Window(5000, 100))
    shown.state.set_cursor((0, 0, 2))
    shown.state.set_tool(Tool.BRUSH)
    shown.state.set_brush_radius(10)
    view = shown.views[Plane.AXIAL]
    QTest.mouseMove(view, QPoint(240, 240))
    shown.hover(Plane.AXIAL, QPoint(240, 240))
    image = shown.picture(Plane.AXIAL)
    lit = [x for x in range(130, 350) if image.pixelColor(x, 240).lightness() > 60]
    radius = 10 * view.transform.zoom
    assert min(lit) == pytest.approx(240 - radius, abs=2)
    assert max(lit) == pytest.approx(240 + radius, abs=2)
    assert view.cursor().shape() == Qt.CursorShape.BlankCursor
