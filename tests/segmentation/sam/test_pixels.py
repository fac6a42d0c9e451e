"""Boxes, points and masks on their way between a slice's pixels and the network's square."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hemaview.imaging import Geometry
from hemaview.segmentation import BoxPrompt
from hemaview.segmentation.sam.pixels import inclusive_box, scale_boxes, scale_points, slice_probability

ORIENTATIONS = {
    "LPS": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "RAS": (-1, 0, 0, 0, -1, 0, 0, 0, 1),
    "sagittal": (0, 0, 1, 1, 0, 0, 0, 1, 0),
    "oblique": (0.8, 0, -0.6, 0, 1, 0, 0.6, 0, 0.8),
}


def test_box_scaling_vector():
    found = scale_boxes([(100, 120, 220, 260)], 512, 384, 1024)
    assert found.dtype == torch.float32
    assert found.shape == (1, 4)
    assert torch.allclose(found, torch.tensor([[200, 320, 440, 693.3333]]))


def test_points_scale_as_boxes_do():
    assert torch.allclose(scale_points([(100, 120)], 512, 384, 1024), torch.tensor([[200.0, 320.0]]))
    assert scale_points([], 512, 384, 1024).shape == (0, 2)


def test_faces_become_first_and_last_pixel():
    assert inclusive_box((9.5, 19.5, 14.5, 20.5)) == (10, 20, 14, 20)


def test_a_rectangle_thinner_than_a_pixel_becomes_its_middle():
    assert inclusive_box((3.0, 4.0, 3.5, 8.0)) == (3.25, 4.5, 3.25, 7.5)


@pytest.mark.parametrize("name", ORIENTATIONS)
@given(low=st.tuples(*[st.integers(0, 20)] * 3), side=st.tuples(*[st.integers(1, 15)] * 3))
def test_a_mask_of_whole_voxels_gives_medsams_box_in_every_orientation(name, low, side):
    geometry = Geometry((40, 36, 40), (0.5, 0.8, 5.0), (3.0, -80.0, 12.0), ORIENTATIONS[name])
    faces = np.array(low) - 0.5
    prompt = BoxPrompt.from_index_bounds(geometry, faces, faces + side)
    lower, upper = prompt.index_bounds(geometry)
    box = inclusive_box((lower[0], lower[1], upper[0], upper[1]))
    first, last = low[:2], [low[n] + side[n] - 1 for n in range(2)]
    assert np.allclose(box, (*first, *last), atol=1e-6)


def test_probability_is_sigmoid_then_bilinear():
    logits = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 6
    found = slice_probability(logits, 30, 40)
    assert found.shape == (2, 30, 40)
    expected = torch.nn.functional.interpolate(torch.sigmoid(logits), (30, 40), mode="bilinear", align_corners=False)
    assert torch.equal(found, expected[:, 0])
    # Enlarging logits instead puts the border elsewhere, which is why the order matters.
    other = torch.nn.functional.interpolate(logits, (30, 40), mode="bilinear", align_corners=False)[:, 0] > 0
    assert ((found > 0.5) != other).any()
