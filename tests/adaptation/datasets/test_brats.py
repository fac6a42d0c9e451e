"""BraTS folders of all years: which files, which labels, which patient."""

import pytest

from hemaview.adaptation.datasets import DataError, Region, brats_scans
from hemaview.imaging import Modality

LAYOUTS = {
    "2013": (
        "brats_2013_pat0005_1",
        "brats_2013_pat0005",
        "VSD.Brain.XX.O.MR_Flair.54512/VSD.Brain.XX.O.MR_Flair.54512.mha",
        "VSD.Brain.XX.O.MR_T1c.54514/VSD.Brain.XX.O.MR_T1c.54514.mha",
        "VSD.Brain_3more.XX.O.OT.54517/VSD.Brain_3more.XX.O.OT.54517.mha",
    ),
    "2018": (
        "Brats18_TCIA01_101_1",
        "Brats18_TCIA01_101",
        "Brats18_TCIA01_101_1_flair.nii.gz",
        "Brats18_TCIA01_101_1_t1ce.nii.gz",
        "Brats18_TCIA01_101_1_seg.nii.gz",
    ),
    "2020": (
        "BraTS20_Training_355",
        "BraTS20_Training_355",
        "BraTS20_Training_355_flair.nii",
        "BraTS20_Training_355_t1ce.nii",
        "W39_1998.09.19_Segm.nii",
    ),
    "2021": (
        "BraTS2021_00012",
        "BraTS2021_00012",
        "BraTS2021_00012_flair.nii.gz",
        "BraTS2021_00012_t1ce.nii.gz",
        "BraTS2021_00012_seg.nii.gz",
    ),
    "2023": (
        "BraTS-GLI-00005-001",
        "BraTS-GLI-00005",
        "BraTS-GLI-00005-001-t2f.nii.gz",
        "BraTS-GLI-00005-001-t1c.nii.gz",
        "BraTS-GLI-00005-001-seg.nii.gz",
    ),
}
# Voxels per region, from labels 4 in 8, 3 in 10, 1 in 12 and 2 in 14 voxels.
SIZES = {
    "2013": {Region.WHOLE: 44, Region.CORE: 30, Region.ENHANCING: 8},
    "2018": {Region.WHOLE: 44, Region.CORE: 20, Region.ENHANCING: 8},
    "2020": {Region.WHOLE: 44, Region.CORE: 20, Region.ENHANCING: 8},
    "2021": {Region.WHOLE: 44, Region.CORE: 20, Region.ENHANCING: 8},
    "2023": {Region.WHOLE: 36, Region.CORE: 22, Region.ENHANCING: 10},
}


@pytest.mark.parametrize("year", LAYOUTS)
def test_every_year_is_read(tmp_path, save_scan, picture, labels, year):
    folder, patient, flair, t1c, mask = LAYOUTS[year]
    for number, name in enumerate((flair, t1c)):
        save_scan(tmp_path / folder / name, picture(number))
    save_scan(tmp_path / folder / mask, labels)
    (tmp_path / folder / "notes.txt").write_text("nothing")
    for region, sequence, number in ((Region.WHOLE, "flair", 0), (Region.CORE, "t1c", 1), (Region.ENHANCING, "t1c", 1)):
        (scan,) = brats_scans(tmp_path, region)
        assert (scan.patient, scan.case, scan.sequence) == (patient, f"{folder} {sequence}", sequence)
        volume, found = scan.load()
        assert found.voxel_count == SIZES[year][region]
        assert (volume.array == picture(number)).all()
        assert volume.modality is Modality.MR
        assert region in scan.origin


def test_follow_ups_belong_to_one_patient_and_sequences_can_be_chosen(tmp_path, save_scan, picture, labels):
    for number in ("000", "001"):
        name = f"BraTS-GLI-00007-{number}"
        for sequence in ("t2f", "t2w"):
            save_scan(tmp_path / name / f"{name}-{sequence}.nii.gz", picture(1))
        save_scan(tmp_path / name / f"{name}-seg.nii.gz", labels)
    scans = brats_scans(tmp_path, sequences=("flair", "t2"))
    assert {scan.patient for scan in scans} == {"BraTS-GLI-00007"}
    assert len({scan.case for scan in scans}) == 4


def test_two_patients_of_one_number_stay_two(tmp_path, save_scan, picture, labels):
    for grade in ("HG", "LG"):
        for kind, array in (("MR_Flair", picture(1)), ("OT", labels)):
            name = f"VSD.Brain.XX.O.{kind}"
            save_scan(tmp_path / grade / "0001" / name / f"{name}.mha", array)
    assert {scan.patient for scan in brats_scans(tmp_path)} == {"HG-0001", "LG-0001"}


def test_what_is_missing_is_said(tmp_path, save_scan, picture, labels):
    with pytest.raises(DataError, match="No BraTS case"):
        brats_scans(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        brats_scans(tmp_path / "nowhere")
    folder = tmp_path / "BraTS2021_00012"
    save_scan(folder / "BraTS2021_00012_flair.nii.gz", picture(0))
    save_scan(folder / "BraTS2021_00012_seg.nii.gz", labels)
    with pytest.raises(DataError, match="BraTS2021_00012 has no t1c scan"):
        brats_scans(tmp_path, Region.CORE)
    with pytest.raises(DataError, match='no sequence called "dwi"'):
        brats_scans(tmp_path, sequences=("dwi",))


def test_a_mask_elsewhere_is_refused(tmp_path, save_scan, picture, labels):
    folder = tmp_path / "BraTS2021_00012"
    save_scan(folder / "BraTS2021_00012_flair.nii.gz", picture(0))
    save_scan(folder / "BraTS2021_00012_seg.nii.gz", labels, origin=(3.0, -4.0, 15.0))
    (scan,) = brats_scans(tmp_path)
    with pytest.raises(DataError, match="does not lie on its scan"):
        scan.load()
