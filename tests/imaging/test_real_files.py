"""Real scans against other programs' reading of them; ``test_catalogue_rows`` has the outcome of every odd file."""

import zipfile
from itertools import product

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from hemaview.imaging import Modality, Plane, plane_view
from hemaview.imaging.reading import Verdict, list_series, read_label_map, read_scan
from hemaview.imaging.windowing import auto_window, to_grey8


@pytest.mark.parametrize(("name", "slices", "highest"), [("brain1", 25, 3057), ("brain2", 23, 1523)])
def test_thick_nrrd_slices_have_their_true_spacing(shared_data, name, slices, highest):
    volume = read_scan(shared_data / f"mr_lesion/pyradiomics_brain_tumour_t1c/{name}_image.nrrd")
    assert volume.geometry.size == (256, 256, slices)
    assert volume.geometry.spacing == pytest.approx((0.7812, 0.7812, 6.5), abs=1e-3)
    assert (volume.array.min(), volume.array.max()) == (0, highest)


def test_all_48_orientations_show_and_measure_the_same_head(shared_data):
    folder = shared_data / "odd_files/nifti_niivue/nifti_space_48"
    files = sorted(folder.glob("*.nii.gz"))
    assert len(files) == 48
    reference = read_scan(folder / "RAS.nii.gz")
    pictures = {p: plane_view(reference.geometry, p) for p in Plane}
    middle = {p: v.extract(reference.array, v.slice_count // 2) for p, v in pictures.items()}
    centre = reference.geometry.index_to_lps([s // 2 for s in reference.geometry.size])
    for path in files:
        volume = read_scan(path)
        codes = "".join(nib.aff2axcodes(np.diag([-1, -1, 1, 1]) @ volume.geometry.affine))
        assert codes == path.name[:3]
        assert volume.geometry.voxel_volume_ml == pytest.approx(reference.geometry.voxel_volume_ml, rel=1e-5)
        index = np.rint(volume.geometry.lps_to_index(centre)).astype(int)
        for plane in Plane:
            view = plane_view(volume.geometry, plane)
            assert view.left == pictures[plane].left
            assert np.allclose(view.extract(volume.array, index[view.slice_axis]), middle[plane], atol=1e-3), path.name


D2N = "dicom_series/d2n_small_vendor_sets"


@pytest.mark.parametrize(
    "name",
    ["ge/anatomical/001", "generic/anatomical/002_non_isotropic", "generic/compressed/001", "hitachi/anatomical/001",
     "philips/anatomical/001", "siemens/anatomical/001"],
)  # fmt: skip
def test_vendor_series_agree_with_dicom2nifti_voxel_by_voxel(shared_data, name):
    ours = read_scan(shared_data / D2N / name)
    theirs = read_scan(shared_data / D2N / f"{name}_ground_truth.nii.gz")
    k, j, i = np.indices(ours.geometry.shape).reshape(3, -1)
    place = theirs.geometry.lps_to_index(ours.geometry.index_to_lps(np.stack([i, j, k], axis=-1)))
    index = np.rint(place).astype(int)
    assert np.max(np.abs(place - index)) < 1e-3
    values = theirs.array[index[:, 2], index[:, 1], index[:, 0]]
    assert np.allclose(ours.array[k, j, i], values, rtol=1e-5)


@pytest.mark.parametrize("kind", ["_j2k", "_jpeg", "_jpegls", "_rle"])
def test_every_lossless_compression_gives_the_same_values(shared_data, kind):
    plain = read_scan(shared_data / D2N / "generic/compressed/001")
    packed = read_scan(shared_data / D2N / f"generic/compressed{kind}/001")
    assert np.array_equal(plain.array, packed.array)
    assert plain.geometry.matches(packed.geometry)


@pytest.mark.parametrize("kind", ["bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded", "RLE"])
def test_one_picture_in_every_syntax_is_one_picture(shared_data, tmp_path, kind):
    source = shared_data / "odd_files/dicom_pydicom"
    (tmp_path / "x.dcm").write_bytes((source / f"MR_small_{kind}.dcm").read_bytes())
    expected = pydicom.dcmread(source / "MR_small.dcm").pixel_array
    assert np.array_equal(read_scan(tmp_path).array[0], expected)


def test_a_real_tilted_head_of_two_spacings_keeps_every_slice_in_its_place(shared_data):
    volume = read_scan(shared_data / "dicom_series/ge_hispeed_ct_head_tilt.zip")
    geometry = volume.geometry
    assert geometry.size == (512, 512, 28)
    normal = np.cross(geometry.axes[:, 0], geometry.axes[:, 1])
    gaps = np.diff(geometry.slice_places_mm) * float(normal @ geometry.axes[:, 2])
    assert gaps[:13] == pytest.approx(4.002, abs=1e-3)
    assert gaps[13] == pytest.approx(1.081, abs=1e-3)
    assert gaps[14:] == pytest.approx(6.999, abs=1e-3)
    # The positions in the files, to the digits they are written with.
    assert geometry.index_to_lps((0, 0, 13)) == pytest.approx((-125, -123.5404569, 60.6960586), abs=1e-5)
    assert geometry.index_to_lps((0, 0, 27)) == pytest.approx((-125, -123.5404569, 157.7760586), abs=1e-5)
    assert any("4 mm from slice 1 to 14" in note and "7 mm from slice 15 to 28" in note for note in volume.notes)
    # A whole slice of the thick part measures its own 7 mm and not the mean step.
    assert geometry.volume_ml(np.eye(28)[20]) == pytest.approx(0.4882812**2 * 6.999 / 1000, rel=1e-3)


@pytest.fixture(scope="module")
def tilted_head(shared_data, tmp_path_factory):
    """The uniform part with 4 mm gaps of a real head CT with 18.5 degrees of gantry tilt."""
    folder = tmp_path_factory.mktemp("tilt")
    with zipfile.ZipFile(shared_data / "dicom_series/ge_hispeed_ct_head_tilt.zip") as archive:
        archive.extractall(folder)
    files = {p: pydicom.dcmread(p, stop_before_pixels=True) for p in folder.rglob("*") if p.is_file()}
    for path, dataset in files.items():
        if float(dataset.SliceThickness) != 4.0:
            path.unlink()
    return folder


def test_a_real_tilted_head_is_carried_exactly(tilted_head):
    volume = read_scan(tilted_head)
    geometry = volume.geometry
    assert volume.modality is Modality.CT
    assert geometry.size == (512, 512, 14)
    assert geometry.is_sheared
    assert geometry.slice_spacing_mm == pytest.approx(4.0, abs=0.01)
    assert volume.array.min() == -1024
    files = [pydicom.dcmread(p) for p in tilted_head.rglob("*") if p.is_file()]
    files.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    if np.dot(geometry.affine[:3, 2], (0, 0, 1)) < 0:
        files.reverse()
    for k in (0, 7, 13):
        assert geometry.index_to_lps((0, 0, k)) == pytest.approx(
            [float(v) for v in files[k].ImagePositionPatient], abs=0.05
        )
        assert np.array_equal(volume.array[k], np.maximum(files[k].pixel_array, -1024))


def test_a_large_oblique_series_agrees_with_itk(shared_data, tmp_path):
    archive = shared_data / "dicom_series/hanke_t1w_7T_oblique_384.zip"
    volume = read_scan(archive)
    assert volume.geometry.size == (274, 384, 384)
    assert volume.geometry.spacing == pytest.approx((0.69999, 0.66667, 0.66667), abs=1e-4)
    with zipfile.ZipFile(archive) as packed:
        names = [n for n in packed.namelist() if not n.endswith("/")][:3]
        packed.extractall(tmp_path, names)
    for path in (tmp_path / n for n in names):
        image = sitk.ReadImage(str(path))
        index = np.rint(volume.geometry.lps_to_index(image.GetOrigin())).astype(int)
        assert volume.geometry.index_to_lps(index) == pytest.approx(image.GetOrigin(), abs=0.01)
        assert np.array_equal(volume.array[index[2]], sitk.GetArrayFromImage(image)[0])


def test_a_cd_with_scouts_and_reports_lists_them_with_reasons(shared_data):
    found = list_series(shared_data / "dicom_series/philips_ct_phantom_multiseries_dicomdir.zip")
    assert [(s.images, s.verdict) for s in found] == [
        (1, Verdict.VIEWABLE), (28, Verdict.MEASURABLE),
        (3, Verdict.VIEWABLE), (2, Verdict.VIEWABLE), (1, Verdict.VIEWABLE),
    ]  # fmt: skip
    assert "scout" in found[0].reason
    assert all("Secondary Capture" in s.reason for s in found[2:])
    assert [s.uid.split("#")[1] for s in found[2:]] == ["512x256", "650x512", "650x741"]


def test_every_time_point_is_a_stack_of_its_own(shared_data):
    archive = shared_data / "dicom_series/nih_ge_siemens_epi_multiseries.zip"
    found = [s for s in list_series(archive) if s.size == (64, 64, 15)]
    assert [s.uid.split("#")[1] for s in found] == [f"time-{n}" for n in range(1, 11)]
    assert all(s.measurable and s.spacing == pytest.approx((3.75, 3.75, 5)) for s in found)
    # The same places, other pictures; file 16 begins the second time point.
    first, second = (read_scan(archive, series_uid=s.uid) for s in found[:2])
    assert first.geometry == second.geometry
    with zipfile.ZipFile(archive) as packed:
        name = next(n for n in packed.namelist() if n.endswith("interleaved_i_to_s-00016.dcm"))
        dataset = pydicom.dcmread(packed.open(name))
    assert second.geometry.index_to_lps((0, 0, 0)) == pytest.approx([float(v) for v in dataset.ImagePositionPatient])
    assert np.array_equal(second.array[0], dataset.pixel_array)


def test_magnitude_and_phase_are_two_stacks(shared_data):
    archive = shared_data / "dicom_series/philips_swi_mag_phase_mixed.zip"
    magnitude, phase = (read_scan(archive, series_uid=s.uid) for s in list_series(archive))
    assert magnitude.geometry == phase.geometry
    assert magnitude.geometry.size == (768, 768, 2)
    assert magnitude.array.min() >= 0
    assert phase.array.min() == pytest.approx(-3142, abs=1)
    assert [v.name.rsplit(", ")[-1] for v in (magnitude, phase)] == ["magnitude", "phase"]


def test_series_that_share_a_uid_are_told_apart_by_their_numbers(shared_data):
    found = list_series(shared_data / "odd_files/dicom_transfer_syntaxes_siemens")
    mosaics = [s for s in found if s.size == (64, 64, 35)]
    assert [s.uid.split("#")[1] for s in mosaics] == [f"series-{n}" for n in range(1, 10)]
    assert len({s.uid.split("#")[0] for s in mosaics}) == 1


MASKS = [
    ("mr_lesion/deepmedic_brats2013_pat0001/OTMultiClass.nii.gz", "Flair_subtrMeanDivStd.nii.gz", 111.72),
    ("mr_lesion/pyradiomics_brain_tumour_t1c/brain1_label.nrrd", "brain1_image.nrrd", 16.41),
    ("mr_lesion/pyradiomics_brain_tumour_t1c/brain2_label.nrrd", "brain2_image.nrrd", 1.80),
    ("mr_lesion/tcga_du_7294_silver/seg_mav.nii.gz", "TCGA-DU-7294_fla_bet.nii.gz", 24.19),
    ("ct_ich/derived_volumes/physionet_sdh_15slices_mask.nii.gz", "physionet_sdh_15slices_ct_hu_approx.nii.gz", 39.09),
    ("ct_ich/phe_sich_stacks/phe_sich_0006_haematoma_mask_derived.nii.gz", "phe_sich_0006_ct_grey8.nii.gz", 29.3),
]


@pytest.mark.parametrize(("mask", "scan", "millilitres"), MASKS, ids=[row[0] for row in MASKS])
def test_expert_masks_fit_their_scans_and_have_their_volume(shared_data, mask, scan, millilitres):
    path = shared_data / mask
    volume = read_scan(path.with_name(scan))
    drawn = read_label_map(path, like=volume.geometry)
    assert drawn.voxel_count * drawn.geometry.voxel_volume_ml == pytest.approx(millilitres, abs=0.06)


def test_a_scaled_mask_that_reads_nearly_one_is_a_mask(shared_data):
    drawn = read_label_map(shared_data / "mr_lesion/deepmedic_brats2013_pat0001/brainmask.nii.gz")
    assert drawn.voxel_count > 1_000_000


@pytest.mark.parametrize(
    "path",
    ["mr_lesion/deepmedic_brats2013_pat0001/Flair_subtrMeanDivStd.nii.gz",
     "mr_lesion/pyradiomics_brain_tumour_t1c/brain1_image.nrrd"],
)  # fmt: skip
def test_auto_window_shows_real_brains(shared_data, path):
    volume = read_scan(shared_data / path)
    grey = to_grey8(volume.array[volume.geometry.size[2] // 2], auto_window(volume))
    corners = [grey[y, x] for y, x in product((0, -1), repeat=2)]
    assert max(corners) < 40
    assert grey[grey > 10].std() > 15
    assert 60 < np.median(grey[grey > 20]) < 200
    assert np.mean(grey == 255) < 0.02
