import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given
from hypothesis import strategies as st

from hemaview.errors import ScanError
from hemaview.imaging import Geometry

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@st.composite
def geometries(draw, sheared=True):
    """Any grid a reader may produce: rotated, mirrored, with gantry tilt, near or far from the origin."""
    quaternion = np.array([draw(st.floats(0.1, 1)), *(draw(st.floats(-1, 1)) for _ in range(3))])
    a, b, c, d = quaternion / np.linalg.norm(quaternion)
    axes = nib.quaternions.quat2mat((a, b, c, d))
    axes = axes[:, draw(st.permutations(range(3)))] * [draw(st.sampled_from((-1, 1))) for _ in range(3)]
    if sheared and draw(st.booleans()):
        tilt = np.radians(draw(st.floats(-30, 30)))
        axes[:, 2] = axes[:, 2] * np.cos(tilt) + axes[:, 1] * np.sin(tilt)
    size = tuple(draw(st.integers(1, 9)) for _ in range(3))
    spacing = tuple(draw(st.floats(0.1, 10)) for _ in range(3))
    origin = tuple(draw(st.floats(-500, 500)) for _ in range(3))
    return Geometry(size, spacing, origin, tuple(axes.ravel()))


points = st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1, max_size=5)


@given(geometries(), points)
def test_index_and_lps_are_inverse(geometry, ijk):
    assert np.allclose(geometry.lps_to_index(geometry.index_to_lps(ijk)), ijk, atol=1e-6)


@given(geometries(sheared=False), points)
def test_points_agree_with_simpleitk(geometry, ijk):
    image = sitk.Image(list(geometry.size), sitk.sitkInt16)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    expected = [image.TransformContinuousIndexToPhysicalPoint(p) for p in ijk]
    assert np.allclose(geometry.index_to_lps(ijk), expected, atol=1e-6)


@given(geometries())
def test_affine_round_trip_is_exact(geometry):
    again = Geometry.from_affine(geometry.affine, geometry.size)
    assert np.allclose(again.affine, geometry.affine, rtol=0, atol=1e-9)
    assert again.matches(geometry)
    assert geometry.shape == geometry.size[::-1]


@given(geometries())
def test_voxel_volume_is_area_times_distance_along_the_normal(geometry):
    i, j = geometry.affine[:3, 0], geometry.affine[:3, 1]
    area = np.linalg.norm(np.cross(i, j))
    assert geometry.voxel_volume_ml == pytest.approx(area * geometry.slice_spacing_mm / 1000)


@given(geometries(sheared=False))
def test_letters_agree_with_nibabel(geometry):
    ras = RAS_TO_LPS @ geometry.affine
    assert geometry.is_left_handed == (np.linalg.det(ras[:3, :3]) < 0)
    assert not geometry.is_sheared
    assert geometry.slice_spacing_mm == pytest.approx(geometry.spacing[2])


def test_gantry_tilt_keeps_the_true_slice_distance():
    tilt = np.radians(18.5)
    geometry = Geometry(
        (4, 4, 4), (1, 1, 5 / np.cos(tilt)), direction=(1, 0, 0, 0, 1, np.sin(tilt), 0, 0, np.cos(tilt))
    )
    assert geometry.is_sheared
    assert geometry.slice_spacing_mm == pytest.approx(5.0)
    assert geometry.voxel_volume_ml == pytest.approx(0.005)


@given(geometries(), st.floats(0.02, 5))
def test_a_shift_of_more_than_the_tolerance_does_not_match(geometry, shift):
    x, y, z = geometry.origin
    assert not geometry.matches(Geometry(geometry.size, geometry.spacing, (x + shift, y, z), geometry.direction))


@pytest.mark.parametrize(
    "bad",
    [
        {"size": (0, 4, 4)},
        {"spacing": (1, 1, 0)},
        {"spacing": (1, -1, 1)},
        {"spacing": (1, 1, float("nan"))},
        {"origin": (0, 0, float("inf"))},
        {"direction": (1, 0, 0, 0, 1, 0, 0, 0, 0)},
        {"direction": (1, 1, 0, 0, 0, 0, 0, 0, 1)},
        {"direction": (2, 0, 0, 0, 1, 0, 0, 0, 1)},
        {"direction": (1, 0, 0, 0, 1, 0)},
    ],
)
def test_a_grid_that_spans_nothing_is_refused(bad):
    with pytest.raises(ScanError):
        Geometry(**({"size": (4, 4, 4), "spacing": (1, 1, 1)} | bad))


def test_a_broken_affine_is_refused():
    for affine in (np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3)):
        with pytest.raises(ScanError):
            Geometry.from_affine(affine, (2, 2, 2))


def test_uneven_slices_are_placed_and_measured_by_their_own_steps():
    positions = (0.0, 4.0, 8.0, 9.0, 16.0, 23.0)
    grid = Geometry((4, 3, 6), (0.5, 0.5, 23 / 5), (1.0, 2.0, 3.0), slice_positions=positions)
    assert grid.is_uneven
    assert np.allclose(grid.index_to_lps([[0, 0, k] for k in range(6)])[:, 2], 3 + np.array(positions))
    assert np.allclose(grid.index_to_lps([0, 0, 2.5]), (1, 2, 3 + 8.5))
    assert np.allclose(grid.index_to_lps([0, 0, -0.5])[2], 3 - 2)
    ijk = np.random.default_rng(1).uniform(-2, 8, (50, 3))
    assert np.allclose(grid.lps_to_index(grid.index_to_lps(ijk)), ijk)
    assert np.allclose(grid.slice_steps_mm, (4, 4, 2.5, 4, 7, 7))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[2, 0, :2] = True
    mask[5, 0, 0] = True
    assert grid.volume_ml(mask) == pytest.approx((2 * 2.5 + 7) * 0.25 / 1000)
    assert grid.volume_ml(mask.sum(axis=(1, 2))) == pytest.approx(grid.volume_ml(mask))
    assert grid.volume_ml(mask * 0.5) == pytest.approx(grid.volume_ml(mask) / 2)


def test_even_positions_are_the_same_grid_as_none():
    assert Geometry((2, 2, 3), (1, 1, 5), slice_positions=(0, 5, 10)) == Geometry((2, 2, 3), (1, 1, 5))
    for wrong in ((0, 5), (1, 5, 10), (0, 5, 5), (0, 4, 9.9)):
        with pytest.raises(ScanError):
            Geometry((2, 2, 3), (1, 1, 5), slice_positions=wrong)


def test_grids_of_other_slice_places_do_not_match():
    even = Geometry((2, 2, 3), (1, 1, 5))
    uneven = Geometry((2, 2, 3), (1, 1, 5), slice_positions=(0, 4, 10))
    assert uneven.matches(uneven)
    assert not even.matches(uneven)
