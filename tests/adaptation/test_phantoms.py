"""Synthetic lesions: repeatable, irregular, visible, and of exactly the stated volume."""

import numpy as np
import pytest
import torch

from hemaview.adaptation.phantoms import SAMPLE_SHAPE, box_fill, held_out, held_out_case, training_sample
from hemaview.adaptation.phantoms.acquisition import slice_matrix
from hemaview.adaptation.phantoms.fields import PaintGrid, smooth_noise
from hemaview.adaptation.phantoms.shapes import FAMILIES, lesion_field
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
