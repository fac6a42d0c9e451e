"""Direct volume and Tada against closed vectors, brute force and the symmetries they must have."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hemaview.imaging import Geometry, LabelMap, Plane
from hemaview.volumetry import abc_over_2, direct_volume, irregularity_index, measure_tada
from hemaview.volumetry.outline import diameters


def solid(inside, spacing=(0.5, 0.5, 5.0), half=40.0):
    """Voxels whose centres, at multiples of the spacing, lie inside."""
    axes = [np.arange(-math.floor(half / s), math.floor(half / s) + 1) * s for s in spacing]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    geometry = Geometry(tuple(len(a) for a in axes), spacing, tuple(float(a[0]) for a in axes))
    return LabelMap(inside(x, y, z), geometry)


def ellipsoid(a, b, c, shift=(0, 0, 0)):
    return lambda x, y, z: ((x - shift[0]) / a) ** 2 + ((y - shift[1]) / b) ** 2 + ((z - shift[2]) / c) ** 2 <= 1


def sphere(r, shift=(0, 0, 0)):
    return ellipsoid(r, r, r, shift)


def two_spheres(x, y, z):
    return sphere(12, (-14, 0, 0))(x, y, z) | sphere(10, (12, 6, 5))(x, y, z)


VECTORS = {
    "ellipsoid": (
        ellipsoid(30, 18, 20), 5, False,
        (35581, 44.4763, 9, 6.0, 1691.25, 60.502, 36.503, 49.691, 33.128, 33.128, 50.738),
    ),
    "sphere 5 mm": (
        sphere(15), 5, False,
        (11027, 13.7837, 7, 4.0, 705.25, 30.700, 30.700, 16.494, 9.425, 10.996, 16.456),
    ),
    "sphere 1 mm": (
        sphere(15), 1, False,
        (56443, 14.1107, 31, 20.0, 705.25, 30.700, 30.700, 14.609, 9.425, 9.739, 14.575),
    ),
    "two spheres": (
        two_spheres, 5, True,
        (9018, 11.2725, 6, 3.0, 685.50, 47.783, 24.365, 17.464, 8.732, 11.643, 13.710),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VECTORS)
def test_published_vectors(name):
    inside, step, everything, expected = VECTORS[name]
    mask = solid(inside, (0.5, 0.5, float(step)))
    found = measure_tada(mask, all_components=everything)
    count, direct, slices, weights, area, a, b, abc, weighted, third, sh = expected
    assert (mask.voxel_count, found.slices, found.weighted_slices) == (count, slices, weights)
    assert direct_volume(mask).value_ml == pytest.approx(direct, abs=1e-4)
    assert found.area_mm2 == pytest.approx(area, abs=1e-9)
    assert (found.a_mm, found.b_mm) == pytest.approx((a, b), abs=1e-3)
    values = [found.variants[key] for key in ("abc_2", "abc_2_weighted", "abc_3", "two_thirds_sh")]
    assert values == pytest.approx([abc, weighted, third, sh], abs=1e-3)
    assert found.variants["ellipsoid"] == pytest.approx(math.pi / 3 * abc, abs=2e-3)


def test_largest_component_is_measured_and_said_so():
    mask = solid(two_spheres)
    reading = abc_over_2(mask)
    assert measure_tada(mask).components == 2
    assert reading.value_ml == pytest.approx(measure_tada(solid(sphere(12, (-14, 0, 0)))).volume_ml)
    assert any("largest of 2 separate parts (7.3 of 11.3 mL)" in line for line in reading.warnings)


@given(st.integers(0, 10_000), st.floats(0.3, 2), st.floats(0.3, 2), st.floats(-0.4, 0.4))
@example(315, 1.0, 1.0, 0.0)
def test_diameters_match_brute_force(seed, sx, sy, shear):
    rng = np.random.default_rng(seed)
    mask = rng.random((rng.integers(1, 9), rng.integers(1, 9))) < rng.uniform(0.1, 0.9)
    mask[rng.integers(mask.shape[0]), rng.integers(mask.shape[1])] = True
    plane = np.array([[sx, shear], [0, sy]])
    rows, columns = np.nonzero(mask)
    corners = np.concatenate([np.column_stack([columns + dx, rows + dy]) for dx in (-0.5, 0.5) for dy in (-0.5, 0.5)])
    points = corners @ plane.T
    gaps = points[:, None] - points[None]
    found = diameters(mask, plane)
    assert found.a == pytest.approx(np.linalg.norm(gaps, axis=2).max())
    ends = found.a_ends @ plane.T
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(found.a)
    along = (ends[1] - ends[0]) / found.a
    across = np.array([-along[1], along[0]])
    reach = points @ across
    assert found.b == pytest.approx(np.ptp(reach))
    b_ends = found.b_ends @ plane.T
    assert sorted(b_ends @ across) == pytest.approx([reach.min(), reach.max()])
    assert (b_ends[1] - b_ends[0]) @ along == pytest.approx(0, abs=1e-9)
    # Both ends of A are corners of pixels; at least one of B is one, or lies on a flat edge between two.
    for end in found.a_ends:
        assert np.abs(corners - end).max(axis=1).min() == pytest.approx(0, abs=1e-9)
    on_outline = [np.linalg.norm(points - end, axis=1).min() for end in b_ends]
    flat = [np.ptp(points[np.isclose(reach, jaw)] @ along) > 0 for jaw in (reach.min(), reach.max())]
    assert min(on_outline) < 1e-6 or any(flat)


def test_segments_lie_in_the_patient_on_the_slice_used():
    tilt = Geometry((60, 50, 12), (0.7, 0.9, 4.0), (12, -30, 55), (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1))
    k, j, i = np.meshgrid(*(np.arange(n) for n in tilt.shape), indexing="ij")
    mask = LabelMap(((i - 30) * 0.7 / 15) ** 2 + ((j - 25) * 0.9 / 9) ** 2 + ((k - 6) * 4 / 12) ** 2 <= 1, tilt)
    found = measure_tada(mask)
    assert found.slice_index == 6
    a, b = np.array(found.a_segment), np.array(found.b_segment)
    assert np.linalg.norm(a[1] - a[0]) == pytest.approx(found.a_mm)
    assert np.linalg.norm(b[1] - b[0]) == pytest.approx(found.b_mm)
    assert (a[1] - a[0]) @ (b[1] - b[0]) == pytest.approx(0, abs=1e-6)
    ijk = tilt.lps_to_index(np.concatenate([a, b]))
    assert ijk[:, 2] == pytest.approx(6)
    # A's ends are corners of mask voxels: half-integers with a mask voxel beside them.
    for end in tilt.lps_to_index(a)[:, :2]:
        assert (end * 2) % 2 == pytest.approx([1, 1])
        near = mask.array[6, int(end[1]) : int(end[1]) + 2, int(end[0]) : int(end[0]) + 2]
        assert near.any()


@pytest.mark.parametrize("degrees", [10, 25, 40, 65, 90])
def test_rotation_in_the_plane_changes_little(degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = measure_tada(solid(lambda x, y, z: ellipsoid(25, 14, 12)(c * x + s * y, c * y - s * x, z)))
    straight = measure_tada(solid(ellipsoid(25, 14, 12)))
    assert turned.a_mm * turned.b_mm == pytest.approx(straight.a_mm * straight.b_mm, rel=0.02)


def irregular(seed, shape=(5, 14, 17)):
    return np.random.default_rng(seed).random(shape) < 0.35


@given(st.integers(0, 10_000))
def test_flips_and_axis_exchange_change_nothing(seed):
    array = irregular(seed)
    array[2, 7, 7] = True
    depth, rows, columns = array.shape
    plain = measure_tada(LabelMap(array, Geometry((columns, rows, depth), (0.6, 0.9, 4.0))))
    others = [
        LabelMap(array[:, :, ::-1], Geometry((columns, rows, depth), (0.6, 0.9, 4.0))),
        LabelMap(array[:, ::-1], Geometry((columns, rows, depth), (0.6, 0.9, 4.0))),
        LabelMap(array.transpose(0, 2, 1), Geometry((rows, columns, depth), (0.9, 0.6, 4.0))),
        LabelMap(array[::-1], Geometry((columns, rows, depth), (0.6, 0.9, 4.0))),
    ]
    sizes = np.sort(np.bincount(_labels(array).ravel())[1:])
    if len(sizes) > 1 and sizes[-1] == sizes[-2]:
        return  # equally large components are told apart by their place only
    counts = np.count_nonzero(_labels(array) == np.bincount(_labels(array).ravel())[1:].argmax() + 1, axis=(1, 2))
    for other in others[:3] if np.count_nonzero(counts == counts.max()) > 1 else others:
        found = measure_tada(other)
        assert found.a_mm == pytest.approx(plain.a_mm)
        assert found.b_mm == pytest.approx(plain.b_mm)
        assert dict(found.variants) == pytest.approx(dict(plain.variants))


def _labels(array):
    from scipy import ndimage

    return ndimage.label(array, structure=np.ones((3, 3, 3)))[0]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_patient_axes_may_be_stored_in_any_order(order):
    direction = np.eye(3)[:, order]
    mask = solid(ellipsoid(14, 9, 11), half=20)
    moved = LabelMap(
        mask.array, Geometry(mask.geometry.size, mask.geometry.spacing, direction=tuple(direction.ravel()))
    )
    assert measure_tada(moved).volume_ml == pytest.approx(measure_tada(mask).volume_ml)
    assert direct_volume(moved).value_ml == pytest.approx(direct_volume(mask).value_ml)
    axial = order[2] == 2
    assert (measure_tada(moved).plane is Plane.AXIAL) == axial
    assert any("acquisition plane" in line for line in abc_over_2(moved).warnings) != axial


def test_gantry_tilt_uses_the_determinant_and_the_slice_normal():
    mask = solid(ellipsoid(15, 15, 12), half=25)
    angle = math.radians(25)
    tilted = (1, 0, 0, 0, 1, math.sin(angle), 0, 0, math.cos(angle))
    sheared = LabelMap(mask.array, Geometry(mask.geometry.size, (0.5, 0.5, 5.0), direction=tilted))
    assert sheared.geometry.is_sheared
    expected = mask.voxel_count * 0.5 * 0.5 * 5 * math.cos(angle) / 1000
    assert direct_volume(sheared).value_ml == pytest.approx(expected)
    assert measure_tada(sheared).c_mm == pytest.approx(measure_tada(mask).c_mm * math.cos(angle))
    assert measure_tada(sheared).a_mm == pytest.approx(measure_tada(mask).a_mm)


@given(st.integers(0, 1000), st.floats(0.2, 5))
def test_volumes_grow_with_the_cube_of_the_scale(seed, scale):
    array = irregular(seed)
    array[0, 0, 0] = True
    size = array.shape[::-1]
    one = LabelMap(array, Geometry(size, (0.5, 0.7, 3.0)))
    other = LabelMap(array, Geometry(size, (0.5 * scale, 0.7 * scale, 3.0 * scale)))
    assert measure_tada(other).volume_ml == pytest.approx(measure_tada(one).volume_ml * scale**3)
    assert direct_volume(other).value_ml == pytest.approx(direct_volume(one).value_ml * scale**3)


def test_in_plane_shear_is_measured_in_millimetres():
    # Rows run at 60 degrees to the columns: a square of 10 pixels is a rhombus with diagonals 10 and 10 sqrt 3.
    lean = Geometry((12, 12, 1), (1, 1, 1), direction=(1, 0.5, 0, 0, math.sqrt(0.75), 0, 0, 0, 1))
    array = np.zeros((1, 12, 12), bool)
    array[0, 1:11, 1:11] = True
    found = measure_tada(LabelMap(array, lean))
    assert found.a_mm == pytest.approx(10 * math.sqrt(3))
    assert found.b_mm == pytest.approx(10)
    assert found.area_mm2 == pytest.approx(100 * math.sqrt(0.75))


def slabs(counts):
    """One row of ``counts[k]`` pixels per slice."""
    array = np.zeros((len(counts), 1, max(counts)), bool)
    for k, count in enumerate(counts):
        array[k, 0, :count] = True
    return LabelMap(array, Geometry((max(counts), 1, len(counts)), (1, 1, 2)))


def test_kothari_weights_at_their_limits():
    assert measure_tada(slabs([24, 25, 74, 75, 100])).weighted_slices == 0 + 0.5 + 0.5 + 1 + 1


def test_equal_slices_go_to_the_one_nearest_the_centroid():
    assert measure_tada(slabs([10, 4, 4, 10, 9])).slice_index == 3
    assert measure_tada(slabs([10, 10])).slice_index == 0


def test_one_slice_is_flagged():
    reading = abc_over_2(slabs([10]))
    assert reading.inputs["c_mm"] == 2
    assert any("one slice only" in line for line in reading.warnings)


def test_empty_mask_is_zero_and_not_defined():
    empty = LabelMap.empty(Geometry((4, 5, 6), (1, 1, 1)))
    assert direct_volume(empty).value_ml == 0
    assert measure_tada(empty) is None
    reading = abc_over_2(empty)
    assert reading.value_ml is None
    assert reading.reason
    assert math.isnan(irregularity_index(empty))


def test_mask_at_the_edge_is_measured_with_a_warning():
    array = np.zeros((3, 4, 4), bool)
    array[1, 0:2, 0:2] = True
    edge = LabelMap(array, Geometry((4, 4, 3), (1, 1, 1)))
    assert direct_volume(edge).value_ml == pytest.approx(0.004)
    assert "edge of the scan" in direct_volume(edge).warnings[0]
    assert measure_tada(edge).a_mm == pytest.approx(math.sqrt(8))


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 5.0), (0.5, 0.5, 1.0), (1.0, 1.0, 1.0), (0.9, 0.9, 3.0)])
def test_irregularity_is_100_for_a_sphere_and_exact_for_an_ellipsoid(spacing):
    assert irregularity_index(solid(sphere(15.2), spacing)) == pytest.approx(100, abs=3)
    a, b, c = 24.0, 12.0, 10.0
    p = 1.6075  # Thomsen's formula, within 1.1 %
    area = 4 * math.pi * (((a * b) ** p + (a * c) ** p + (b * c) ** p) / 3) ** (1 / p)
    index = 100 * math.sqrt(area / (4 * math.pi)) / (a * b * c) ** (1 / 3)
    assert irregularity_index(solid(ellipsoid(a, b, c), spacing)) == pytest.approx(index, abs=4)


def test_irregular_shape_is_called_unreliable():
    def star(x, y, z):
        return (np.hypot(x, y) <= 13 + 9 * np.cos(7 * np.arctan2(y, x))) & (np.abs(z) <= 10)

    reading = abc_over_2(solid(star))
    assert reading.inputs["irregularity_index"] > 124
    assert any("shape is irregular" in line for line in reading.warnings)
    assert any("differs from the direct volume" in line for line in reading.warnings)
    assert not abc_over_2(solid(ellipsoid(24, 20, 18.5), (0.5, 0.5, 1.0))).warnings
