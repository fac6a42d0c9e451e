"""Local contrast for the eye, and values brought to a common scale."""

import numpy as np
import pytest

from hemaview.errors import ScanError
from hemaview.imaging.preprocessing import NormaliseMethod
from hemaview.imaging.preprocessing.contrast import local_contrast
from hemaview.imaging.preprocessing.normalise import normalise


@pytest.mark.parametrize("kind", ["T1", "CT"])
def test_local_contrast_spreads_the_brain_within_the_same_limits(head, kind):
    scan = head(kind, "crooked", noise=4)
    found = local_contrast(scan.volume)
    assert found.geometry == scan.volume.geometry
    before, after = scan.volume.array, found.array
    assert np.ptp(np.percentile(after[scan.brain], (10, 90))) > np.ptp(np.percentile(before[scan.brain], (10, 90)))
    low, high = (-20, 120) if kind == "CT" else np.percentile(before, (0, 100))
    assert after[scan.brain].min() >= low - 1 and after[scan.brain].max() <= high + 1


def test_air_and_bone_stay(head):
    scan = head("CT", noise=4)
    found = local_contrast(scan.volume).array
    before = scan.volume.array
    assert np.array_equal(found[before < -500], before[before < -500])
    assert np.array_equal(found[before > 500], before[before > 500])


@pytest.mark.parametrize("method", list(NormaliseMethod))
def test_a_haematoma_does_not_shift_the_scale_when_its_box_is_left_out(head, method):
    with_clot, without = head("T1", noise=10), head("T1", noise=10, clot_at=np.array([500.0, 0, 0]))
    white = without.white & with_clot.white
    kept = normalise(with_clot.volume, with_clot.brain, [with_clot.box], method).array[white].mean()
    shifted = normalise(with_clot.volume, with_clot.brain, (), method).array[white].mean()
    clean = normalise(without.volume, without.brain, [with_clot.box], method).array[white].mean()
    assert kept == pytest.approx(clean, abs=0.02)
    assert abs(shifted - clean) > abs(kept - clean)


def test_z_scores_are_z_scores(head):
    scan = head("FLAIR", noise=10)
    found = normalise(scan.volume, scan.brain, (), NormaliseMethod.Z_SCORE).array[scan.brain]
    assert found.mean() == pytest.approx(0, abs=1e-3)
    assert found.std() == pytest.approx(1, abs=1e-3)


def test_a_box_round_everything_is_not_left_out(head):
    scan = head("T1", noise=10)
    everything = (slice(None), slice(None), slice(None))
    assert np.isfinite(normalise(scan.volume, scan.brain, [everything]).array).all()


def test_ct_keeps_its_unit(head):
    scan = head("CT")
    with pytest.raises(ScanError, match="unit"):
        normalise(scan.volume, scan.brain)
