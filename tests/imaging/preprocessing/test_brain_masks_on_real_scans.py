"""The brain mask by shape on real scans, as far as they come with a mask to compare with."""

import numpy as np
import pytest

from hemaview.imaging.preprocessing import brain_mask
from hemaview.imaging.reading import read_scan


@pytest.mark.parametrize("sequence", ["Flair", "T1c"])
def test_a_scan_without_skull_keeps_its_brain(shared_data, overlap, sequence):
    folder = shared_data / "mr_lesion" / "deepmedic_brats2013_pat0001"
    truth = read_scan(folder / "brainmask.nii.gz").array > 0.5
    assert overlap(brain_mask(read_scan(folder / f"{sequence}_subtrMeanDivStd.nii.gz")).array, truth) > 0.99


def test_a_head_with_skull_gives_its_brain(shared_data):
    folder = shared_data / "templates" / "mricron_colin27"
    found = brain_mask(read_scan(folder / "ch2.nii.gz"))
    labelled = read_scan(folder / "aal.nii.gz").array > 0
    assert np.mean(found.array[labelled]) > 0.97
    assert 1700 < read_scan(folder / "ch2.nii.gz").geometry.volume_ml(found.array) < 2050
    assert found.notes == ()


def test_a_tilted_ct_with_uneven_slices_gives_its_brain(shared_data):
    scan = read_scan(shared_data / "dicom_series" / "ge_hispeed_ct_head_tilt.zip")
    found = brain_mask(scan)
    assert scan.geometry.is_uneven and scan.geometry.is_sheared
    assert 1300 < scan.geometry.volume_ml(found.array) < 1700
    inside = scan.array[found.array]
    assert np.mean((inside > -20) & (inside < 120)) > 0.98


@pytest.mark.parametrize("patient", ["0001", "0006", "0021", "0088"])
def test_no_haematoma_is_cut_away_on_pictures_of_ct(shared_data, patient):
    folder = shared_data / "ct_ich" / "phe_sich_stacks"
    found = brain_mask(read_scan(folder / f"phe_sich_{patient}_ct_grey8.nii.gz"))
    blood = read_scan(folder / f"phe_sich_{patient}_haematoma_mask_derived.nii.gz").array > 0.5
    assert np.mean(found.array[blood]) > 0.99
