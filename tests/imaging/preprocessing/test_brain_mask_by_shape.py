"""The brain found without learned weights, against heads whose brain is known."""

import numpy as np
import pytest

from hemaview.errors import Cancelled, ScanError
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.preprocessing import brain_mask


@pytest.mark.parametrize(("kind", "least"), [("T1", 0.95), ("T2", 0.92), ("FLAIR", 0.95)])
def test_an_mr_brain_is_found_whatever_the_contrast(head, overlap, kind, least):
    scan = head(kind, noise=15)
    found = brain_mask(scan.volume)
    assert overlap(found.array, scan.brain) > least
    assert np.mean(found.array[scan.clot]) > 0.99


@pytest.mark.parametrize("grid", ["thick", "crooked"])
def test_slices_that_are_thick_uneven_or_tilted_do_not_move_the_brain(head, overlap, grid):
    scan = head("T1", grid, noise=15)
    found = brain_mask(scan.volume)
    assert overlap(found.array, scan.brain) > 0.9
    assert any("slices this thick" in note for note in found.notes)


@pytest.mark.parametrize("grid", ["even", "thick", "crooked"])
def test_on_ct_the_brain_is_what_bone_encloses(head, overlap, grid):
    scan = head("CT", grid, noise=4)
    found = brain_mask(scan.volume)
    assert overlap(found.array, scan.brain) > 0.95
    assert np.mean(found.array[scan.clot]) > 0.99


def test_muscle_below_the_skull_is_no_brain(head):
    scan = head("CT", noise=4)
    lowest = scan.brain.any(axis=(1, 2)).argmax()
    below = brain_mask(scan.volume).array[: lowest - 4]
    assert np.count_nonzero(below) * 0.0156 < 8


def test_a_skull_with_a_piece_taken_out_still_holds_its_brain(head, overlap):
    scan = head("CT", noise=4)
    array = scan.volume.array.copy()
    i = np.arange(array.shape[2])[None, None, :]
    j = np.arange(array.shape[1])[None, :, None]
    array[(array > 500) & (i > 48) & (j > 32) & (j < 52)] = 30
    found = brain_mask(Volume(array, scan.volume.geometry, Modality.CT))
    assert overlap(found.array, scan.brain) > 0.93


def test_an_eight_bit_picture_of_a_ct_is_understood(head, overlap):
    scan = head("CT")
    grey = np.clip((scan.volume.array + 10) / 110 * 255, 0, 255)
    found = brain_mask(Volume(grey.astype(np.int16), scan.volume.geometry, Modality.CT, hounsfield=False))
    assert overlap(found.array, scan.brain) > 0.93


def test_a_brain_that_was_cut_out_before_stays_as_it_is(head, overlap):
    scan = head("T1", noise=15)
    cut = np.where(scan.brain, scan.volume.array, np.float32(-3.6))
    assert overlap(brain_mask(Volume(cut, scan.volume.geometry, Modality.MR)).array, scan.brain) > 0.999


def test_where_no_brain_is_nothing_is_made_up():
    empty = Volume(np.full((20, 64, 64), -1000, np.float32), Geometry((64, 64, 20), (3.0, 3.0, 5.0)), Modality.CT)
    with pytest.raises(ScanError, match="No brain"):
        brain_mask(empty)


def test_a_mask_of_an_unusual_size_says_so(head):
    small = head("CT", noise=4).volume
    geometry = Geometry(small.geometry.size, (1.2, 1.2, 1.2))
    assert any("unusual" in note for note in brain_mask(Volume(small.array, geometry, Modality.CT)).notes)


def test_it_can_be_cancelled_at_once(head):
    def stop(fraction: float) -> None:
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        brain_mask(head("T1").volume, stop)
