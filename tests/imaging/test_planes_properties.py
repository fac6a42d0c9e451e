from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaview.imaging import Geometry, Plane, acquisition_plane, plane_view

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _oriented(codes: str, size=(4, 5, 6), spacing=(1.0, 2.0, 3.0)) -> Geometry:
    """A grid whose axes run towards the given letters, for example RAS."""
    axes = np.zeros((3, 3))
    for axis, letter in enumerate(codes):
        world = next(n for n, pair in enumerate(("RL", "AP", "IS")) if letter in pair)
        axes[world, axis] = 1 if letter in "LPS" else -1
    return Geometry(size, spacing, (10, -20, 30), tuple(axes.ravel()))


ALL_48 = ["".join(pair[s] for pair, s in zip(order, signs, strict=True))
          for order in permutations(("RL", "AP", "IS")) for signs in product((0, 1), repeat=3)]  # fmt: skip


def test_there_are_48_orientations():
    assert len(set(ALL_48)) == 48


@pytest.mark.parametrize("codes", ALL_48)
def test_letters_at_the_edges_are_where_the_pixels_lie(codes):
    geometry = _oriented(codes)
    assert "".join(nib.aff2axcodes(RAS_TO_LPS @ geometry.affine)) == codes
    for plane in Plane:
        for radiological in (True, False):
            view = plane_view(geometry, plane, radiological=radiological)
            middle = [(view.columns - 1) / 2, (view.rows - 1) / 2]
            letters = {}
            for edge, pixel in (
                ("left", (0, middle[1])),
                ("right", (view.columns - 1, middle[1])),
                ("top", (middle[0], 0)),
                ("bottom", (middle[0], view.rows - 1)),
            ):
                centre = geometry.index_to_lps(view.pixel_to_index(*middle, 0))
                offset = geometry.index_to_lps(view.pixel_to_index(*pixel, 0)) - centre
                world = int(np.argmax(np.abs(offset)))
                letters[edge] = (("R", "L"), ("A", "P"), ("I", "S"))[world][int(offset[world] > 0)]
            assert letters == {e: getattr(view, e) for e in letters}
            if plane is not Plane.SAGITTAL:
                assert (view.left, view.right) == (("R", "L") if radiological else ("L", "R"))


@pytest.mark.parametrize("codes", ALL_48)
def test_extract_shows_the_voxel_that_the_pixel_names(codes):
    geometry = _oriented(codes)
    array = np.arange(np.prod(geometry.shape)).reshape(geometry.shape)
    for plane in Plane:
        view = plane_view(geometry, plane)
        index = view.slice_count - 1
        picture = view.extract(array, index)
        assert picture.shape == (view.rows, view.columns)
        assert picture.base is not None
        y, x = np.mgrid[0 : view.rows, 0 : view.columns]
        i, j, k = np.moveaxis(view.pixel_to_index(x, y, index).astype(int), -1, 0)
        assert np.array_equal(picture, array[k, j, i])


@given(st.sampled_from(ALL_48), st.sampled_from(list(Plane)), st.floats(-9, 9), st.floats(-9, 9), st.integers(0, 3))
def test_pixel_and_index_are_inverse(codes, plane, x, y, index):
    view = plane_view(_oriented(codes), plane)
    back = view.index_to_pixel(view.pixel_to_index(x, y, index))
    assert np.allclose(back, (x, y, index))


@given(st.floats(-40, 40), st.floats(-40, 40), st.floats(-40, 40), st.floats(-25, 25))
def test_screen_steps_keep_lengths_and_angles(yaw, pitch, roll, tilt):
    axes = nib.eulerangles.euler2mat(*np.radians((yaw, pitch, roll)))
    axes[:, 2] = axes[:, 2] * np.cos(np.radians(tilt)) + axes[:, 1] * np.sin(np.radians(tilt))
    geometry = Geometry((6, 7, 8), (0.5, 0.7, 5.0), direction=tuple(axes.ravel()))
    for plane in Plane:
        view = plane_view(geometry, plane)
        assert sorted((view.slice_axis, view.x_axis, view.y_axis)) == [0, 1, 2]
        step_x, step_y = np.array(view.x_vector_mm), np.array(view.y_vector_mm)
        assert np.linalg.norm(step_x) == pytest.approx(geometry.spacing[view.x_axis])
        assert np.linalg.norm(step_y) == pytest.approx(geometry.spacing[view.y_axis])
        true = abs(axes[:, view.x_axis] @ axes[:, view.y_axis])
        assert abs(step_x @ step_y) / np.prod([np.linalg.norm(step_x), np.linalg.norm(step_y)]) == pytest.approx(
            true, abs=1e-9
        )
        assert step_x[0] > 0
        assert step_y[1] > 0


def test_acquisition_plane_follows_the_slice_normal():
    assert acquisition_plane(_oriented("LPS")) is Plane.AXIAL
    assert acquisition_plane(_oriented("LSA")) is Plane.CORONAL
    assert acquisition_plane(_oriented("PSL")) is Plane.SAGITTAL
