"""Analyze, MINC, MGH, AFNI and PAR/REC, and that every format puts one volume at the same place."""

import gzip
import sys
import zipfile
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hemaview.errors import ScanError
from hemaview.imaging import Modality
from hemaview.imaging.reading import Verdict, list_series, read_label_map, read_scan
from hemaview.imaging.sequence import Sequence

sys.path.insert(0, str(Path(__file__).parent))

from format_writers import RAS_TO_LPS, minc_axes, write_afni, write_minc1, write_minc2, write_par, write_volume

OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.3, -0.2, 0.4) @ np.diag([-0.6, 0.7, 5.0]), [31.0, -42.0, 17.0]
)
"""Rotated about three axes, RAS; first axis towards the left as in most scans."""

NAMES = (
    "s.nii", "s.nii.gz", "p.hdr", "p.img", "s.mgh", "s.mgz", "s.nrrd", "s.nhdr", "s.mha", "s.mhd", "s.mnc1",
    "s.mnc1.gz", "s.mnc2", "s.HEAD",
)  # fmt: skip
SHEARING = tuple(name for name in NAMES if name[0] != "p")
ITK_AGREES = ("s.nii", "s.nii.gz", "p.hdr", "s.nrrd", "s.nhdr", "s.mha", "s.mhd")
NIBABEL_AGREES = ("s.nii", "s.nii.gz", "p.hdr", "s.mgh", "s.mgz", "s.HEAD")


@pytest.fixture
def values():
    """(5, 6, 7) in the order i, j, k; every voxel different."""
    return np.random.default_rng(0).permutation(210).astype(np.int16).reshape(5, 6, 7)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_puts_a_voxel_at_the_same_place(tmp_path, values, name):
    volume = read_scan(write_volume(tmp_path / name, values, OBLIQUE))
    assert np.array_equal(volume.array, values.transpose(2, 1, 0))
    assert np.allclose(volume.geometry.affine, RAS_TO_LPS @ OBLIQUE, atol=1e-4)
    assert volume.not_measurable is None


@pytest.mark.parametrize("name", ITK_AGREES)
def test_itk_sees_the_same_place(tmp_path, values, name):
    path = write_volume(tmp_path / name, values, OBLIQUE)
    image = sitk.ReadImage(str(path))
    for index in ((0, 0, 0), (4, 0, 6), (1, 5, 3)):
        assert image.TransformIndexToPhysicalPoint(index) == pytest.approx(
            read_scan(path).geometry.index_to_lps(index), abs=1e-3
        )


