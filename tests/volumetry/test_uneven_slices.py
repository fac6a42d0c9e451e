"""The readings on slices that are not equally far apart, straight and under a tilted gantry, against sums by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaview.imaging import Geometry, LabelMap
from hemaview.volumetry import abc_over_2, direct_volume, irregularity_index, measure_tada

TILT = math.radians(20)
STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
TILTED = (1.0, 0.0, 0.0, 0.0, 1.0, math.sin(TILT), 0.0, 0.0, math.cos(TILT))
POSTERIOR_FOSSA = (0.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 25.0, 32.0, 39.0)
"""Thin slices at the base of the skull, thicker ones above, as many CT protocols have them."""


def grid(places, size=(41, 41), pixel=(0.5, 0.5), direction=STRAIGHT):
    step = places[-1] / (len(places) - 1)
    return Geometry((*size, len(places)), (*pixel, step), (-10.0, -10.0, 7.0), direction, tuple(places))


def pillar(geometry, slices, side=(12, 20)):
    """A block of ``side`` columns and rows on some slices."""
    mask = np.zeros(geometry.shape, dtype=bool)
    mask[slices, 5 : 5 + side[1], 8 : 8 + side[0]] = True
    return LabelMap(mask, geometry)


@pytest.mark.parametrize("direction", [STRAIGHT, TILTED], ids=["straight", "tilted"])
def test_every_slice_counts_with_its_own_interval(direction):
    geometry = grid(POSTERIOR_FOSSA, direction=direction)
    upright = direction[8]
    mask = pillar(geometry, slice(3, 8))
    extent = (2.5 + 3.75 + 5 + 5 + 6) * upright
    reading, tada = direct_volume(mask), measure_tada(mask)
    assert reading.value_ml == pytest.approx(6 * 10 * extent / 1000)
    assert reading.inputs["least_slice_interval_mm"] == pytest.approx(2.5 * upright)
    assert reading.inputs["largest_slice_interval_mm"] == pytest.approx(7 * upright)
    assert any("unevenly spaced" in line for line in reading.notes)
    assert tada.c_mm == pytest.approx(extent)
    assert (tada.slices, tada.weighted_slices) == (5, 5.0)
    assert tada.component_ml == pytest.approx(reading.value_ml)
    assert tada.volume_ml == pytest.approx(tada.a_mm * tada.b_mm * extent / 2000)
    assert tada.variants["two_thirds_sh"] == pytest.approx(2 / 3 * 60 * extent / 1000)


def test_kothari_weights_go_with_the_intervals():
    geometry = grid(POSTERIOR_FOSSA)
    mask = np.zeros(geometry.shape, dtype=bool)
    mask[4, :10, :10] = True  # 3.75 mm, all of the largest area
    mask[5, :10, :5] = True  # 5 mm, half of it
    mask[6, :10, :2] = True  # 5 mm, a fifth of it
    tada = measure_tada(LabelMap(mask, geometry))
    assert tada.weighted_slices == 1.5
    assert tada.c_mm == pytest.approx(13.75)
    assert tada.weighted_c_mm == pytest.approx(3.75 + 2.5)


def test_the_outermost_slices_use_their_one_gap():
    geometry = grid(POSTERIOR_FOSSA)
    assert direct_volume(pillar(geometry, slice(0, 1))).value_ml == pytest.approx(60 * 2.5 / 1000)
    assert direct_volume(pillar(geometry, slice(9, 10))).value_ml == pytest.approx(60 * 7 / 1000)


def test_equal_areas_go_to_the_slice_nearest_the_centroid_in_mm():
    geometry = grid((0.0, 1.0, 2.0, 12.0, 22.0), size=(9, 9))
    mask = np.zeros(geometry.shape, dtype=bool)
    mask[:, 2:5, 2:5] = True
    # The slices' mean place is 7.4 mm: slice 3 is nearer than slice 2, which is the middle by number.
    assert measure_tada(LabelMap(mask, geometry)).slice_index == 3


def test_a_missing_slice_is_filled_by_its_neighbours():
    every = np.arange(-40.0, 41.0, 5.0)
    whole = sphere(every, 20.0)
    gap = sphere(np.delete(every, 8), 20.0)
    assert not whole.geometry.is_uneven
    assert gap.geometry.is_uneven
    lost = np.count_nonzero(whole.array[8]) * 0.25 * 5 / 1000
    by_count = gap.voxel_count * 0.25 * 5 / 1000
    assert by_count == pytest.approx(direct_volume(whole).value_ml - lost)
    assert direct_volume(gap).value_ml == pytest.approx(direct_volume(whole).value_ml, rel=0.02)
    assert measure_tada(gap).c_mm == measure_tada(whole).c_mm
    assert "missing between slices 8 and 9" in direct_volume(gap).warnings[0]
    assert direct_volume(whole).warnings == ()
    away = pillar(gap.geometry, slice(1, 5))
    assert direct_volume(away).warnings == ()


def test_another_thickness_is_no_missing_slice():
    assert direct_volume(pillar(grid(POSTERIOR_FOSSA), slice(2, 9))).warnings == ()


def sphere(places, radius, direction=STRAIGHT):
    """A ball round the origin sampled on slices at ``places`` along axis k."""
    side = np.arange(-45.0, 45.1, 0.5)
    step = (places[-1] - places[0]) / (len(places) - 1)
    axes = np.asarray(direction).reshape(3, 3)
    origin = axes @ np.array([side[0], side[0], places[0]])
    positions = tuple(places - places[0])
    geometry = Geometry((len(side), len(side), len(places)), (0.5, 0.5, step), tuple(origin), direction, positions)
    z = places[:, None, None] * axes[2, 2]
    y = side[None, :, None] + places[:, None, None] * axes[1, 2]
    return LabelMap(side[None, None] ** 2 + y**2 + z**2 <= radius**2, geometry)


@given(st.integers(0, 10_000), st.sampled_from([STRAIGHT, TILTED]))
def test_a_ball_has_its_volume_and_shape_on_any_slices(seed, direction):
    rng = np.random.default_rng(seed)
    places = np.cumsum(rng.uniform(1.5, 4.0, 60)) - 80
    ball = sphere(places[(places > -42) & (places < 42)], 20.0, direction)
    assert direct_volume(ball).value_ml == pytest.approx(4 / 3 * math.pi * 8, rel=0.02)
    assert irregularity_index(ball) == pytest.approx(100, abs=1.5)
    tada = measure_tada(ball)
    assert tada.a_mm == pytest.approx(40.7, abs=0.5)
    assert tada.c_mm == pytest.approx(40, abs=4.5)


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_readings_do_not_depend_on_the_storage_order(seed, turn_rows, turn_slices):
    rng = np.random.default_rng(seed)
    places = np.concatenate([[0.0], np.cumsum(rng.uniform(1.0, 6.0, 11))])
    geometry = grid(places, pixel=(0.7, 0.9), direction=TILTED)
    array = rng.random(geometry.shape) < 0.02
    array[4:8, 10:30, 12:25] = True
    mask = LabelMap(array, geometry)
    turned = LabelMap(
        array[:: -1 if turn_slices else 1, :: -1 if turn_rows else 1], flipped(geometry, turn_rows, turn_slices)
    )
    landmarks = np.array([(3, 4, 5), (20, 11, 2), (0, 0, 0)], dtype=float)
    moved = landmarks.copy()
    if turn_rows:
        moved[:, 1] = geometry.size[1] - 1 - moved[:, 1]
    if turn_slices:
        moved[:, 2] = geometry.size[2] - 1 - moved[:, 2]
    assert np.allclose(turned.geometry.index_to_lps(moved), geometry.index_to_lps(landmarks))
    assert direct_volume(turned).value_ml == pytest.approx(direct_volume(mask).value_ml)
    assert abc_over_2(turned).value_ml == pytest.approx(abc_over_2(mask).value_ml)
    assert irregularity_index(turned) == pytest.approx(irregularity_index(mask), rel=1e-5)


def flipped(geometry, rows, slices):
    """The same grid counted from the other end of its rows and slices."""
    axes = geometry.axes.copy()
    first = np.array([0, geometry.size[1] - 1 if rows else 0, geometry.size[2] - 1 if slices else 0])
    axes[:, 1] *= -1 if rows else 1
    axes[:, 2] *= -1 if slices else 1
    places = geometry.slice_places_mm
    places = places[-1] - places[::-1] if slices else places
    return Geometry(
        geometry.size, geometry.spacing, tuple(geometry.index_to_lps(first)), tuple(axes.ravel()), tuple(places)
    )
