"""The depth search follows what the coarse network sees, and never runs away."""

import numpy as np
import pytest
import torch

from hemaview.segmentation.compact import crops
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer
from hemaview.segmentation.guided.depth import find_extent

SHAPE = (200, 60, 60)
SPACING = np.array([1.0, 1.0, 1.0])


class Seer:
    """A coarse network that sees ``mask`` as it is."""

    def __init__(self, mask):
        self.mask = torch.from_numpy(mask.astype(np.float32))
        self.asked = []

    def __call__(self, box):
        self.asked.append(box)
        _, placement = crops.box_crop_3d(self.mask, box.lower, box.upper, box.open_axis)
        axes = (placement.slices, placement.rows, placement.columns)
        k, j, i = (axis.sampling_matrix(n) for axis, n in zip(axes, self.mask.shape, strict=True))
        seen = j @ torch.einsum("kz,zyx->kyx", k, self.mask) @ i.T
        # Beyond the scan the edge voxel is repeated; a network learned that nothing lies there.
        for axis, placed in enumerate(axes):
            positions = placed.first + placed.step * torch.arange(placed.count)
            beyond = (positions < -0.5) | (positions > self.mask.shape[axis] - 0.5)
            seen[tuple(beyond if n == axis else slice(None) for n in range(3))] = 0
        return CoarseAnswer((seen - 0.5) * 20, placement)


def column(first, last, lower=20, upper=40):
    mask = np.zeros(SHAPE, bool)
    mask[first : last + 1, lower:upper, lower:upper] = True
    return mask


def rectangle_on(drawn, half):
    return Box((drawn - half, 19.5, 19.5), (drawn + half, 39.5, 39.5), open_axis=0)


@pytest.mark.parametrize(
    ("first", "last", "half"), [(92, 108, 10), (85, 115, 10), (97, 103, 10), (99, 101, 10), (95, 122, 5)]
)
def test_extent_is_found_from_shorter_and_longer_guesses(first, last, half):
    seer = Seer(column(first, last))
    extent = find_extent(seer, rectangle_on(100.0, half), 100.0, SHAPE, SPACING)
    assert extent.found
    assert extent.lower == pytest.approx(first - 0.5, abs=1.5)
    assert extent.upper == pytest.approx(last + 0.5, abs=1.5)
    assert len(seer.asked) <= 4


def test_endless_structure_is_cut_by_the_guard_and_said_so():
    seer = Seer(column(0, 199))
    extent = find_extent(seer, rectangle_on(100.0, 10), 100.0, SHAPE, SPACING)
    assert extent.upper - extent.lower <= 2.5 * 20 + 1e-9
    assert len(seer.asked) <= 4


def test_depth_ends_at_the_scan_without_a_warning():
    seer = Seer(column(0, 12))
    extent = find_extent(seer, rectangle_on(4.0, 10), 4.0, SHAPE, SPACING)
    assert extent.lower == pytest.approx(-0.5)
    assert extent.upper == pytest.approx(12.5, abs=1.5)
    assert not extent.reached_limit


def test_nothing_seen_leaves_the_guess():
    box = rectangle_on(100.0, 10)
    extent = find_extent(Seer(np.zeros(SHAPE, bool)), box, 100.0, SHAPE, SPACING)
    assert (extent.lower, extent.upper, extent.found) == (90.0, 110.0, False)


def test_neighbour_that_does_not_pass_through_the_drawn_slice_is_ignored():
    mask = column(95, 105)
    mask[108:112, 20:40, 20:40] = True
    extent = find_extent(Seer(mask), rectangle_on(100.0, 10), 100.0, SHAPE, SPACING)
    assert extent.upper == pytest.approx(105.5, abs=1.5)


def test_bright_structure_beside_the_rectangle_does_not_lengthen_it():
    mask = column(95, 105)
    mask[60:140, 42:50, 20:40] = True
    extent = find_extent(Seer(mask), rectangle_on(100.0, 10), 100.0, SHAPE, SPACING)
    assert extent.lower == pytest.approx(94.5, abs=1.5)
    assert extent.upper == pytest.approx(105.5, abs=1.5)


def test_closed_box_has_no_depth_to_find():
    with pytest.raises(ValueError, match="known"):
        find_extent(Seer(column(1, 2)), rectangle_on(4.0, 3).closed(), 4.0, SHAPE, SPACING)
