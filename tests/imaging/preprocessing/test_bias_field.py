"""N4 takes a planted field out and leaves the haematoma alone."""

import numpy as np
import pytest

from hemaview.errors import Cancelled, ScanError
from hemaview.imaging import Modality, Volume
from hemaview.imaging.preprocessing.bias_field import correct_bias


def halves_apart(values: np.ndarray, head) -> float:
    """Difference of the white matter's two halves, as a share of its mean."""
    left = np.zeros_like(head.white)
    left[:, :, : values.shape[2] // 2] = True
    a, b = values[head.white & left].mean(), values[head.white & ~left].mean()
    return abs(a - b) / values[head.white].mean()


def clot_contrast(values: np.ndarray, head) -> float:
    near = head.clot & (values > 0)
    return values[near].mean() / values[head.white].mean()


@pytest.mark.parametrize("grid", ["even", "crooked"])
def test_a_planted_field_is_recovered(head, grid):
    scan = head("T1", grid, noise=8, field=0.8)
    corrected = correct_bias(scan.volume, [scan.box])
    assert halves_apart(scan.volume.array, scan) > 0.15
    assert halves_apart(corrected.array, scan) < 0.03
    white = corrected.array[scan.white]
    assert white.std() / white.mean() < 0.5 * scan.volume.array[scan.white].std() / scan.volume.array[scan.white].mean()


@pytest.mark.parametrize("kind", ["T1", "T2", "FLAIR"])
def test_the_haematoma_keeps_its_contrast_when_its_box_is_left_out(head, kind):
    scan = head(kind, noise=8)
    corrected = correct_bias(scan.volume, [scan.box])
    before, after = clot_contrast(scan.volume.array, scan), clot_contrast(corrected.array, scan)
    assert abs(after / before - 1) < 0.05


def test_grid_name_and_brightness_stay(head):
    scan = head("T1", field=0.3)
    corrected = correct_bias(scan.volume, [scan.box])
    assert corrected.geometry == scan.volume.geometry
    assert corrected.array.dtype == np.float32
    assert corrected.array[scan.brain].mean() == pytest.approx(scan.volume.array[scan.brain].mean(), rel=0.1)


def test_a_ct_and_a_normalised_scan_are_refused(head):
    with pytest.raises(ScanError, match="CT"):
        correct_bias(head("CT").volume)
    scan = head("T1")
    shifted = Volume(scan.volume.array - scan.volume.array[scan.brain].mean(), scan.volume.geometry, Modality.MR)
    with pytest.raises(ScanError, match="positive"):
        correct_bias(shifted)


def test_it_need_not_be_waited_for(head):
    asked = []

    def stop(fraction: float) -> None:
        asked.append(fraction)
        raise Cancelled

    with pytest.raises(Cancelled):
        correct_bias(head("T1").volume, progress=stop)
    assert len(asked) == 1
