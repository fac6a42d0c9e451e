"""What a user said reaches the coarse network's crop at the right place."""

import pytest
import torch

from hemaview.segmentation.compact.crops import COARSE_SHAPE, box_crop_3d
from hemaview.segmentation.compact.evidence import evidence_channel


@pytest.fixture
def placement():
    return box_crop_3d(torch.rand(40, 100, 100), (10, 30, 20), (26, 62, 84))[1]


def test_nothing_said_is_nothing_known(placement):
    channel = evidence_channel(placement)
    assert channel.shape == COARSE_SHAPE
    assert not channel.any()


def test_a_point_is_a_ball_round_its_place(placement):
    channel = evidence_channel(placement, points=[(18.0, 46.0, 52.0, True), (12.0, 35.0, 25.0, False)])
    axes = (placement.slices, placement.rows, placement.columns)
    for place, value in (((18.0, 46.0, 52.0), 1.0), ((12.0, 35.0, 25.0), -1.0)):
        cells = (channel == value).nonzero().float()
        assert 4 <= len(cells) <= 60
        expected = torch.tensor([axis.to_crop(p) for axis, p in zip(axes, place, strict=True)])
        assert float((cells.mean(0) - expected).abs().max()) < 0.6
    assert float((channel == 0).float().mean()) > 0.99


def test_a_slice_is_known_as_a_whole_and_its_neighbours_are_not(placement):
    mask = torch.zeros(100, 100, dtype=torch.bool)
    mask[40:50, 40:60] = True
    channel = evidence_channel(placement, slices=[(18, mask)])
    known = channel.abs().amax((1, 2)) > 0
    assert 1 <= int(known.sum()) <= 2
    plane = channel[known][0]
    row, column = round(placement.rows.to_crop(45)), round(placement.columns.to_crop(50))
    assert float(plane[row, column]) == 1.0
    assert float(plane[0, 0]) == -1.0


def test_a_rectangle_says_only_where_the_lesion_is_not(placement):
    channel = evidence_channel(placement, rectangles=[(18, (40.0, 40.0, 60.0, 50.0))])
    plane = channel[channel.abs().amax((1, 2)) > 0][0]
    row, column = round(placement.rows.to_crop(45)), round(placement.columns.to_crop(50))
    assert float(plane[row, column]) == 0.0
    assert float(plane[0, 0]) == -1.0
    assert float(channel.max()) == 0.0


def test_points_win_over_slices_and_what_lies_beyond_the_crop_is_left_out(placement):
    nothing = torch.zeros(100, 100, dtype=torch.bool)
    said = evidence_channel(placement, points=[(18.0, 46.0, 52.0, True)], slices=[(18, nothing)])
    assert float(said.max()) == 1.0
    far = evidence_channel(placement, points=[(-30.0, 46.0, 52.0, True)], slices=[(39, nothing), (0, nothing)])
    assert not far.any()


def test_a_thin_slice_of_many_still_marks_one_plane():
    _, placement = box_crop_3d(torch.rand(90, 60, 60), (5, 20, 20), (85, 40, 40))
    channel = evidence_channel(placement, slices=[(40, torch.ones(60, 60, dtype=torch.bool))])
    assert int((channel.abs().amax((1, 2)) > 0).sum()) == 1
