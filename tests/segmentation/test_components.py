"""Pieces of a slice become rectangles, and stray pieces leave the answer."""

import numpy as np

from hemaview.segmentation.compact.components import keep_lesion, slice_rectangles


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
