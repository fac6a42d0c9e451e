"""What the networks see of a scan, and how their answers go back to its voxels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hemaview.segmentation.compact import crops


def disc(shape, centre, radius, spacing=(1.0, 1.0)):
    """A filled ellipse that is a circle in millimetres."""
    y, x = torch.meshgrid(torch.arange(shape[0]), torch.arange(shape[1]), indexing="ij")
    return (((x - centre[0]) * spacing[0]) ** 2 + ((y - centre[1]) * spacing[1]) ** 2 < radius**2).float()


def ball(shape, centre, radii):
    grids = torch.meshgrid(*[torch.arange(n) for n in shape], indexing="ij")
    return (sum(((g - c) / r) ** 2 for g, c, r in zip(grids, centre, radii, strict=True)) < 1).float()


def dice(a, b):
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@settings(max_examples=10, deadline=None)
@given(
    x=st.floats(20, 100),
    y=st.floats(20, 80),
    radius=st.floats(9, 40),
    ratio=st.floats(0.5, 2.0),
)
def test_fine_crop_and_its_return_reproduce_a_disc(x, y, radius, ratio):
    spacing = (1.0, ratio)
    picture = disc((100, 120), (x, y), radius, spacing)
    box = (x - radius, y - radius / ratio, x + radius, y + radius / ratio)
    crop, _, placement = crops.box_crop_2d(picture, box, spacing)
    edge = (crop[0].max() + crop[0].min()) / 2
    back = crops.place_2d(crop[0] - edge, placement, (slice(0, 100), slice(0, 120)), -9.0)
    assert dice(back > 0, picture > 0.5) > 0.93


def test_fine_crop_is_square_in_millimetres_and_keeps_the_box_in_place():
    picture = disc((200, 100), (50, 100), 20, (1.0, 0.4))
    crop, box, _ = crops.box_crop_2d(picture, (30, 50, 70, 150), (1.0, 0.4))
    assert crop.shape == (1, 96, 96)
    x0, y0, x1, y1 = box.tolist()
    assert x1 - x0 == pytest.approx(y1 - y0, abs=1e-4)
    assert x1 - x0 == pytest.approx(96 / crops.FINE_CONTEXT, abs=1e-3)
    assert (x0 + x1) / 2 == pytest.approx(47.5, abs=1e-4)
    inside = crop[0] > 0
    rows, columns = inside.any(1).nonzero().flatten(), inside.any(0).nonzero().flatten()
    assert abs(int(rows[0]) - y0) <= 1.5
    assert abs(int(columns[-1]) - x1) <= 1.5


def test_a_tiny_box_still_shows_its_surroundings():
    crop, box, _ = crops.box_crop_2d(torch.rand(50, 50), (24.5, 24.5, 25.5, 25.5))
    assert float(box[2] - box[0]) == pytest.approx(96 / crops.FINE_MIN_SIDE_PX, abs=1e-3)
    assert torch.isfinite(crop).all()


@settings(max_examples=8, deadline=None)
@given(
    centre=st.tuples(st.floats(10, 20), st.floats(30, 70), st.floats(30, 70)),
    radii=st.tuples(st.floats(4, 8), st.floats(10, 30), st.floats(10, 30)),
)
def test_coarse_crop_and_its_return_reproduce_a_ball(centre, radii):
    shape = (30, 100, 100)
    solid = ball(shape, centre, radii)
    lower = [c - r for c, r in zip(centre, radii, strict=True)]
    upper = [c + r for c, r in zip(centre, radii, strict=True)]
    crop, placement = crops.box_crop_3d(solid, lower, upper)
    edge = (crop[0].max() + crop[0].min()) / 2
    back = crops.place_3d(crop[0] - edge, placement, (slice(0, 30), slice(0, 100), slice(0, 100)), -9.0)
    assert dice(back > 0, solid > 0.5) > 0.85


def test_box_channel_marks_the_box_or_the_open_rectangle():
    array = torch.rand(20, 60, 60)
    closed, _ = crops.box_crop_3d(array, (5, 20, 20), (15, 40, 50))
    assert closed.shape == (2, *crops.COARSE_SHAPE)
    assert closed[1].unique().tolist() == [0.0, 1.0]
    assert float(closed[1].mean()) == pytest.approx(1 / crops.COARSE_CONTEXT**3, rel=0.1)
    opened, _ = crops.box_crop_3d(array, (5, 20, 20), (15, 40, 50), open_axis=0)
    assert opened[1].unique().tolist() == [0.0, crops.OPEN_BOX_VALUE]
    assert bool((opened[1].amax((1, 2)) == crops.OPEN_BOX_VALUE).all())


def test_normalisation_ignores_scale_offset_and_what_shines_outside_the_box():
    generator = torch.Generator().manual_seed(1)
    crop = torch.rand(96, 96, generator=generator)
    inside = torch.zeros(96, 96, dtype=torch.bool)
    inside[20:70, 20:70] = True
    plain = crops.normalise(crop, inside)
    assert torch.allclose(crops.normalise(crop * 700 - 90, inside), plain, atol=1e-3)
    bright = crop.clone()
    bright[:5] = 1e6
    assert float(crops.normalise(bright, inside)[inside].std()) > 0.3 * float(plain[inside].std())
    assert not crops.normalise(torch.full((96, 96), 7.0), inside).any()


def test_only_ct_numbers_are_limited_to_soft_tissue():
    ct = torch.tensor([-1000.0, 40.0, 70.0, 1500.0])
    low, high = crops.HOUNSFIELD_LIMITS
    assert crops.clip_hounsfield(ct).tolist() == [low, 40.0, 70.0, high]
    mr = torch.tensor([0.0, 400.0, 3000.0])
    assert crops.clip_hounsfield(mr) is mr


def test_sampling_an_array_lies_on_the_crop_of_the_image():
    shape = (24, 80, 80)
    solid = ball(shape, (12, 40, 40), (6, 15, 20))
    crop, placement = crops.box_crop_3d(solid, (6, 25, 20), (18, 55, 60))
    sampled = crops.sample_3d(solid, placement)
    assert sampled.shape == crops.COARSE_SHAPE
    assert dice(sampled > 0.5, crop[0] > (crop[0].max() + crop[0].min()) / 2) > 0.95


def test_mask_prompt_lies_where_the_coarse_answer_lies():
    shape = (24, 80, 80)
    solid = ball(shape, (12, 40, 40), (6, 15, 20))
    _, placement = crops.box_crop_3d(solid, (6, 25, 20), (18, 55, 60))
    logits = (crops.sample_3d(solid, placement) - 0.5) * 10
    fine, _, fine_placement = crops.box_crop_2d(solid[12], (20, 25, 60, 55))
    prompt = crops.coarse_prompt(logits, placement, fine_placement, 12)
    assert prompt.shape == (1, 96, 96)
    assert dice(prompt[0] > 0, fine[0] > 0) > 0.9
    far = crops.coarse_prompt(logits, placement, fine_placement, 0)
    assert bool((far == crops.OUTSIDE_LOGIT).all())


def test_resampling_repeats_the_edge_and_averages_when_reducing():
    line = torch.tensor([1.0, 1.0, 5.0, 5.0])
    matrix = crops.Axis.spanning(-4.5, 3.5, 8).sampling_matrix(4)
    assert matrix.sum(1).numpy() == pytest.approx(np.ones(8))
    assert (matrix @ line)[:5].tolist() == [1.0] * 5
    reduced = crops.Axis.spanning(-0.5, 3.5, 2).sampling_matrix(4) @ line
    assert 1.0 <= float(reduced[0]) < 3.0 < float(reduced[1]) <= 5.0