@pytest.mark.parametrize("name", NIBABEL_AGREES)
def test_nibabel_sees_the_same_place(tmp_path, values, name):
    path = write_volume(tmp_path / name, values, OBLIQUE)
    assert np.allclose(read_scan(path).geometry.affine, RAS_TO_LPS @ nib.load(path).affine, atol=1e-4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(st.tuples(*[st.floats(-0.6, 0.6)] * 9), st.sampled_from(SHEARING))
def test_any_grid_keeps_its_volume_and_its_corners(tmp_path, turn, name):
    matrix = (np.eye(3) * 2 + np.reshape(turn, (3, 3))) * (0.5, 0.8, 4.0)
    affine = nib.affines.from_matvec(matrix, [1.0, 2.0, 3.0])
    values = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    geometry = read_scan(write_volume(tmp_path / name, values, affine)).geometry
    assert geometry.voxel_volume_ml * 1000 == pytest.approx(abs(np.linalg.det(matrix)), rel=1e-4)
    assert geometry.index_to_lps((3, 0, 1)) == pytest.approx((RAS_TO_LPS @ affine @ (3, 0, 1, 1))[:3], abs=1e-3)


def _two_images(values):
    return np.stack([values, values[::-1] + 3], axis=3)


def _write_minc2_in_time(path, images):
    write_minc2(path, images[..., 0], OBLIQUE)
    with h5py.File(path, "a") as file:
        for name, data in (
            ("image", images.transpose(3, 2, 1, 0)), ("image-min", [-32768.0] * 2), ("image-max", [32767.0] * 2),
        ):  # fmt: skip
            place = f"minc-2.0/image/0/{name}"
            facts = dict(file[place].attrs) | ({} if name == "image" else {"dimorder": np.bytes_("time")})
            if name == "image":
                facts["dimorder"] = np.bytes_("time,zspace,yspace,xspace")
            del file[place]
            file.create_dataset(place, data=data).attrs.update(facts)
        file.create_dataset("minc-2.0/dimensions/time", data=0)


def _write_nrrd_of_interleaved_images(path, images):
    _write = sitk.GetImageFromArray(np.ascontiguousarray(images.transpose(2, 1, 0, 3)), isVector=True)
    sitk.WriteImage(_write, str(path))
    path.write_bytes(path.read_bytes().replace(b"kinds: vector", b"kinds: list"))


WRITERS_OF_TWO = {
    "s.nii.gz": lambda path, images: nib.save(nib.Nifti1Image(images, OBLIQUE), path),
    "s.mgz": lambda path, images: nib.save(nib.MGHImage(images, OBLIQUE), path),
    "s.hdr": lambda path, images: nib.save(nib.AnalyzeImage(images, None), path),
    "s.HEAD": lambda path, images: write_afni(path, images, OBLIQUE),
    "s.PAR": lambda path, images: write_par(path, images),
    "s.mnc": _write_minc2_in_time,
    "s.mha": lambda path, images: sitk.WriteImage(
        sitk.JoinSeries([sitk.GetImageFromArray(np.ascontiguousarray(images[..., n].T)) for n in (0, 1)]), str(path)
    ),
    "s.nrrd": _write_nrrd_of_interleaved_images,
}


@pytest.mark.parametrize("name", WRITERS_OF_TWO)
def test_every_image_of_a_file_is_listed_and_opens(tmp_path, values, name):
    images = _two_images(values)
    path = tmp_path / name
    WRITERS_OF_TWO[name](path, images)
    listed = list_series(path)
    assert [s.uid for s in listed] == ["#1", "#2"]
    assert all(s.measurable and s.size == (5, 6, 7) and name in s.label for s in listed)
    for index, summary in enumerate(listed):
        volume = read_scan(path, series_uid=summary.uid)
        assert np.array_equal(volume.array, images[..., index].transpose(2, 1, 0))
        assert volume.geometry.spacing == pytest.approx(summary.spacing)
        assert any(f"2 images of the same grid; number {index + 1} is shown" in note for note in volume.notes)
    assert np.array_equal(read_scan(path).array, read_scan(path, series_uid="#1").array)
    for wrong in ("#0", "#3", "1.2.840.1", "#", "#x"):
        with pytest.raises(ScanError, match="#1 to #2"):
            read_scan(path, series_uid=wrong)


def test_a_long_file_lists_its_first_images_and_opens_them_all(tmp_path):
    many = np.arange(2 * 2 * 2 * 130, dtype=np.int16).reshape(2, 2, 2, 130)
    nib.save(nib.Nifti1Image(many, np.eye(4)), tmp_path / "s.nii")
    assert len(list_series(tmp_path / "s.nii")) == 100
    assert np.array_equal(read_scan(tmp_path / "s.nii", series_uid="#130").array, many[..., 129].T)


def test_either_half_of_a_pair_opens_it(tmp_path, values):
    write_afni(tmp_path / "a+orig.HEAD", values[..., None], OBLIQUE, packed=True)
    write_par(tmp_path / "p.PAR", values[..., None])
    nib.save(nib.AnalyzeImage(values, None), tmp_path / "z.hdr")
    pairs = (("a+orig.HEAD", "a+orig.BRIK.gz"), ("p.PAR", "p.REC"), ("z.hdr", "z.img"))
    for header, voxels in pairs:
        assert np.array_equal(read_scan(tmp_path / voxels).array, read_scan(tmp_path / header).array)
        (tmp_path / voxels).rename(tmp_path / "away")
        with pytest.raises(ScanError, match=r"missing; put both into one folder"):
            read_scan(tmp_path / header)
        (tmp_path / "away").rename(tmp_path / voxels)
        (tmp_path / header).unlink()
        with pytest.raises(ScanError, match=r"header file .* is missing"):
            read_scan(tmp_path / voxels)


def test_voxels_that_look_like_dicom_are_voxels(tmp_path, values):
    values[0, 0, 0], values[1, 0, 0] = 8, 0
    nib.save(nib.Nifti1Pair(values, OBLIQUE), tmp_path / "p.hdr")
    assert np.array_equal(read_scan(tmp_path / "p.img").array, values.T)
    assert len(list_series(tmp_path / "p.img")) == 1


def test_a_pair_in_a_zip_is_one_scan(tmp_path, values):
    write_afni(tmp_path / "a+orig.HEAD", values[..., None], OBLIQUE, packed=True)
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for name in ("a+orig.HEAD", "a+orig.BRIK.gz"):
            archive.write(tmp_path / name, f"deep/{name}")
    assert np.array_equal(read_scan(tmp_path / "s.zip").array, values.T)
    assert [s.size for s in list_series(tmp_path / "s.zip")] == [(5, 6, 7)]


def test_masks_come_in_these_formats_too(tmp_path, values):
    for name in ("m.mgz", "m.mnc2", "m.HEAD"):
        path = write_volume(tmp_path / name, (values > 100).astype(np.int16), OBLIQUE)
        assert np.array_equal(read_label_map(path).array, values.T > 100)


def test_analyze_keeps_volumes_and_says_that_sides_are_unknown(tmp_path, values):
    image = nib.AnalyzeImage(values, np.diag([0.5, 0.6, 4.0, 1]))
    nib.save(image, tmp_path / "a.hdr")
    volume = read_scan(tmp_path / "a.hdr")
    assert volume.geometry.spacing == pytest.approx((0.5, 0.6, 4.0))
    assert np.array_equal(volume.array, values.T)
    assert np.allclose(volume.geometry.affine, RAS_TO_LPS @ nib.load(tmp_path / "a.hdr").affine)
    assert volume.not_measurable is None
    assert any("which side of the head is left" in note for note in volume.notes)
    data = bytearray((tmp_path / "a.hdr").read_bytes())
    data[80:92] = bytes(12)
    (tmp_path / "a.hdr").write_bytes(data)
    with pytest.raises(ScanError, match="how large its voxels are"):
        read_scan(tmp_path / "a.hdr")


def test_the_scale_factor_of_spm_is_applied(tmp_path, values):
    nib.save(nib.Spm2AnalyzeImage(values.astype(np.int16), np.eye(4)), tmp_path / "a.hdr")
    data = bytearray((tmp_path / "a.hdr").read_bytes())
    data[112:116] = np.float32(0.25).tobytes()
    (tmp_path / "a.hdr").write_bytes(data)
    assert np.allclose(read_scan(tmp_path / "a.hdr").array, values.T * 0.25)
    assert np.allclose(read_scan(tmp_path / "a.hdr").array, nib.load(tmp_path / "a.hdr").get_fdata().T)


@pytest.mark.parametrize("write", [write_minc1, write_minc2])
def test_minc_axes_that_cannot_be_trusted_are_refused(tmp_path, values, write):
    def change(word, **facts):
        axes = minc_axes(OBLIQUE)
        axes["zspace"].update(facts)
        path = tmp_path / f"{word[:4]}.mnc"
        write(path, values, OBLIQUE, {n: {k: f for k, f in a.items() if f is not None} for n, a in axes.items()})
        with pytest.raises(ScanError, match=word):
            read_scan(path)

    change("irregularly spaced", spacing=b"irregular")
    change("how large its voxels are", step=None)
    change("position of the head", direction_cosines=np.array([0.0, 0.0, 2.0]))


def test_minc_axes_run_to_the_right_and_to_the_front(tmp_path, values):
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = 10, 20, 30
    path = write_volume(tmp_path / "s.mnc2", values, affine).rename(tmp_path / "s.mnc")
    assert read_scan(path).geometry.origin == pytest.approx((-10, -20, 30))
    assert read_scan(path).geometry.direction == pytest.approx(np.diag([-1, -1, 1]).ravel())


def test_other_netcdf_and_hdf5_files_are_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["table"] = [1, 2, 3]
    with pytest.raises(ScanError, match="HDF5 data, but no MINC scan"):
        read_scan(tmp_path / "a.h5")


def test_mgh_without_a_position_or_with_a_contradiction_is_refused(tmp_path, values):
    nib.save(nib.MGHImage(values, OBLIQUE), tmp_path / "s.mgh")
    data = bytearray((tmp_path / "s.mgh").read_bytes())
    data[28:30] = b"\0\0"
    (tmp_path / "lost.mgh").write_bytes(data)
    # nibabel fills in 1 mm here.
    with pytest.raises(ScanError, match="how large its voxels are"):
        read_scan(tmp_path / "lost.mgh")
    data = bytearray((tmp_path / "s.mgh").read_bytes())
    data[42:46] = np.array(9, ">f4").tobytes()
    (tmp_path / "bent.mgh").write_bytes(data)
    with pytest.raises(ScanError, match="two different voxel sizes"):
        read_scan(tmp_path / "bent.mgh")


def test_afni_scale_factors_and_byte_order(tmp_path, values):
    images = _two_images(values)
    write_afni(tmp_path / "a.HEAD", images, OBLIQUE, factors=[0.5, 0.0], big_endian=True)
    assert np.allclose(read_scan(tmp_path / "a.HEAD", series_uid="#1").array, values.T * 0.5)
    assert np.array_equal(read_scan(tmp_path / "a.HEAD", series_uid="#2").array, images[..., 1].T)


def test_afni_headers_that_cannot_be_trusted(tmp_path, values):
    images = _two_images(values)
    for changed, word in (
        ({"DELTA": "1 1 1"}, "two different voxel sizes"),
        ({"BRICK_TYPES": "1 3"}, "several or unsupported types"),
        ({"BRICK_TYPES": "5 5"}, "several or unsupported types"),
        ({"DATASET_DIMENSIONS": "5 6 -7 0 0"}, "damaged"),
        ({"DATASET_RANK": "3 2000000000"}, "damaged"),
    ):
        write_afni(tmp_path / "a.HEAD", images, OBLIQUE, **changed)
        with pytest.raises(ScanError, match=word):
            read_scan(tmp_path / "a.HEAD")
    write_afni(tmp_path / "a.HEAD", images, OBLIQUE, TEMPLATE_SPACE="'TLRC~")
    assert any("fitted to a template" in note for note in read_scan(tmp_path / "a.HEAD").notes)


def test_nifti_fitted_to_a_template_says_so(tmp_path, values):
    image = nib.Nifti1Image(values, OBLIQUE)
    image.set_sform(OBLIQUE, code="mni")
    nib.save(image, tmp_path / "s.nii")
    assert any("fitted to a template" in note for note in read_scan(tmp_path / "s.nii").notes)


def test_par_rec_places_scales_and_sorts_its_pictures(tmp_path, values):
    images = _two_images(values)
    slopes = [1 + 0.1 * n for n in range(14)]
    order = np.random.default_rng(1).permutation(14).tolist()
    write_par(tmp_path / "s.PAR", images, slopes=slopes, order=order)
    for image in (0, 1):
        volume = read_scan(tmp_path / "s.PAR", series_uid=f"#{image + 1}")
        factors = np.reshape(slopes, (2, 7))[image][:, None, None]
        assert np.allclose(volume.array, images[..., image].transpose(2, 1, 0) * factors, rtol=1e-6)
    geometry = volume.geometry
    assert geometry.spacing == pytest.approx((0.9, 0.9, 6.0))
    # Axial pictures: columns run to the patient's left, rows to the back; the centre is off by AP 3, FH 20, RL -7.
    assert geometry.direction == pytest.approx(np.eye(3).ravel(), abs=1e-6)
    assert geometry.index_to_lps((2, 2.5, 3)) == pytest.approx((-7.0, 3.0, 20.0), abs=1e-3)


def test_par_rec_that_ended_early_or_lies_unevenly(tmp_path, values):
    images = _two_images(values)
    write_par(tmp_path / "s.PAR", images, announced=5)
    assert any("ended early" in note for note in read_scan(tmp_path / "s.PAR").notes)
    assert len(list_series(tmp_path / "s.PAR")) == 2
    write_par(tmp_path / "s.PAR", images, offsets=[0, 0, 0, 0, 2.5, 2.5, 2.5])
    with pytest.raises(ScanError, match="do not lie where"):
        read_scan(tmp_path / "s.PAR")
    write_par(tmp_path / "s.PAR", images)
    record = tmp_path / "s.REC"
    record.write_bytes(record.read_bytes()[: 9 * 60])
    assert np.array_equal(read_scan(tmp_path / "s.PAR").array, values.T)
    with pytest.raises(ScanError, match="incomplete"):
        read_scan(tmp_path / "s.PAR", series_uid="#2")


def test_par_headers_tell_what_kind_of_scan_it_is(tmp_path, values):
    write_par(tmp_path / "s.PAR", values[..., None])
    volume = read_scan(tmp_path / "s.PAR")
    assert volume.modality is Modality.MR
    assert volume.sequence.sequence is Sequence.T2
    assert list_series(tmp_path / "s.PAR")[0].sequence == Sequence.T2
    assert not any("does not name its modality" in note for note in volume.notes)


def test_no_patient_name_leaves_a_par_header(tmp_path, values):
    write_par(tmp_path / "s.PAR", values[..., None])
    volume, listed = read_scan(tmp_path / "s.PAR"), list_series(tmp_path / "s.PAR")[0]
    shown = " ".join((volume.name, *volume.notes, *volume.attributes.values(), listed.label, *listed.notes))
    assert "Secret" not in shown


@pytest.mark.parametrize(("field", "unit"), [("space units", '"um" "um" "um"'), ("space units", '"m" "m" "m"')])
def test_lengths_in_other_units_are_refused(tmp_path, values, field, unit):
    path = write_volume(tmp_path / "s.nrrd", values, OBLIQUE)
    path.write_bytes(path.read_bytes().replace(b"encoding:", f"{field}: {unit}\nencoding:".encode()))
    with pytest.raises(ScanError, match="instead of millimetres"):
        read_scan(path)


@pytest.mark.parametrize("suffix", [".nii", ".mha", ".nrrd"])
def test_a_flat_picture_is_viewable_only(tmp_path, suffix):
    picture = np.random.default_rng(0).integers(0, 99, (6, 5)).astype(np.int16)
    path = tmp_path / f"s{suffix}"
    if suffix == ".nii":
        image = nib.Nifti1Image(picture.T, None)
        image.header["dim"][0] = 2
        nib.save(image, path)
    else:
        image = sitk.GetImageFromArray(picture)
        image.SetSpacing((0.5, 0.7))
        sitk.WriteImage(image, str(path))
    volume = read_scan(path)
    assert np.array_equal(volume.array[0], picture)
    assert "how thick its slice is" in volume.not_measurable
    assert [(s.verdict, s.spacing) for s in list_series(path)] == [(Verdict.VIEWABLE, None)]


@pytest.mark.parametrize(
    ("start", "word"),
    [
        (b"mrtrix image\ndim: 3,3,3\n", "MRtrix"),
        (b"MATRIX72v", "ECAT"),
        (b"# vtk DataFile Version 3.0\n", "VTK"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"%PDF-1.7", "PDF"),
        (b"Rar!\x1a\x07", "unpack"),
        (b"\0" * 252 + b"\xef\xff\xe9\xb0", "GIPL"),
        (b"\0" * 257 + b"ustar", "tar"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE GIFTI>\n<GIFTI>', "GIFTI"),
    ],
)
def test_known_formats_that_are_not_opened_are_refused_by_name(tmp_path, start, word):
    for packed in (False, True):
        path = tmp_path / "thing"
        content = start + b"\0" * 600
        path.write_bytes(gzip.compress(content) if packed else content)
        with pytest.raises(ScanError, match=word) as refusal:
            read_scan(path)
        assert str(refusal.value).endswith(".")
