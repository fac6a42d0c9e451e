"""Surfaces: closed, outward, the right volume, the right hand, in the right place."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hemaview.errors import ExportError
from hemaview.imaging import Geometry, LabelMap
from hemaview.surface import Mesh, check_printability, mesh_from_mask
from hemaview.surface.building import MOST_TRIANGLES
from hemaview.surface.topology import count_edges, count_pinched_points, label_bodies


def mask_of(inside, geometry):
    """Voxels whose centre in LPS mm lies inside."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    points = geometry.index_to_lps(np.stack([i, j, k], axis=-1))
    return LabelMap(inside(points), geometry)


def grid(spacing, half=34.0, shift=0.3, direction=None):
    """A grid centred on the patient's origin, shifted by a part of a voxel so that nothing lies on its centres."""
    size = tuple(2 * math.ceil(half / s) + 1 for s in spacing)
    axes = np.eye(3) if direction is None else np.asarray(direction, float)
    middle = (np.array(size) - 1) / 2 + shift
    origin = -(axes * np.asarray(spacing)) @ middle
    return Geometry(size, spacing, tuple(origin), tuple(axes.ravel()))


def ball(radius, centre=(0, 0, 0)):
    return lambda p: ((p - np.asarray(centre)) ** 2).sum(axis=-1) <= radius**2


def ellipsoid(a, b, c):
    return lambda p: ((p / np.array([a, b, c])) ** 2).sum(axis=-1) <= 1


def millilitres(mask):
    return mask.voxel_count * mask.geometry.voxel_volume_ml


def assert_sound(mesh, mask):
    """What every mesh must be; edges are counted here, independently of the package."""
    edges = np.sort(np.concatenate([mesh.triangles[:, [0, 1]], mesh.triangles[:, [1, 2]], mesh.triangles[:, [2, 0]]]))
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert set(uses.tolist()) == {2}
    assert count_edges(mesh.triangles).closed
    a, b, c = (mesh.points[mesh.triangles[:, n]] for n in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6000
    assert volume > 0
    assert volume == pytest.approx(mesh.volume_ml, rel=1e-6)
    expected = millilitres(mask)
    assert volume == pytest.approx(expected, rel=0.01 if expected > 5 else 0.05)


TURN = np.linalg.qr(np.array([[1.0, 0.3, 0.2], [-0.4, 1.1, 0.1], [0.2, -0.3, 0.9]]))[0]
TURN = TURN * np.sign(np.linalg.det(TURN))
LEAN = np.column_stack([[1, 0, 0], [0, 1, 0], [0, math.sin(0.35), math.cos(0.35)]])
GRIDS = {
    "1 mm": grid((1.0, 1.0, 1.0)),
    "5 mm slices": grid((0.9, 0.9, 5.0)),
    "coronal thick": grid((0.9, 4.0, 0.9)),
    "oblique": grid((1.0, 1.0, 1.2), direction=TURN),
    "oblique 4 mm": grid((0.8, 0.7, 4.0), direction=TURN),
    "sheared": grid((1.0, 1.0, 1.0), direction=LEAN),
    "sheared 5 mm": grid((0.9, 0.9, 5.0), direction=LEAN),
    "left-handed": grid((1.0, 1.0, 1.0), direction=np.diag([1, 1, -1])),
    "left-handed 3 mm": grid((0.7, 0.7, 3.0), direction=np.diag([-1, 1, 1])),
}
SHAPES = {"sphere": ball(14), "ellipsoid": ellipsoid(24, 15, 18), "two bodies": lambda p: ball(11, (-14, 0, 0))(p) | ball(9, (14, 6, 4))(p)}  # fmt: skip # noqa: E501


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", GRIDS)
def test_closed_outward_and_of_the_masks_volume(name, shape):
    mask = mask_of(SHAPES[shape], GRIDS[name])
    mesh = mesh_from_mask(mask)
    assert_sound(mesh, mask)
    assert label_bodies(mesh.triangles, len(mesh.points))[0] == (2 if shape == "two bodies" else 1)
    report = check_printability(mesh, mask)
    assert report.printable
    assert not any("diagonal" in line for line in report.warnings)


@pytest.mark.parametrize(("name", "limit"), [("1 mm", 0.15), ("5 mm slices", 0.4), ("sheared 5 mm", 0.4), ("oblique 4 mm", 0.4)])  # fmt: skip # noqa: E501
@pytest.mark.parametrize("axes", [(24, 15, 18), (15, 15, 15), (13, 24, 20)])
def test_mean_distance_to_the_true_surface(name, limit, axes):
    mesh = mesh_from_mask(mask_of(ellipsoid(*axes), GRIDS[name]))
    scaled = mesh.points / np.array(axes)
    # First-order distance to the ellipsoid: value over slope.
    distance = np.abs((scaled**2).sum(axis=1) - 1) / (2 * np.linalg.norm(scaled / np.array(axes), axis=1))
    assert distance.mean() < limit


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.5, 5.0)])
@pytest.mark.parametrize("smooth", [True, False])
def test_one_voxel(spacing, smooth):
    array = np.zeros((5, 5, 5), bool)
    array[2, 3, 1] = True
    mask = LabelMap(array, Geometry((5, 5, 5), spacing, (10, 20, 30)))
    mesh = mesh_from_mask(mask, smooth=smooth)
    assert_sound(mesh, mask)
    assert mesh.points.mean(axis=0) == pytest.approx(mask.geometry.index_to_lps((1, 3, 2)), abs=0.01 * spacing[2])


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.9, 0.9, 5.0)])
def test_mask_at_the_edge_of_the_scan_is_closed(spacing):
    geometry = Geometry((20, 24, 12), spacing)
    mask = LabelMap(np.ones(geometry.shape, bool), geometry)
    assert_sound(mesh_from_mask(mask), mask)
    half = mask_of(ball(12, (0, 0, 0)), geometry)
    assert_sound(mesh_from_mask(half), half)


