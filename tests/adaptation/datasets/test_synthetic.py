"""Made-up scanners, and that made-up patients are called so."""

import numpy as np
import pytest

from hemaview.adaptation.datasets import DataError, Scanner, synthetic_scans
from hemaview.adaptation.datasets.synthetic import OTHER_HOSPITAL
from hemaview.imaging import Geometry, Modality, Volume


@pytest.fixture
def volume():
    array = np.random.default_rng(4).integers(100, 900, (8, 60, 50)).astype(np.int16)
    array[:, :, 25:] += 600
    return Volume(array, Geometry((50, 60, 8), (0.8, 0.8, 4.0)), Modality.MR, "phantom")


def test_a_plain_scanner_changes_nothing(volume):
    assert Scanner().picture(volume, 1) is volume


def test_a_scanner_gives_the_same_picture_again_and_another_one_for_another_patient(volume):
    first, again, other = (OTHER_HOSPITAL.picture(volume, seed).array for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).mean() > 0.5


@pytest.mark.parametrize(
    ("scanner", "measure"),
    [
        (Scanner(noise=0.1), lambda array: array[:, :, 30:].std()),
        (Scanner(gamma=0.6), lambda array: array[:, :, :20].mean()),
        (Scanner(inverted=True), lambda array: array[:, :, :20].mean()),
    ],
)
def test_each_setting_raises_what_it_says(volume, scanner, measure):
    assert measure(scanner.picture(volume, 1).array) > 1.02 * measure(volume.array)


def test_blur_and_shading_do_what_they_say(volume):
    blurred = Scanner(blur_mm=2.0).picture(volume, 1).array
    assert blurred[:, :, 30:].std() < 0.5 * volume.array[:, :, 30:].std()
    shaded = Scanner(bias=0.5).picture(volume, 1).array.astype(float)
    rows = shaded[:, :, 30:].mean(axis=(1, 2))
    assert rows.std() > 3 * volume.array[:, :, 30:].mean(axis=(1, 2)).std()


def test_made_up_patients_are_called_synthetic():
    scans = synthetic_scans(3)
    assert len({scan.patient for scan in scans}) == 3
    assert all("synthetic" in text for scan in scans for text in (scan.patient, scan.case, scan.origin))
    with pytest.raises(DataError, match="At least one"):
        synthetic_scans(0)


@pytest.mark.slow
def test_a_phantom_is_painted_again_in_the_same_way():
    pytest.importorskip("nilearn", reason="phantoms are painted on nilearn's template")
    scan = synthetic_scans(1, Modality.CT)[0]
    (volume, mask), (again, _) = scan.load(), scan.load()
    assert (volume.array == again.array).all()
    assert mask.voxel_count > 0
    assert "synthetic" in volume.name
