"""Sampling from one grid to another, and surfaces as voxels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaview.imaging import Geometry
from hemaview.imaging.preprocessing.brain_surface import icosphere
from hemaview.imaging.preprocessing.foreground import foreground
from hemaview.imaging.preprocessing.grids import Joined, even_grid, sample
from hemaview.imaging.preprocessing.surface_fill import inside_surface


@st.composite
def grids(draw) -> Geometry:
    """Sheared, left-handed and uneven ones among them."""
    number = st.floats(0.5, 4)
    turn = np.linalg.qr(np.array(draw(st.lists(st.floats(-1, 1), min_size=9, max_size=9))).reshape(3, 3) + np.eye(3))[0]
    shear = np.eye(3)
    shear[1, 2] = draw(st.floats(-0.4, 0.4))
    axes = turn @ shear
    axes /= np.linalg.norm(axes, axis=0)
    size = (draw(st.integers(2, 9)), draw(st.integers(2, 9)), draw(st.integers(2, 9)))
    steps = [draw(number) for _ in range(size[2] - 1)]
    positions = (0.0, *np.cumsum(steps).tolist())
    mean = positions[-1] / (size[2] - 1)
    return Geometry(size, (draw(number), draw(number), mean), (5.0, -7.0, 3.0), tuple(axes.ravel()), positions)


@given(grids(), st.floats(0.5, 3))
def test_an_even_grid_covers_the_scan(geometry, step):
    even = even_grid(geometry, (step, step, step))
    assert not even.is_uneven and not even.is_sheared
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in geometry.size], indexing="ij")).reshape(3, -1).T
    found = even.lps_to_index(geometry.index_to_lps(corners))
    assert np.all(found > -0.5 - 1e-6) and np.all(found < np.asarray(even.size) - 0.5 + 1e-6)


@given(grids())
def test_a_place_keeps_its_value_on_any_grid(geometry):
    """A field that is linear in mm is met exactly by linear interpolation, however crooked the grids are."""
    slope = np.array([0.3, -0.7, 1.1])
    k, j, i = np.indices(geometry.shape)
    values = geometry.index_to_lps(np.stack([i, j, k], axis=-1)) @ slope
    middle = geometry.index_to_lps((np.array(geometry.size) - 1) / 2)
    target = Geometry((2, 2, 2), (0.1, 0.1, 0.1), tuple(middle))
    k, j, i = np.indices(target.shape)
    wanted = target.index_to_lps(np.stack([i, j, k], axis=-1)) @ slope
    assert np.allclose(sample(values, geometry, target), wanted, atol=1e-3)


def test_outside_the_scan_lies_the_fill():
    geometry = Geometry((3, 3, 3), (1.0, 1.0, 1.0))
    far = Geometry((2, 1, 1), (10.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    assert sample(np.full((3, 3, 3), 5.0), geometry, far, fill=-1.0).tolist() == [[[5.0, -1.0]]]


@given(grids(), st.floats(0.5, 9))
def test_joined_voxels_lie_where_their_parts_lay(geometry, step):
    k, j, i = np.indices(geometry.shape)
    values = geometry.index_to_lps(np.stack([i, j, k], axis=-1))[..., 1]
    joined = Joined.to(values, geometry, step)
    k, j, i = np.indices(joined.geometry.shape)
    assert np.allclose(joined.array, joined.geometry.index_to_lps(np.stack([i, j, k], axis=-1))[..., 1], atol=1e-3)
    assert joined.spread(joined.array).shape == geometry.shape


@pytest.mark.parametrize("slices", [1, 40])
def test_a_sphere_as_voxels_is_the_sphere(slices):
    vertices, faces = icosphere(4)
    centre, radius = np.array([20.3, 18.7, 19.6]), 14.0
    found = inside_surface(centre + radius * vertices, faces, (slices, 40, 42))
    k, j, i = np.indices((slices, 40, 42))
    distance = np.sqrt((i - centre[0]) ** 2 + (j - centre[1]) ** 2 + (k - centre[2]) ** 2)
    assert np.all(found[distance < 0.985 * radius]) and not found[distance > radius].any()


def test_a_surface_that_leaves_the_grid_is_cut_at_its_border():
    vertices, faces = icosphere(3)
    found = inside_surface(np.array([2.0, 2.0, 2.0]) + 8 * vertices, faces, (8, 8, 8))
    assert found[0, 0, 0] and found[2].all() and not found[7, 7, 7]


def test_the_head_is_told_from_the_air(head, overlap):
    for kind in ("T1", "CT"):
        scan = head(kind, noise=8)
        found = foreground(scan.volume)
        assert np.mean(found[scan.brain]) > 0.999
        assert not found[:, :2, :10].any()