@pytest.mark.parametrize("name", GRIDS)
def test_hand_and_place_are_kept(name):
    """A solid without mirror symmetry keeps its first and third moments; a mirrored one would not."""

    def letter_f(p):
        x, y, z = p[..., 0], p[..., 1], p[..., 2]
        stem = (np.abs(x + 10) <= 5) & (np.abs(y) <= 22)
        top = (x >= -15) & (x <= 18) & (y >= 12) & (y <= 22)
        bar = (x >= -15) & (x <= 8) & (y >= -6) & (y <= 3)
        return (stem | top | bar) & (np.abs(z) <= np.where(y > 10, 14, 7)) & (z >= -12)

    mask = mask_of(letter_f, GRIDS[name])
    mesh = mesh_from_mask(mask)
    assert_sound(mesh, mask)
    k, j, i = np.nonzero(mask.array)
    voxels = mask.geometry.index_to_lps(np.column_stack([i, j, k]))
    corners = mesh.points[mesh.triangles]
    weights = mesh.corner_volumes_mm3 / mesh.corner_volumes_mm3.sum()
    apex = mesh.points.mean(axis=0)
    centroid = ((corners.sum(axis=1) + apex) / 4 * weights[:, None]).sum(axis=0)
    assert centroid == pytest.approx(voxels.mean(axis=0), abs=0.5)
    # Farther from the middle along +x and +y (the arms) on both; swapped ends would show here.
    for axis in range(2):
        ends = np.percentile(voxels[:, axis], [0, 100])
        assert [mesh.points[:, axis].min(), mesh.points[:, axis].max()] == pytest.approx(list(ends), abs=3)
    upper = mesh.points[mesh.points[:, 1] > 14]
    assert upper[:, 0].max() > 14
    lower = mesh.points[mesh.points[:, 1] < -12]
    assert lower[:, 0].max() < 0


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.9, 0.9, 3.0)])
def test_a_cavity_is_an_inner_shell_that_counts_negative(spacing):
    mask = mask_of(lambda p: ball(18)(p) & ~ball(7)(p), grid(spacing, 24))
    mesh = mesh_from_mask(mask)
    assert_sound(mesh, mask)
    report = check_printability(mesh, mask)
    assert report.printable
    outer, inner = report.bodies
    assert inner.cavity
    assert inner.volume_ml == pytest.approx(-4 / 3 * math.pi * 0.343, rel=0.12)
    assert outer.volume_ml + inner.volume_ml == pytest.approx(millilitres(mask), rel=0.01)
    assert any("cavity" in line for line in report.warnings)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.9, 0.9, 5.0)])
