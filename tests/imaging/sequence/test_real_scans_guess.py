"""What real scans are taken for, by their headers, names and values."""

import pytest

from hemaview.imaging.reading import list_series, read_scan
from hemaview.imaging.scan_advice import scan_advice
from hemaview.imaging.sequence import Sequence

VENDORS = "dicom_series/d2n_small_vendor_sets"
TCGA = "mr_lesion/tcga_du_7294_silver/TCGA-DU-7294"

FILES = [
    (f"{TCGA}_fla_bet.nii.gz", Sequence.FLAIR),
    (f"{TCGA}_t1_bet.nii.gz", Sequence.T1),
    (f"{TCGA}_t1c_bet.nii.gz", Sequence.T1C),
    (f"{TCGA}_t2_bet.nii.gz", Sequence.T2),
    ("mr_lesion/brainles_case_bad_skullstrip/t2f.nii.gz", Sequence.FLAIR),
    ("mr_lesion/pyradiomics_brain_tumour_t1c/brain1_image.nrrd", Sequence.MR),
    ("ct_ich/phe_sich_stacks/phe_sich_0001_ct_grey8.nii.gz", Sequence.CT),
    ("dicom_series/ge_hispeed_ct_head_tilt.zip", Sequence.CT),
    ("dicom_series/siemens_xa30_t1w_jpegll_fragmented.zip", Sequence.T1),
]


@pytest.mark.parametrize(("path", "expected"), FILES, ids=[path.split("/")[-1] for path, _ in FILES])
def test_a_real_scan_is_taken_for_what_it_is(shared_data, path, expected):
    volume = read_scan(shared_data / path)
    assert volume.sequence.sequence is expected
    assert volume.modality is expected.modality
    assert volume.sequence.why


@pytest.mark.parametrize(
    ("path", "part", "expected"),
    [
        ("dicom_series/philips_swi_mag_phase_mixed.zip", "magnitude", "SWI"),
        ("dicom_series/philips_swi_mag_phase_mixed.zip", "phase", "phase"),
        ("dicom_series/nih_ge_siemens_epi_multiseries.zip", "series 4 (2D EP/GR", "T2*"),
        (f"{VENDORS}/ge/anatomical/001", "series", "T1"),
        (f"{VENDORS}/siemens/anatomical/001", "series", "FLAIR"),
    ],
)
def test_a_series_is_listed_with_its_kind(shared_data, path, part, expected):
    listed = [series for series in list_series(shared_data / path) if part in series.label]
    assert listed
    assert {series.sequence for series in listed} == {expected}


def test_scans_whose_skull_was_removed_say_so_and_whole_heads_do_not(shared_data):
    def removed(path: str) -> bool:
        return any("skull was removed" in sentence for sentence in scan_advice(read_scan(shared_data / path)))

    assert removed(f"{TCGA}_t1_bet.nii.gz")
    assert removed("mr_lesion/deepmedic_brats2013_pat0001/Flair_subtrMeanDivStd.nii.gz")
    assert not removed("templates/mricron_colin27/ch2.nii.gz")
    assert not removed("ct_ich/phe_sich_stacks/phe_sich_0006_ct_grey8.nii.gz")


def test_grey_levels_of_a_ct_are_not_taken_for_hounsfield_units(shared_data):
    volume = read_scan(shared_data / "ct_ich/phe_sich_stacks/phe_sich_0006_ct_grey8.nii.gz")
    assert not volume.is_hounsfield
    assert any("not in HU" in sentence for sentence in scan_advice(volume))
