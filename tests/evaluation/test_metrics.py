"""Metrics against the vectors of google-deepmind/surface-distance and against brute force."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hemaview.evaluation.metrics import assd, dice, hd95, jaccard, nsd, surface_distances, volume_error
from hemaview.imaging import Geometry, LabelMap


def cube(side, start, shape=(40, 40, 40), shift=0, axis=0):
    mask = np.zeros(shape, bool)
    window = [slice(start, start + side)] * 3
    window[axis] = slice(start + shift, start + shift + side)
    mask[tuple(window)] = True
    return mask


def ball(radius):
    grid = np.indices((64, 64, 64)) - 31.5
    return (grid**2).sum(0) <= radius**2


# dice, jaccard, HD, HD95, NSD 1 mm, NSD 2 mm and both directed mean distances
CASES = {
    "shifted cube": (
        (cube(20, 10), cube(20, 10, shift=2), (1, 1, 1)),
        (0.9000, 0.8182, 2.0, 2.0, 0.6975, 1.0, 0.670, 0.670),
    ),
    "shift along 3 mm": (
        (cube(20, 10), cube(20, 10, shift=2), (3, 1, 1)),
        (0.9000, 0.8182, 6.0, 6.0, 0.8152, 0.8270, 0.889, 0.889),
    ),
    "cube in cube": (
        (cube(20, 10), cube(22, 9), (1, 1, 1)),
        (0.8580, 0.7513, 1.732, 1.414, 0.9651, 1.0, 1.000, 1.027),
    ),
    "ball in ball": (
        (ball(20), ball(22), (1, 1, 1)),
        (0.8573, 0.7503, 2.449, 2.236, 0.1241, 0.9037, 1.593, 1.627),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_overlap_equals_the_published_vectors(name):
    (a, b, _), expected = CASES[name]
    assert dice(a, b) == pytest.approx(expected[0], abs=1e-4)
    assert jaccard(a, b) == pytest.approx(expected[1], abs=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_distances_equal_the_published_vectors(name):
    masks, expected = CASES[name]
    distances = surface_distances(*masks)
    assert distances.hausdorff() == pytest.approx(expected[2], abs=1e-3)
    assert distances.hausdorff(95) == hd95(*masks) == pytest.approx(expected[3], abs=1e-3)
    # The area of a curved piece of surface is approximate, hence the tolerance.
    assert nsd(*masks, 1.0) == pytest.approx(expected[4], abs=0.005)
    assert nsd(*masks, 2.0) == pytest.approx(expected[5], abs=0.005)
    assert distances.mean() == pytest.approx(expected[6:], abs=0.002)
    assert min(expected[6:]) - 0.002 <= assd(*masks) <= max(expected[6:]) + 0.002


def test_empty_masks_have_defined_values():
    empty, full = np.zeros((5, 5, 5), bool), cube(3, 1, (5, 5, 5))
    assert dice(empty, empty) == jaccard(empty, empty) == nsd(empty, empty, (1, 1, 1)) == 1.0
    assert hd95(empty, empty, (1, 1, 1)) == assd(empty, empty, (1, 1, 1)) == 0.0
    assert dice(full, empty) == jaccard(empty, full) == nsd(full, empty, (1, 1, 1)) == 0.0
    assert math.isinf(hd95(full, empty, (1, 1, 1)))


def test_volume_error_is_signed_and_relative_to_the_reference():
    grid = Geometry((40, 40, 40), (1.0, 1.0, 1.0))
    error = volume_error(LabelMap(cube(22, 9), grid), LabelMap(cube(20, 10), grid))
    assert error.difference_ml == pytest.approx(10.648 - 8.0)
    assert error.percent == pytest.approx(33.1)
    assert math.isnan(volume_error(LabelMap(cube(2, 1), grid), LabelMap.empty(grid)).percent)


def test_shapes_and_spacing_are_checked():
    with pytest.raises(ValueError, match="different shape"):
        dice(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="spacing"):
        hd95(np.ones((3, 3, 3)), np.ones((3, 3, 3)), (1, 1))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), spacing=st.tuples(*[st.floats(0.4, 6.0)] * 3))
def test_distances_equal_brute_force_and_are_symmetric(seed, spacing):
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, 7, 6, 8)) < 0.4
    forward, backward = brute_force(a, b, spacing), brute_force(b, a, spacing)
    found = surface_distances(a, b, spacing)
    assert np.sort(found.forward) == pytest.approx(np.sort(forward))
    assert np.sort(found.backward) == pytest.approx(np.sort(backward))
    assert found.hausdorff() == pytest.approx(max(forward.max(), backward.max()))
    assert hd95(a, b, spacing) == pytest.approx(hd95(b, a, spacing))
    assert assd(a, b, spacing) == pytest.approx(assd(b, a, spacing))
    values = [nsd(a, b, spacing, t) for t in (0.3, 1.0, 3.0, 10.0)]
    assert values == sorted(values)
    order = (2, 0, 1)
    turned = nsd(a.transpose(order), b.transpose(order), [spacing[n] for n in order], 1.0)
    assert turned == pytest.approx(nsd(a, b, spacing, 1.0))


def brute_force(a, b, spacing):
    first, second = (corners(m) * np.asarray(spacing) for m in (a, b))
    return np.sqrt(((first[:, None] - second[None]) ** 2).sum(-1)).min(1)


def corners(mask):
    padded = np.pad(mask, 1).astype(int)
    shape = np.array(padded.shape) - 1
    return np.array([c for c in np.ndindex(*shape) if 0 < padded[tuple(slice(n, n + 2) for n in c)].sum() < 8])
