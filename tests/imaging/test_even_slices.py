"""Even steps over uneven slices: what a picture shows and where, and that no slice is lost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaview.imaging import Geometry, Plane, plane_view
from hemaview.imaging.even_slices import EvenSlices

ORIENTATIONS = {
    "LPS": np.eye(3),
    "feet first": np.diag([1.0, -1.0, -1.0]),
    "coronal": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "tilted": np.column_stack([[1, 0, 0], [0, 1, 0], [0, np.sin(0.3), np.cos(0.3)]]),
}


@st.composite
def uneven_grids(draw):
    """Grids of 3 to 14 slices, 0.5 to 9 mm apart."""
    gaps = draw(st.lists(st.floats(0.5, 9.0), min_size=2, max_size=13).filter(lambda g: max(g) - min(g) > 0.01))
    places = np.concatenate([[0.0], np.cumsum(gaps)])
    size = draw(st.integers(2, 7)), draw(st.integers(2, 7)), len(places)
    spacing = draw(st.floats(0.3, 3)), draw(st.floats(0.3, 3)), places[-1] / len(gaps)
    axes = ORIENTATIONS[draw(st.sampled_from(list(ORIENTATIONS)))]
    return Geometry(size, spacing, (5.0, -20.0, 33.0), tuple(axes.ravel()), tuple(places))


def test_two_slices_close_together_keep_their_places():
    grid = Geometry((4, 4, 4), (0.5, 0.5, 3.5), slice_positions=(0.0, 5.0, 5.5, 10.5))
    even = EvenSlices.about(grid, 3.0)
    assert np.array_equal(even.source[np.floor(even.centres + 0.5).astype(int)], np.arange(4))


def test_commensurable_gaps_are_met_exactly():
    places = (0.0, 2.5, 5.0, 10.0, 15.0, 25.0)
    even = EvenSlices.about(Geometry((4, 4, 6), (0.5, 0.5, 5.0), slice_positions=places), 0.5)
    steps = np.bincount(even.source) * even.step_mm
    assert even.step_mm <= 0.5
    assert steps == pytest.approx([2.5, 2.5, 3.75, 5.0, 7.5, 10.0])


@given(uneven_grids(), st.floats(0.2, 5))
def test_every_slice_keeps_its_place_and_nearly_its_extent(grid, step):
    even = EvenSlices.about(grid, step)
    fine = even.geometry
    assert not fine.is_uneven
    assert fine.spacing[2] <= step + 1e-9
    assert np.all(np.diff(even.source) >= 0)
    extents = np.bincount(even.source, minlength=grid.size[2]) * even.step_mm
    assert np.abs(extents - grid.slice_steps_mm).max() <= even.step_mm + 1e-6
    assert extents.sum() == pytest.approx(grid.slice_steps_mm.sum())
    assert np.array_equal(even.source[np.floor(even.centres + 0.5).astype(int)], np.arange(grid.size[2]))
    # A voxel lies at the same point of the patient on both grids.
    own = np.array([(1.0, 1.0, k) for k in range(grid.size[2])])
    there = np.column_stack([own[:, :2], even.centres])
    assert np.allclose(fine.index_to_lps(there), grid.index_to_lps(own), atol=1e-6)


@given(uneven_grids(), st.sampled_from(list(Plane)), st.booleans())
def test_a_picture_shows_the_voxel_that_its_pixel_names(grid, plane, radiological):
    array = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    view = plane_view(grid, plane, radiological=radiological)
    index = view.slice_count - 1
    picture = view.extract(array, index)
    assert picture.shape == (view.rows, view.columns)
    y, x = np.mgrid[0 : view.rows, 0 : view.columns]
    i, j, k = np.moveaxis(np.floor(view.pixel_to_index(x, y, index) + 0.5).astype(int), -1, 0)
    assert np.array_equal(picture, array[k, j, i])
    voxels = view.voxels(array, index)
    rows, columns = np.floor(view.voxel_rows + 0.5).astype(int), np.floor(view.voxel_columns + 0.5).astype(int)
    assert np.array_equal(picture[np.ix_(rows, columns)], voxels)


@given(uneven_grids(), st.sampled_from(list(Plane)), st.floats(-9, 30), st.floats(-9, 30))
def test_pixel_and_index_are_inverse_and_true_to_scale(grid, plane, x, y):
    view = plane_view(grid, plane)
    ijk = view.pixel_to_index(x, y, 1)
    assert np.allclose(view.index_to_pixel(ijk), (x, y, 1))
    other = view.pixel_to_index(x + 3.3, y - 2.2, 1)
    on_screen = np.array(view.x_vector_mm) * 3.3 - np.array(view.y_vector_mm) * 2.2
    apart = grid.index_to_lps(other) - grid.index_to_lps(ijk)
    assert np.linalg.norm(on_screen) == pytest.approx(np.linalg.norm(apart))


def test_smooth_pictures_pass_through_the_slices():
    grid = Geometry((3, 3, 4), (1.0, 1.0, 4.0), slice_positions=(0.0, 2.0, 4.0, 12.0))
    array = np.broadcast_to(np.array([0, 10, 20, 100], dtype=np.int16)[:, None, None], grid.shape)
    view = plane_view(grid, Plane.CORONAL)
    picture = view.extract(array, 1, smooth=True)
    assert picture.dtype == np.float32
    heights = [-view.pixel_to_index(0, y, 1)[2] for y in range(view.rows)]
    assert heights == sorted(heights)
    for below, above in pairwise(picture[:, 0]):
        assert below >= above
    half_way = view.index_to_pixel((1, 1, 2.5))[1]
    assert np.interp(half_way, np.arange(view.rows), picture[:, 1]) == pytest.approx(60, abs=1)
