"""Surfaces of masks whose slices are not equally far apart: closed, in place, and of the mask's volume."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hemaview.imaging import Geometry, LabelMap
from hemaview.surface import check_printability, mesh_from_mask, stl_bytes

PLACES = {
    "thin base": np.concatenate([np.arange(-40, 0, 2.5), np.arange(0, 41, 5.0)]),
    "slice missing": np.delete(np.arange(-40, 41, 5.0), 7),
    "two slices missing": np.delete(np.arange(-40, 41, 3.0), [10, 15]),
    "thin": np.cumsum(np.random.default_rng(3).uniform(0.4, 1.2, 100)) - 40,
    "any": np.cumsum(np.random.default_rng(4).uniform(1.0, 7.0, 21)) - 42,
}
LEAN = 0.35
AXES = {
    "straight": np.eye(3),
    "tilted": np.column_stack([[1, 0, 0], [0, 1, 0], [0, math.sin(LEAN), math.cos(LEAN)]]),
    "tilted back": np.column_stack([[1, 0, 0], [0, 1, 0], [0, -math.sin(LEAN), math.cos(LEAN)]]),
    "left-handed": np.diag([1.0, 1.0, -1.0]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
}


def grid(places, axes, pixel=0.8, half=32.0):
    """A grid whose middle lies at the patient's origin."""
    count = 2 * math.ceil(half / pixel) + 1
    origin = axes @ np.array([-(count - 1) / 2 * pixel, -(count - 1) / 2 * pixel, places[0]])
    step = (places[-1] - places[0]) / (len(places) - 1)
    size = (count, count, len(places))
    return Geometry(size, (pixel, pixel, step), tuple(origin), tuple(axes.ravel()), tuple(places - places[0]))


def ball(geometry, radius, centre=(0.0, 0.0, 0.0)):
    """Voxels whose centre in LPS mm lies in a ball."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    away = geometry.index_to_lps(np.stack([i, j, k], axis=-1)) - np.asarray(centre)
    return LabelMap((away**2).sum(axis=-1) <= radius**2, geometry)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("name", PLACES)
def test_encloses_the_masks_volume_where_the_mask_lies(name, axes):
    geometry = grid(PLACES[name], AXES[axes])
    mask = ball(geometry, 15.0, (3.0, -2.0, 1.5))
    assert geometry.is_uneven
    mesh = mesh_from_mask(mask)
    report = check_printability(mesh, mask)
    assert report.printable
    assert report.mask_ml == pytest.approx(geometry.volume_ml(mask.array))
    assert abs(report.deviation) < 0.01
    assert not any("diagonal" in line for line in report.warnings)
    apart = np.linalg.norm(mesh.points - np.array([3.0, -2.0, 1.5]), axis=1) - 15
    # Where the ball's pole lies between two slices is not known better than half their distance.
    assert np.abs(apart).mean() < 0.12 * geometry.slice_steps_mm.max()
    assert np.abs(apart).max() < 0.6 * geometry.slice_steps_mm.max() + 0.4


@pytest.mark.parametrize("name", PLACES)
def test_the_bare_voxel_surface_has_corners_half_way_between_slices(name):
    geometry = grid(PLACES[name], np.eye(3))
    array = np.zeros(geometry.shape, dtype=bool)
    array[5:8, 20:40, 20:40] = True
    mesh = mesh_from_mask(LabelMap(array, geometry), smooth=False)
    places = PLACES[name]
    halves = [(places[4] + places[5]) / 2, (places[7] + places[8]) / 2]
    # The surface is then scaled by what its cut corners lack.
    assert [mesh.points[:, 2].min(), mesh.points[:, 2].max()] == pytest.approx(halves, abs=0.15)


def test_a_step_between_two_close_slices_does_not_bulge():
    # The patient moved by 3 mm between two stacks that meet: the surface may not swing out beside the step.
    places = np.concatenate([np.arange(-42, 1, 5.0), np.arange(0.3, 41, 5.0)])
    geometry = grid(places, np.eye(3), pixel=0.5)
    near, far = ball(geometry, 15.0).array, ball(geometry, 15.0, (3.0, 0.0, 0.0)).array
    array = np.where((places > 0.1)[:, None, None], far, near)
    mesh = mesh_from_mask(LabelMap(array, geometry))
    assert mesh.size_mm[0] < 33.5


def test_the_largest_interval_is_named():
    mask = ball(grid(PLACES["thin base"], np.eye(3)), 15.0)
    assert any("up to 5.0 mm apart" in line for line in check_printability(mesh_from_mask(mask), mask).warnings)


def test_a_mask_on_every_slice_is_closed_at_the_ends_of_the_scan():
    geometry = grid(PLACES["any"], AXES["tilted"])
    array = np.zeros(geometry.shape, dtype=bool)
    array[:, 30:50, 30:50] = True
    mask = LabelMap(array, geometry)
    report = check_printability(mesh_from_mask(mask), mask)
    assert report.printable
    assert abs(report.deviation) < 0.01


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), share=st.floats(0.1, 0.9))
def test_noise_is_closed(seed, share):
    rng = np.random.default_rng(seed)
    places = np.concatenate([[0.0], np.cumsum(rng.uniform(0.5, 6.0, 9))])
    geometry = Geometry((11, 12, 10), (0.9, 0.9, places[-1] / 9), slice_positions=tuple(places))
    array = rng.random(geometry.shape) < share
    array[4, 5, 6] = True
    for smooth in (True, False):
        mesh = mesh_from_mask(LabelMap(array, geometry), smooth=smooth)
        assert len(stl_bytes(mesh)) == 84 + 50 * len(mesh.triangles)
        assert mesh.volume_ml == pytest.approx(geometry.volume_ml(array), rel=0.01)
