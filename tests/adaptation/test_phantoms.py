"""Synthetic lesions: repeatable, irregular, visible, and of exactly the stated volume."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from hemaview.adaptation.phantoms import SAMPLE_SHAPE, box_fill, held_out, held_out_case, training_sample
from hemaview.adaptation.phantoms.acquisition import slice_matrix
from hemaview.adaptation.phantoms.appearance import (
    paint_blood_mr,
    paint_clot_with_oedema,
    paint_core,
    paint_extra_axial_ct,
    paint_stroke,
)
from hemaview.adaptation.phantoms.fields import PaintGrid, smooth_noise
from hemaview.adaptation.phantoms.samples import KINDS, beside_bone
from hemaview.adaptation.phantoms.scene import Scene
from hemaview.adaptation.phantoms.shapes import FAMILIES, Anatomy, lesion_field
from hemaview.imaging import Modality


@pytest.fixture(scope="module")
def samples(head):
    rng = np.random.default_rng(4)
    return [training_sample(rng, [head]) for _ in range(24)]


@pytest.fixture
def ball_heads(head, monkeypatch):
    monkeypatch.setattr(held_out, "_head", lambda: head)


def test_same_seed_same_sample(head):
    first, second = (training_sample(np.random.default_rng(7), [head]) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert first.spacing_mm == second.spacing_mm


def test_samples_fit_their_store_and_hold_a_lesion_away_from_the_edge(samples):
    for sample in samples:
        assert sample.image.shape == sample.mask.shape
        assert sample.image.shape[1:] == SAMPLE_SHAPE[1:]
        assert 5 <= len(sample.image) <= SAMPLE_SHAPE[0]
        assert sample.image.dtype == np.uint8
        assert sample.mask.sum() >= 60
        assert not sample.mask[:, 0].any()
        assert not sample.mask[:, :, -1].any()
        assert sample.image.std() > 1


def test_lesions_fill_their_boxes_less_than_ellipsoids_do(samples):
    fills = [box_fill(sample.mask) for sample in samples]
    assert np.median(fills) < np.pi / 6
    assert min(fills) < 0.3


@pytest.mark.parametrize("family", FAMILIES)
def test_every_shape_family_makes_a_lesion(family):
    rng = np.random.default_rng(3)
    grid = PaintGrid((24, 48, 48), (60.0, 84.0, 84.0))
    field = lesion_field(rng, grid, 20.0, None, family)
    assert field.shape == grid.shape
    assert torch.isfinite(field).all()
    assert 0 < int((field > 0).sum()) < field.numel() // 2


@pytest.fixture
def flat_scene():
    """A brain of one grey in a bright skull on a paint grid, and a ball in it whose level set is in half sizes."""
    grid = PaintGrid((24, 64, 64), (48.0, 96.0, 96.0))
    z, y, x = grid.coordinates(1.0)
    outside = (z**2 * 2 + y**2 + x**2).sqrt() - 36
    image = torch.where(outside < 0, 0.5, torch.where(outside < 6, 1.6, 0.0))
    anatomy = Anatomy(torch.ones(grid.shape), torch.zeros(grid.shape), outside)
    field = 1 - (z**2 + y**2 + x**2).sqrt() / 12 + torch.zeros(grid.shape)
    return grid, Scene(image, anatomy), field


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_lesion_can_be_drawn(head, kind):
    sample = training_sample(np.random.default_rng(1), [head], [kind])
    assert sample.kind == kind
    assert sample.mask.sum() >= 60
    assert sample.mask.any(axis=(1, 2)).sum() >= 2


def test_blood_under_the_skull_ends_at_bone_and_stays_in_one_piece(flat_scene):
    grid, scene, _ = flat_scene
    crescent = lesion_field(np.random.default_rng(2), grid, 30.0, scene.anatomy, "crescent")
    limited = beside_bone(crescent + 0.2, scene)
    assert int((limited > 0).sum()) > 20
    assert float(scene.image[limited > 0].max()) < 1.0
    _, pieces = ndimage.label((limited > 0).numpy())
    assert pieces == 1


def test_blood_beside_bone_is_measured_against_the_brain_and_not_against_the_bone(flat_scene):
    grid, scene, _ = flat_scene
    field = torch.minimum(5 - (scene.anatomy.outside_mm + 3).abs(), torch.full(grid.shape, 5.0)) / 30
    painted = [
        paint_extra_axial_ct(np.random.default_rng(n), grid, 30.0, scene.image, field, scene.anatomy) for n in range(8)
    ]
    levels = [float(p.image[(field > 0.1) & (scene.anatomy.outside_mm < 0)].median()) for p in painted]
    assert max(levels) < 1.05
    assert min(levels) > 0.2


def test_blooming_darkens_the_tissue_beside_a_clot_but_not_the_truth(flat_scene):
    grid, scene, field = flat_scene
    beside = (field < -0.02) & (field > -0.08)
    darker = []
    for seed in range(12):
        painted = paint_blood_mr(np.random.default_rng(seed), grid, 12.0, scene.image, field, scene.anatomy, "t2star")
        assert torch.equal(painted.target, field)
        darker.append(float(painted.image[beside].mean()) < 0.42)
    assert sum(darker) >= 4


def test_a_clot_boxed_with_its_oedema_has_both_in_its_target(flat_scene):
    grid, scene, field = flat_scene
    painted = paint_clot_with_oedema(np.random.default_rng(4), grid, 12.0, scene.image, field, scene.anatomy, "ct")
    inside = painted.image[painted.target > 0]
    assert float(inside.max()) > 0.6
    assert float(inside.min()) < 0.5
    assert int((painted.target > 0).sum()) > 1.3 * int((painted.image > 0.6)[scene.anatomy.outside_mm < -3].sum())


def test_an_infarct_is_brighter_where_diffusion_shows_it(flat_scene):
    grid, scene, field = flat_scene
    means = {
        bright: np.mean(
            [
                float(
                    paint_stroke(np.random.default_rng(n), grid, 12.0, scene.image, field, bright=bright)
                    .image[field > 0.3]
                    .mean()
                )
                for n in range(6)
            ]
        )
        for bright in (False, True)
    }
    assert 0.5 < means[False] < means[True]


def test_a_core_may_reach_beyond_what_shines(flat_scene):
    grid, scene, field = flat_scene
    shares = []
    for seed in range(10):
        painted = paint_core(np.random.default_rng(seed), grid, 12.0, scene.image, field, None)
        changed = (painted.image - scene.image).abs() > 0.05
        shares.append(float((changed & (field > 0)).sum() / (field > 0).sum()))
    assert min(shares) < 0.9


def test_noise_has_unit_variance_and_the_asked_grain():
    grid = PaintGrid((16, 64, 64), (32.0, 64.0, 64.0))
    coarse = smooth_noise(np.random.default_rng(1), grid, 24.0)
    fine = smooth_noise(np.random.default_rng(1), grid, 5.0)
    assert float(coarse.std()) == pytest.approx(1, abs=1e-3)
    assert float(fine.mean()) == pytest.approx(0, abs=1e-3)
    assert float(fine.diff(dim=2).abs().mean()) > 2 * float(coarse.diff(dim=2).abs().mean())


def test_slices_average_their_own_cells_only():
    matrix = slice_matrix(12, 4)
    assert matrix.sum(1).tolist() == pytest.approx([1.0] * 4)
    assert matrix[1].nonzero().flatten().tolist() == [3, 4, 5]
    gapped = slice_matrix(12, 4, coverage=1 / 3)
    assert gapped[1].nonzero().flatten().tolist() == [4]


@pytest.mark.parametrize("modality", [Modality.MR, Modality.CT])
def test_held_out_case_repeats_and_holds_the_drawn_volume(ball_heads, modality, monkeypatch):
    plans = []
    draw = held_out._draw_plan

    def remember(rng, kind):
        plans.append(draw(rng, kind))
        return plans[-1]

    monkeypatch.setattr(held_out, "_draw_plan", remember)
    volume, truth = held_out_case(5, modality)
    again, truth_again = held_out_case(5, modality)
    assert np.array_equal(volume.array, again.array)
    assert np.array_equal(truth.array, truth_again.array)
    assert volume.modality is modality
    assert volume.geometry.matches(truth.geometry)
    found = truth.voxel_count * truth.geometry.voxel_volume_ml
    assert found == pytest.approx(plans[-1].volume_ml, rel=0.15)
    assert 1.0 <= volume.geometry.spacing[2] <= 6.0


def test_held_out_ct_is_in_hounsfield_units(ball_heads):
    volume, truth = held_out_case(3, Modality.CT)
    around = volume.array[~truth.array]
    assert 30 < float(np.median(volume.array[truth.array])) < 100
    assert around.min() < -200 or 10 < np.median(around) < 60


def test_held_out_case_needs_a_modality(ball_heads):
    with pytest.raises(ValueError, match="either MR or CT"):
        held_out_case(1, Modality.UNKNOWN)