@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), share=st.floats(0.03, 0.97))
def test_noise_is_closed(spacing, seed, share):
    array = np.random.default_rng(seed).random((9, 12, 11)) < share
    array[4, 5, 6] = True
    mask = LabelMap(array, Geometry((11, 12, 9), spacing))
    for smooth in (True, False):
        mesh = mesh_from_mask(mask, smooth=smooth)
        assert_sound(mesh, mask)
        assert count_pinched_points(mesh.triangles) == 0


def test_noisy_border_is_closed_and_listed_as_bodies():
    mask = mask_of(ball(16), GRIDS["1 mm"])
    rng = np.random.default_rng(0)
    shell = mask_of(lambda p: np.abs(np.linalg.norm(p, axis=-1) - 16) < 2, mask.geometry)
    noisy = LabelMap(mask.array ^ (shell.array & (rng.random(mask.array.shape) < 0.5)), mask.geometry)
    mesh = mesh_from_mask(noisy)
    assert_sound(mesh, noisy)
    report = check_printability(mesh, noisy)
    assert len([body for body in report.bodies if not body.cavity]) > 1
    assert any("fragment" in line for line in report.warnings)


def test_large_masks_stay_below_the_limit_and_closed():
    array = np.zeros((40, 160, 160), bool)
    array[np.arange(40) % 8 < 4] = True
    array[:, ::9, ::9] = True
    mask = LabelMap(array, Geometry((160, 160, 40), (0.25, 0.25, 0.25)))
    mesh = mesh_from_mask(mask)
    assert any("steps of" in note for note in mesh.notes)
    assert len(mesh.triangles) <= MOST_TRIANGLES
    assert_sound(mesh, mask)


def test_empty_mask_is_refused_with_one_sentence():
    with pytest.raises(ExportError, match=r"^The mask is empty.*\.$"):
        mesh_from_mask(LabelMap.empty(Geometry((4, 4, 4), (1, 1, 1))))


def test_faults_are_counted():
    tetrahedron = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
    assert count_edges(tetrahedron).closed
    assert count_edges(tetrahedron[:3]).open_edges == 3
    assert count_edges(np.concatenate([tetrahedron, [[0, 1, 4]]])).crowded_edges == 1
    turned = tetrahedron.copy()
    turned[0] = turned[0, ::-1]
    assert count_edges(turned).twisted_edges == 3
    # Two tetrahedra that share one corner.
    other = np.where(tetrahedron == 0, 0, tetrahedron + 3)
    pinched = np.concatenate([tetrahedron, other])
    assert count_edges(pinched).closed
    assert count_pinched_points(pinched) == 1
    assert count_pinched_points(tetrahedron) == 0
    assert label_bodies(np.concatenate([tetrahedron, tetrahedron + 4]), 8)[0] == 2


def test_report_of_a_bad_mesh_blocks():
    mask = mask_of(ball(14), GRIDS["1 mm"])
    mesh = mesh_from_mask(mask)
    assert check_printability(mesh, mask).printable
    open_mesh = Mesh(mesh.points, mesh.triangles[:-1])
    assert "not closed" in check_printability(open_mesh, mask).blocks[0]
    assert "inside out" in check_printability(mesh.flipped(), mask).blocks[0]
    grown = Mesh(mesh.points * 1.03, mesh.triangles)
    assert "volume" in check_printability(grown, mask).blocks[0]
    moved = Mesh(mesh.points + np.array([4, 0, 0]), mesh.triangles)
    assert any("diagonal" in line for line in check_printability(moved, mask).warnings)
    with pytest.raises(ExportError):
        check_printability(mesh, LabelMap.empty(mask.geometry))


def test_thick_slices_and_size_are_named():
    mask = mask_of(ball(14), GRIDS["5 mm slices"])
    report = check_printability(mesh_from_mask(mask), mask)
    assert any("5.0 mm apart" in line for line in report.warnings)
    assert report.size_mm == pytest.approx((28, 28, 28), abs=2.5)
    assert (report.space, report.unit) == ("LPS", "mm")
    assert "cm" in report.sentences[-1]
    thin = mask_of(ball(14), GRIDS["1 mm"])
    assert check_printability(mesh_from_mask(thin), thin).warnings == ()
