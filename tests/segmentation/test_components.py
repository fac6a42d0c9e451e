"""Pieces of a slice become rectangles, and stray pieces leave the answer."""

import numpy as np

from hemaview.segmentation.guided.components import clipped, keep_lesion, reach_box, reaches_box, slice_rectangles


def test_every_piece_gets_its_rectangle_largest_first():
    mask = np.zeros((40, 50), bool)
    mask[5:10, 3:8] = True
    mask[20:35, 20:40] = True
    assert slice_rectangles(mask, grow=1) == [(18.5, 18.5, 40.5, 35.5), (1.5, 3.5, 8.5, 10.5)]


def test_crumbs_are_left_out_and_an_empty_slice_has_none():
    mask = np.zeros((40, 50), bool)
    mask[20:35, 20:40] = True
    mask[2, 2] = True
    assert len(slice_rectangles(mask)) == 1
    assert slice_rectangles(np.zeros((4, 4), bool)) == []


def test_overlapping_rectangles_are_joined():
    mask = np.zeros((40, 50), bool)
    mask[5:30, 5] = mask[29, 5:30] = True
    mask[10:20, 12:22] = True
    assert slice_rectangles(mask, grow=0) == [(4.5, 4.5, 29.5, 29.5)]


def test_small_stray_pieces_are_dropped_and_larger_ones_kept():
    probability = np.zeros((6, 20, 20), np.float32)
    probability[1:5, 2:12, 2:12] = 0.9
    probability[2, 15, 15] = 0.9
    probability[1:4, 15:18, 3:8] = 0.8
    everything = (slice(0, 6), slice(0, 20), slice(0, 20))
    kept = keep_lesion(probability, everything)
    assert kept[2, 15, 15] == 0
    assert kept[2, 16, 4] == np.float32(0.8)
    assert kept[2, 5, 5] == np.float32(0.9)


def test_what_lies_outside_the_box_alone_is_dropped_even_when_large():
    probability = np.zeros((6, 20, 20), np.float32)
    probability[:, :, 16:] = 0.9
    probability[2:4, 5:8, 5:8] = 0.9
    kept = keep_lesion(probability, (slice(1, 5), slice(3, 12), slice(3, 12)))
    assert not kept[:, :, 16:].any()
    assert kept[2, 6, 6] == np.float32(0.9)


def disc(core, rim, size=20):
    """A picture with ``core`` in the middle half of a box from 5 to 15 and ``rim`` round it."""
    picture = np.zeros((size, size), np.float32)
    picture[5:15, 5:15] = rim
    picture[8:12, 8:12] = core
    return picture


INSIDE = (slice(5, 15), slice(5, 15))


def test_answer_that_reaches_its_box_is_left_alone():
    picture = disc(0.9, 0.8)
    assert reach_box(picture, 10, 10, INSIDE) is picture


def test_cautious_answer_is_raised_until_it_reaches_its_box():
    raised = reach_box(disc(0.9, 0.3), 10, 10, INSIDE)
    assert np.array_equal(raised > 0.5, disc(1, 1) > 0.5)
    assert raised[9, 9] > raised[6, 6]
    assert raised[0, 0] == 0


def test_raising_stops_where_the_answer_is_a_clear_no():
    raised = reach_box(disc(0.9, 0.02), 10, 10, INSIDE)
    assert np.array_equal(raised > 0.5, disc(0.9, 0) > 0.5)
    assert not reaches_box(disc(0.9, 0.02), 10, 10)
    assert reaches_box(disc(0.9, 0.2), 10, 10)


def test_nothing_found_becomes_a_first_guess_inside_the_box():
    raised = reach_box(disc(0.03, 0.001), 10, 10, INSIDE)
    assert 0 < np.count_nonzero(raised > 0.5) <= 25
    assert raised[9, 9] > 0.5


def test_volume_is_raised_as_a_whole():
    volume = np.stack([disc(0.9, 0.3), disc(0.9, 0.0), disc(0.3, 0.0)])
    raised = reach_box(volume, 10, 10, (slice(0, 3), *INSIDE))
    assert (raised[0] > 0.5).sum() == 100
    assert (raised[2] > 0.5).sum() == 16


def test_rectangles_are_kept_near_their_limits_and_empty_limits_stand_for_themselves():
    limits = [(0.0, 0.0, 10.0, 20.0), (50.0, 50.0, 60.0, 60.0)]
    assert clipped([(-5.0, 2.0, 8.0, 30.0)], limits) == [(-1.5, 2.0, 8.0, 23.0), (50.0, 50.0, 60.0, 60.0)]
