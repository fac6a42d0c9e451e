"""Scans without skull are told from whole heads, and scans say what has to be known of them."""

from dataclasses import replace

import numpy as np
import pytest

from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.imaging.scan_advice import reading_advice, scan_advice
from hemaview.imaging.sequence import Sequence, SequenceGuess
from hemaview.imaging.skull_stripping import removed_value, touches_removed

GRID = Geometry((96, 112, 80), (2, 2, 2))


def _ellipsoid(*radii_mm):
    k, j, i = np.ogrid[:80, :112, :96]
    a, b, c = radii_mm
    return ((i - 47.5) * 2 / a) ** 2 + ((j - 55.5) * 2 / b) ** 2 + ((k - 39.5) * 2 / c) ** 2 < 1


def _scan(body, background, noise=0.0):
    rng = np.random.default_rng(0)
    array = np.where(body, rng.uniform(200, 900, body.shape), background + noise * rng.random(body.shape))
    return Volume(array.astype(np.float32), GRID, Modality.MR)


BRAIN = _ellipsoid(65, 85, 65)
HEAD = _ellipsoid(85, 105, 78)


@pytest.mark.parametrize("background", [0.0, -3.62])
def test_a_brain_in_constant_surroundings_has_no_skull(background):
    assert removed_value(_scan(BRAIN, background)) == pytest.approx(background)


@pytest.mark.parametrize(
    "scan",
    [_scan(HEAD, 0.0), _scan(BRAIN, 0.0, noise=5.0), _scan(np.zeros_like(BRAIN), 0.0)],
    ids=["head", "noisy air", "nothing"],
)
def test_anything_else_counts_as_a_whole_head(scan):
    assert removed_value(scan) is None


def test_a_scan_of_a_part_of_the_head_is_not_judged():
    slab = Volume(_scan(BRAIN, 0.0).array[30:50], Geometry((96, 112, 20), (2, 2, 2)), Modality.MR)
    assert removed_value(slab) is None


def test_a_mask_at_the_cut_may_lack_a_part():
    scan = _scan(BRAIN, 0.0)
    inner, outer = (LabelMap(BRAIN & mask, GRID) for mask in (_ellipsoid(20, 20, 20), _ellipsoid(90, 20, 20)))
    assert not touches_removed(inner, scan)
    assert touches_removed(outer, scan)
    assert not touches_removed(LabelMap.empty(GRID), scan)
    assert any("cut away" in sentence for sentence in reading_advice(Sequence.T1, scan, outer))
    assert reading_advice(Sequence.T1, scan, inner) == ()
    assert reading_advice(Sequence.T1, None, outer) == ()


def test_a_scan_says_what_has_to_be_known_of_it():
    plain = _scan(HEAD, 0.0).taken_for(SequenceGuess(Sequence.T2))
    assert scan_advice(plain) == ()
    assert "too large" in scan_advice(plain.taken_for(SequenceGuess(Sequence.SWI)))[0]
    assert "not in HU" in scan_advice(plain.taken_for(SequenceGuess.chosen(Sequence.CT)))[0]
    assert scan_advice(replace(plain, modality=Modality.CT, hounsfield=True, sequence=SequenceGuess())) == ()
    assert "choose it" in scan_advice(plain.taken_for(SequenceGuess()))[0]
    assert "skull" in scan_advice(_scan(BRAIN, 0.0))[0]
