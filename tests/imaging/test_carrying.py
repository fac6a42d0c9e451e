"""Masks laid on another grid keep their place on tilted, turned and uneven grids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hemaview.imaging import Geometry, LabelMap
from hemaview.imaging.carrying import carried

CENTRE = np.array([5.0, -12.0, 30.0])
RADIUS_MM = 14.0


def _turned(degrees, axis):
    angle = np.radians(degrees)
    c, s = np.cos(angle), np.sin(angle)
    a, b = [n for n in range(3) if n != axis]
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


def _grid(size, spacing, axes, slice_positions=None):
    """A grid whose middle is the ball's centre."""
    if slice_positions is not None:
        spacing = (spacing[0], spacing[1], slice_positions[-1] / (len(slice_positions) - 1))
    at_zero = Geometry(size, spacing, (0, 0, 0), tuple(axes.ravel()), slice_positions)
    middle = at_zero.index_to_lps((np.array(size) - 1) / 2)
    return Geometry(size, spacing, tuple(CENTRE - middle), tuple(axes.ravel()), slice_positions)


def _ball(geometry):
    i, j, k = np.meshgrid(*(np.arange(n) for n in geometry.size), indexing="ij")
    points = geometry.index_to_lps(np.stack([i, j, k], axis=-1))
    return LabelMap((np.linalg.norm(points - CENTRE, axis=-1) < RADIUS_MM).transpose(2, 1, 0), geometry)


def _tilted():
    axes = np.eye(3)
    axes[:, 2] = (0, np.sin(np.radians(18.5)), np.cos(np.radians(18.5)))
    return _grid((60, 60, 24), (0.9, 0.9, 4.0), axes)


UNEVEN = tuple(np.concatenate([[0], np.cumsum([4.0] * 7 + [1.1] + [7.0] * 5)]))
GRIDS = {
    "even": _grid((48, 48, 40), (1, 1, 1), np.eye(3)),
    "tilted": _tilted(),
    "uneven": _grid((60, 60, len(UNEVEN)), (0.8, 0.8, 1), np.eye(3), UNEVEN),
    "sagittal": _grid((50, 50, 36), (1, 1, 1.2), np.eye(3)[:, [1, 2, 0]] * (1, -1, 1)),
    "oblique": _grid((50, 60, 50), (0.7, 0.9, 1.1), _turned(25, 0) @ _turned(-15, 2)),
}


@pytest.mark.parametrize("source", GRIDS)
@pytest.mark.parametrize("target", GRIDS)
def test_a_ball_stays_the_ball(source, target):
    found = carried(_ball(GRIDS[source]), GRIDS[target])
    true = _ball(GRIDS[target])
    overlap = 2 * np.count_nonzero(found.array & true.array) / (found.voxel_count + true.voxel_count)
    assert overlap > (0.999 if source == target else 0.85)
    places = GRIDS[target].index_to_lps(np.argwhere(found.array)[:, ::-1])
    assert np.linalg.norm(places.mean(axis=0) - CENTRE) < 2.0


@settings(max_examples=25, deadline=None)
@given(st.floats(-40, 40), st.integers(0, 2), st.tuples(*[st.floats(0.8, 3.0)] * 3))
def test_carrying_to_a_finer_grid_and_back_loses_nothing(degrees, axis, spacing):
    coarse = _grid((16, 16, 14), spacing, np.eye(3))
    fine = _grid((100, 100, 100), (0.75,) * 3, _turned(degrees, axis))
    mask = _ball(coarse)
    back = carried(carried(mask, fine), coarse)
    wrong = np.count_nonzero(back.array ^ mask.array)
    # Each coarse voxel finds the fine voxel at its centre, which found it, unless that lies on its border.
    assert wrong <= 0.1 * max(mask.voxel_count, 10)


def test_every_voxel_is_the_one_at_its_centre():
    target = GRIDS["oblique"]
    mask = _ball(GRIDS["uneven"])
    found = carried(mask, target)
    rng = np.random.default_rng(0)
    for _ in range(200):
        i, j, k = (int(rng.integers(0, n)) for n in target.size)
        x, y, z = np.floor(mask.geometry.lps_to_index(target.index_to_lps((i, j, k))) + 0.5).astype(int)
        inside = all(0 <= n < size for n, size in zip((x, y, z), mask.geometry.size, strict=True))
        assert found.array[k, j, i] == (inside and mask.array[z, y, x])


def test_empty_and_distant_masks_are_empty():
    assert carried(LabelMap.empty(GRIDS["even"]), GRIDS["tilted"]).voxel_count == 0
    far = Geometry((8, 8, 8), (1, 1, 1), (900, 0, 0))
    assert carried(_ball(GRIDS["even"]), far).voxel_count == 0
