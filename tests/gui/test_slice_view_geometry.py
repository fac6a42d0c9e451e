"""Where voxels lie on the screen: true to the patient on every grid, letters right, pixel edges exact."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor

from hemaview.gui.view_state import OverlayStyle, Tool
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import Geometry, LabelMap, Modality, Plane, Volume, plane_view
from hemaview.imaging.windowing import Window

FAR_CORNER = (0.0, 0.0, 0.0)


def screen(shown, plane, ijk) -> np.ndarray:
    x, y, _ = shown.state.view(plane).index_to_pixel(np.asarray(ijk, dtype=float))
    return np.stack(shown.views[plane].transform.to_screen(x, y), axis=-1)


@pytest.mark.parametrize("plane", list(Plane))
def test_distances_on_the_screen_are_those_in_the_patient(viewers, crooked, plane):
    shown = viewers(crooked)
    points = np.random.default_rng(1).uniform(0, np.array(crooked.geometry.size) - 1, (12, 3))
    points[:, shown.state.view(plane).slice_axis] = 7
    lps = crooked.geometry.index_to_lps(points)
    on_screen = screen(shown, plane, points)
    zoom = shown.views[plane].transform.zoom
    for n in range(1, len(points)):
        expected = np.linalg.norm(lps[n] - lps[0]) * zoom
        assert np.linalg.norm(on_screen[n] - on_screen[0]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("radiological", [True, False])
@pytest.mark.parametrize("plane", list(Plane))
def test_letters_name_the_side_of_the_patient_they_stand_at(viewers, crooked, plane, radiological):
    shown = viewers(crooked)
    shown.state.set_radiological(radiological)
    view = shown.state.view(plane)
    geometry = crooked.geometry
    centre = (np.array(geometry.size) - 1) / 2
    sides = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
    for letter, axis, sign, screen_axis in (
        (view.right, view.x_axis, 1, 0),
        (view.left, view.x_axis, -1, 0),
        (view.bottom, view.y_axis, 1, 1),
        (view.top, view.y_axis, -1, 1),
    ):
        away = np.zeros(3)
        away[axis] = 5
        if (screen(shown, plane, centre + away) - screen(shown, plane, centre))[screen_axis] * sign < 0:
            away = -away
        step = geometry.index_to_lps(centre + away) - geometry.index_to_lps(centre)
        lps_axis, lps_sign = sides[letter]
        assert step[lps_axis] * lps_sign > 0
    if plane is not Plane.SAGITTAL:
        assert view.left == ("R" if radiological else "L")


def test_the_right_of_the_patient_is_on_the_left_of_the_picture(viewers):
    geometry = Geometry((40, 40, 12), (1, 1, 3), (-20, -20, 0))
    array = np.zeros(geometry.shape, dtype=np.int16)
    array[:, :, 3:8] = 1000  # small x in LPS: the patient's right
    array[:, :4, :] = 500  # small y: anterior
    shown = viewers(Volume(array, geometry, Modality.MR), Window(500, 1000))
    shown.state.set_cursor((39, 39, 6))
    image = shown.picture(Plane.AXIAL)
    greys = {
        name: image.pixelColor(shown.at(Plane.AXIAL, place)).red()
        for name, place in {"right": (5, 20, 6), "left": (34, 20, 6), "front": (30, 1, 6)}.items()
    }
    assert greys["right"] > 240
    assert greys["left"] < 15
    assert 100 < greys["front"] < 160
    assert shown.at(Plane.AXIAL, (5, 20, 6)).x() < 240 < shown.at(Plane.AXIAL, (34, 20, 6)).x()
    assert shown.at(Plane.AXIAL, (20, 1, 6)).y() < 240


@pytest.mark.parametrize("plane", list(Plane))
def test_every_voxel_is_painted_where_the_transform_says(viewers, crooked, plane):
    geometry = crooked.geometry
    array = np.random.default_rng(3).integers(0, 255, geometry.shape, dtype=np.int16)
    shown = viewers(Volume(array, geometry, Modality.MR), Window(127.5, 255))
    shown.state.set_smooth(False)
    view = shown.state.view(plane)
    index = view.slice_count // 2
    cursor = np.zeros(3)
    cursor[view.slice_axis] = index
    shown.state.set_cursor(cursor)
    image = shown.picture(plane)
    probed = 0
    for x in range(4, view.columns - 4, 5):
        for y in range(4, view.rows - 4, 3):
            i, j, k = view.pixel_to_index(x, y, index).astype(int)
            place = shown.at(plane, (i, j, k))
            # Letters and texts stand along the edges.
            if 90 < place.x() < 390 and 60 < place.y() < 380:
                assert abs(image.pixelColor(place).red() - int(array[k, j, i])) <= 1
                probed += 1
    assert probed > 10


def test_smooth_scaling_keeps_a_bright_voxel_centred(viewers):
    geometry = Geometry((21, 21, 3), (1, 1, 1))
    array = np.zeros(geometry.shape, dtype=np.int16)
    array[1, 10, 10] = 1000
    array[:, 0, 0] = array[:, -1, -1] = 1000
    shown = viewers(Volume(array, geometry, Modality.MR), Window(500, 1000))
    shown.state.set_cursor((0, 0, 1))
    image = shown.picture(Plane.AXIAL)
    around = [(x, y) for x in range(150, 330) for y in range(150, 330)]
    grey = np.array([image.pixelColor(x, y).red() for x, y in around], dtype=float)
    centre = (np.array(around) + 0.5).T @ grey / grey.sum()
    np.testing.assert_allclose(centre, screen(shown, Plane.AXIAL, (10, 10, 1)), atol=0.5)


@pytest.mark.parametrize("name", ["fit", "zoomed"])
def test_the_mask_outline_lies_on_voxel_edges(viewers, straight, name):
    mask = np.zeros(straight.geometry.shape, dtype=np.bool_)
    mask[9, 12:20, 15:27] = True
    shown = viewers(straight)
    shown.state.set_mask(LabelMap(mask, straight.geometry))
    shown.state.set_overlay(OverlayStyle(opacity=1.0))
    shown.state.set_cursor((1, 1, 9))
    if name == "zoomed":
        shown.views[Plane.AXIAL].zoom_by(1.37, 231, 252)
    image = shown.picture(Plane.AXIAL)
    inside = shown.at(Plane.AXIAL, (20, 16, 9))
    colour = image.pixelColor(inside)
    assert colour.red() > 200
    assert colour.blue() < 80
    for edge, across in (
        ((14.5, 16, 9), (1, 0)),
        ((26.5, 16, 9), (-1, 0)),
        ((20, 11.5, 9), (0, 1)),
        ((20, 19.5, 9), (0, -1)),
    ):
        x, y = np.round(screen(shown, Plane.AXIAL, edge)).astype(int)
        # Pixel n covers n to n + 1, so the outline of two pixels covers n - 1 and n around the edge at n.
        line = [image.pixelColor(int(x + across[0] * n), int(y + across[1] * n)) for n in range(-5, 5)]
        orange = [c.red() > 200 and c.blue() < 80 for c in line]
        first = 5 if sum(across) < 0 else 4
        assert orange.index(True) == first, (edge, orange)
        assert orange[first + 1]
        # The third pixel is the outline's dark shade, behind it the opaque fill.
        assert all(orange[first + 3 :])


def test_the_outline_without_fill_leaves_the_scan_to_be_seen(viewers, straight):
    mask = np.zeros(straight.geometry.shape, dtype=np.bool_)
    mask[9, 12:20, 15:27] = True
    shown = viewers(straight)
    shown.state.set_cursor((1, 1, 9))
    place = shown.at(Plane.AXIAL, (20, 16, 9))
    plain = shown.picture(Plane.AXIAL).pixelColor(place)
    shown.state.set_mask(LabelMap(mask, straight.geometry))
    shown.state.set_overlay(OverlayStyle(fill=False))
    assert shown.picture(Plane.AXIAL).pixelColor(place) == plain
    shown.state.set_overlay(OverlayStyle(outline=False))
    assert shown.picture(Plane.AXIAL).pixelColor(place) != plain
    shown.state.set_overlay(OverlayStyle(visible=False))
    assert shown.picture(Plane.AXIAL).pixelColor(place) == plain


@pytest.mark.parametrize("plane", list(Plane))
def test_picture_and_screen_positions_are_inverse(crooked, plane):
    transform = ViewTransform.fit(plane_view(crooked.geometry, plane), 480, 400)
    x, y = np.random.default_rng(2).uniform(-5, 45, (2, 30))
    back = transform.to_picture(*transform.to_screen(x, y))
    np.testing.assert_allclose(back, (x, y), atol=1e-9)


@pytest.mark.parametrize("plane", list(Plane))
def test_fit_shows_the_whole_picture_centred(crooked, plane):
    view = plane_view(crooked.geometry, plane)
    transform = ViewTransform.fit(view, 480, 400)
    right, bottom = view.columns - 0.5, view.rows - 0.5
    x, y = transform.to_screen([-0.5, right, right, -0.5], [-0.5, -0.5, bottom, bottom])
    assert x.min() >= 0
    assert y.min() >= 0
    assert x.max() <= 480
    assert y.max() <= 400
    assert (x.min() + x.max()) / 2 == pytest.approx(240)
    assert (y.min() + y.max()) / 2 == pytest.approx(200)


def test_fit_leaves_out_the_air_round_the_head(viewers):
    geometry = Geometry((128, 128, 40), (1, 1, 4))
    k, j, i = np.ogrid[:40, :128, :128]
    head = ((k - 20) * 4) ** 2 + (j - 64) ** 2 + (i - 64) ** 2 < 30**2
    array = np.where(head, 900, 4).astype(np.int16)
    shown = viewers(Volume(array, geometry, Modality.MR))
    across = screen(shown, Plane.AXIAL, (94, 64, 20)) - screen(shown, Plane.AXIAL, (34, 64, 20))
    assert across[0] > 0.8 * 480
    np.testing.assert_allclose(screen(shown, Plane.AXIAL, (64, 64, 20)), (240, 240), atol=12)
    assert tuple(shown.state.cursor) == pytest.approx((64, 64, 20), abs=2)


def test_a_resized_viewer_stays_fitted_until_it_was_zoomed(viewers, straight):
    shown = viewers(straight)
    view = shown.views[Plane.AXIAL]
    view.resize(300, 300)
    fitted = ViewTransform.fit(shown.state.view(Plane.AXIAL), 300, 300, shown.state.content)
    assert view.transform.zoom == pytest.approx(fitted.zoom)
    shown.wheel(Plane.AXIAL, 1, QPoint(150, 150), Qt.KeyboardModifier.ControlModifier)
    zoom = view.transform.zoom
    middle = view.transform.to_picture(150, 150)
    view.resize(400, 360)
    assert view.transform.zoom == pytest.approx(zoom)
    np.testing.assert_allclose(view.transform.to_picture(200, 180), middle, atol=1e-6)


def test_an_empty_viewer_is_dark_and_takes_no_gesture(qtbot, viewers, straight):
    shown = viewers(straight)
    shown.state.set_volume(None)
    shown.state.set_tool(Tool.BOX)
    shown.drag(Plane.AXIAL, QPoint(100, 100), QPoint(200, 200))
    shown.wheel(Plane.AXIAL, 1)
    assert shown.drawn == []
    assert shown.views[Plane.AXIAL].transform is None
    assert shown.picture(Plane.AXIAL).pixelColor(240, 240).lightness() < 30
    assert QColor(shown.picture(Plane.AXIAL).pixelColor(240, 240)).isValid()


def test_fit_leaves_out_the_head_rest(viewers):
    geometry = Geometry((128, 128, 40), (1, 1, 4))
    k, j, i = np.ogrid[:40, :128, :128]
    array = np.full(geometry.shape, -1000, dtype=np.int16)
    array[((k - 20) * 4) ** 2 + (j - 60) ** 2 + (i - 64) ** 2 < 35**2] = 40
    array[:, 110:118, :] = 200
    shown = viewers(Volume(array, geometry, Modality.CT))
    lower, upper = shown.state.content
    np.testing.assert_allclose(lower[:2], (29, 25), atol=6)
    np.testing.assert_allclose(upper[:2], (99, 95), atol=6)
