"""NIfTI, NRRD and MetaImage files with known answers."""

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hemaview.errors import ScanError
from hemaview.imaging import Modality
from hemaview.imaging.reading import Verdict, list_series, read_scan

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
AFFINE = np.array([[-0.9, 0.1, 0.2, 12], [0.1, 1.1, -0.3, -34], [0.05, 0.2, 4.8, 56], [0, 0, 0, 1.0]])
"""Oblique and sheared, RAS."""


@pytest.fixture
def values():
    """(5, 6, 7) in nibabel's order i, j, k."""
    return np.random.default_rng(0).integers(0, 2000, (5, 6, 7)).astype(np.int16)


def _save(path, values, affine=None, *, sform=1, qform=0, image_class=nib.Nifti1Image, edit=None):
    image = image_class(values, np.diag([1, 2, 3, 1]) if affine is None else affine)
    if image_class not in (nib.Nifti1Image, nib.Nifti2Image):
        nib.save(image, path)
        return path
    # nibabel tidies a header when it saves, so the codes and edits are put into the bytes afterwards.
    data = bytearray(image.to_bytes())
    header = image_class.header_class(bytes(data[: image_class.header_class.sizeof_hdr]), check=False)
    header.set_qform(image.affine, code=qform, strip_shears=True)
    header.set_sform(image.affine, code=sform)
    header["pixdim"][1:4] = np.linalg.norm(image.affine[:3, :3], axis=0)
    if edit:
        edit(header)
    data[: header.sizeof_hdr] = header.binaryblock
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize(
    ("name", "image_class"),
    [
        ("s.nii", nib.Nifti1Image),
        ("s.nii.gz", nib.Nifti1Image),
        ("two.nii", nib.Nifti2Image),
        ("two.nii.gz", nib.Nifti2Image),
        ("p.hdr", nib.Nifti1Pair),
        ("p.img", nib.Nifti1Pair),
        ("p.img.gz", nib.Nifti1Pair),
        ("q.hdr", nib.Nifti2Pair),
    ],
)
def test_every_kind_of_nifti_gives_values_and_a_sheared_affine_exactly(tmp_path, values, name, image_class):
    path = _save(tmp_path / name, values, AFFINE, image_class=image_class)
    volume = read_scan(path)
    assert np.array_equal(volume.array, values.transpose(2, 1, 0))
    assert np.allclose(volume.geometry.affine, RAS_TO_LPS @ AFFINE, atol=1e-5)
    assert volume.geometry.is_sheared
    assert volume.array.dtype == np.int16
    assert volume.name == name.split(".")[0]
    assert [s.uid for s in list_series(path)] == ["#1"]


@pytest.mark.parametrize("dtype", [">i2", "<i4", ">f4", "<f8", "|u1", "|i1", "<u2", "<u4", "<i8"])
def test_every_number_type_and_byte_order_is_read(tmp_path, values, dtype):
    wanted = (values % 100).astype(dtype)
    image = nib.Nifti1Image(wanted, np.eye(4), dtype=np.dtype(dtype))
    header = image.header.as_byteswapped(">" if dtype[0] == ">" else "<")
    path = tmp_path / "s.nii"
    nib.save(nib.Nifti1Image(wanted, np.eye(4), header), path)
    volume = read_scan(path)
    assert np.array_equal(volume.array, wanted.transpose(2, 1, 0).astype(float))
    assert volume.array.dtype == (np.float32 if "f" in dtype else np.int16)


def test_values_that_do_not_fit_int16_become_float32(tmp_path, values):
    volume = read_scan(_save(tmp_path / "s.nii", values.astype(np.int32) * 100))
    assert volume.array.dtype == np.float32
    assert volume.array.max() == int(values.max()) * 100


@pytest.mark.parametrize(("slope", "intercept", "dtype"), [(2, -1000, np.int16), (0.5, 3, np.float32)])
def test_scaling_is_applied(tmp_path, values, slope, intercept, dtype):
    path = _save(tmp_path / "s.nii", values)
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([slope, intercept], dtype="<f4").tobytes()
    path.write_bytes(data)
    volume = read_scan(path)
    assert volume.array.dtype == dtype
    assert np.allclose(volume.array, values.transpose(2, 1, 0) * slope + intercept)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(st.tuples(*[st.floats(-0.9, 0.9)] * 9), st.sampled_from([".nrrd", ".mha", ".nii.gz"]))
def test_any_affine_survives_in_any_format(tmp_path, turn, suffix):
    matrix = (np.eye(3) * 3 + np.reshape(turn, (3, 3))) * (0.5, 1.5, 4.0)
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    spacing = np.linalg.norm(matrix, axis=0)
    path = tmp_path / f"any{suffix}"
    if suffix == ".nii.gz":
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = matrix, (1, 2, 3)
        nib.save(nib.Nifti1Image(array.T, RAS_TO_LPS @ affine), path)
    else:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing)
        image.SetOrigin((1, 2, 3))
        image.SetDirection((matrix / spacing).ravel())
        sitk.WriteImage(image, str(path))
    volume = read_scan(path)
    assert np.allclose(volume.geometry.affine[:3, :3], matrix, atol=1e-5)
    assert np.allclose(volume.geometry.origin, (1, 2, 3), atol=1e-5)
    assert np.array_equal(volume.array, array)


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_itk_formats_give_values_and_geometry(tmp_path, suffix):
    array = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32) * 100
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 0.7, 6.5))
    image.SetOrigin((-10, 20, -30))
    image.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(image, str(path), useCompression=suffix == ".nrrd")
    volume = read_scan(path)
    assert np.array_equal(volume.array, array)
    assert volume.geometry.spacing == pytest.approx((0.5, 0.7, 6.5))
    assert volume.geometry.direction == pytest.approx((1, 0, 0, 0, -1, 0, 0, 0, 1))


@pytest.mark.parametrize(("space", "signs"), [("left-posterior-superior", (1, 1)), ("RAS", (-1, -1)), ("LAS", (1, -1))])
def test_nrrd_spaces_become_lps(tmp_path, space, signs):
    (tmp_path / "s.raw").write_bytes(np.arange(24, dtype="<i2").tobytes())
    path = tmp_path / "s.nhdr"
    path.write_text(
        f"NRRD0004\ntype: short\ndimension: 3\nspace: {space}\nsizes: 4 3 2\n"
        "space directions: (0.5,0,0) (0,0.6,0) (0,-1.6,4.7)\nspace origin: (1,2,3)\n"
        "encoding: raw\nendian: little\ndata file: s.raw\n"
    )
    expected = np.array([[0.5, 0, 0, 1], [0, 0.6, -1.6, 2], [0, 0, 4.7, 3]]) * np.array([[signs[0]], [signs[1]], [1]])
    assert np.allclose(read_scan(path).geometry.affine[:3], expected)


def test_spacing_is_never_made_up(tmp_path):
    (tmp_path / "s.raw").write_bytes(np.arange(24, dtype="<i2").tobytes())
    nrrd = "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 3 2\nencoding: raw\nendian: little\ndata file: s.raw\n"
    meta = "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_SHORT\nElementDataFile = s.raw\n"
    for name, text in (("s.nhdr", nrrd), ("s.mhd", meta)):
        (tmp_path / name).write_text(text)
        with pytest.raises(ScanError, match="how large its voxels are"):
            read_scan(tmp_path / name)
    spaced = nrrd.replace("encoding", "spacings: 1 1 5\nencoding")
    (tmp_path / "s.nhdr").write_text(spaced)
    volume = read_scan(tmp_path / "s.nhdr")
    assert volume.geometry.spacing == (1, 1, 5)
    assert any("how the head lies" in note for note in volume.notes)


def test_a_file_without_orientation_codes_keeps_its_spacing_and_warns(tmp_path, values):
    path = _save(tmp_path / "s.nii", values, sform=0, qform=0)
    volume = read_scan(path)
    assert volume.geometry.spacing == (1, 2, 3)
    assert any("how the head lies" in note for note in volume.notes)
    assert np.allclose(volume.geometry.affine, RAS_TO_LPS @ nib.load(path).affine)


def test_a_file_without_voxel_size_is_refused(tmp_path, values):
    def forget(header):
        header["pixdim"][1:4] = 0

    with pytest.raises(ScanError, match="how large its voxels are"):
        read_scan(_save(tmp_path / "s.nii", values, sform=0, qform=0, edit=forget))


@pytest.mark.parametrize("length", [1e-4, 600, 5.8e16])
def test_voxels_that_no_head_has_are_refused(tmp_path, values, length):
    with pytest.raises(ScanError, match="cannot be those of a head"):
        read_scan(_save(tmp_path / "s.nii", values, np.diag([1, length, 3, 1])))


def test_only_a_qform_is_enough(tmp_path, values):
    affine = np.array([[0, -1, 0, 5], [2.0, 0, 0, 6], [0, 0, -3, 7], [0, 0, 0, 1]])
    volume = read_scan(_save(tmp_path / "s.nii", values, affine, sform=0, qform=1))
    assert np.allclose(volume.geometry.affine, RAS_TO_LPS @ affine, atol=1e-5)


def test_sform_and_qform_that_differ_in_place_only_are_noted(tmp_path, values):
    def move(header):
        header.set_qform(np.array([[0, -2, 0, 9], [1.0, 0, 0, 9], [0, 0, 3, 9], [0, 0, 0, 1]]), code=1)

    volume = read_scan(_save(tmp_path / "s.nii", values, edit=move))
    assert np.allclose(volume.geometry.affine, RAS_TO_LPS @ np.diag([1, 2, 3, 1]))
    assert any("sform and qform" in note for note in volume.notes)


def test_a_sheared_sform_beats_the_qform_that_cannot_hold_it(tmp_path, values):
    volume = read_scan(_save(tmp_path / "s.nii", values, AFFINE, sform=1, qform=1))
    assert np.allclose(volume.geometry.affine, RAS_TO_LPS @ AFFINE, atol=1e-5)
    assert any("slanted" in note for note in volume.notes)


def test_a_damaged_sform_is_refused(tmp_path, values):
    def flatten(header):
        header["srow_z"] = 0

    with pytest.raises(ScanError, match="position of the head"):
        read_scan(_save(tmp_path / "s.nii", values, edit=flatten))


@pytest.mark.parametrize(("diagonal", "word"), [((2, 2, 3), "voxel sizes"), ((-1, 2, 3), "left and right")])
def test_sform_and_qform_that_contradict_each_other_are_refused(tmp_path, values, diagonal, word):
    def contradict(header):
        header.set_sform(np.diag([*diagonal, 1]), code=1)

    with pytest.raises(ScanError, match=word):
        read_scan(_save(tmp_path / "s.nii", values, qform=1, edit=contradict))


def test_lengths_in_metres_are_converted_and_nonsense_is_refused(tmp_path, values):
    def metres(header):
        header["xyzt_units"] = 1

    volume = read_scan(_save(tmp_path / "s.nii", values, np.diag([0.001, 0.002, 0.003, 1]), edit=metres))
    assert volume.geometry.spacing == pytest.approx((1, 2, 3))
    with pytest.raises(ScanError, match="metres"):
        read_scan(_save(tmp_path / "t.nii", values, edit=metres))


def test_metres_that_are_called_millimetres_are_refused(tmp_path, values):
    with pytest.raises(ScanError, match="cannot be those of a head"):
        read_scan(_save(tmp_path / "s.nii", values, np.diag([0.001, 0.002, 0.003, 1])))


def test_more_than_three_dimensions(tmp_path, values):
    single = read_scan(_save(tmp_path / "one.nii", values[..., None, None]))
    assert single.geometry.size == (5, 6, 7)
    assert not any("first" in note for note in single.notes)
    many = np.stack([values, values + 1, values + 2], axis=3)
    volume = read_scan(_save(tmp_path / "many.nii.gz", many))
    assert np.array_equal(volume.array, values.transpose(2, 1, 0))
    assert any("3 images" in note for note in volume.notes)
    itk = sitk.JoinSeries([sitk.GetImageFromArray(values), sitk.GetImageFromArray(values + 1)])
    sitk.WriteImage(itk, str(tmp_path / "many.nrrd"))
    volume = read_scan(tmp_path / "many.nrrd")
    assert np.array_equal(volume.array, values)
    assert any("2 images" in note for note in volume.notes)
    with pytest.raises(ScanError, match="vectors"):
        read_scan(_save(tmp_path / "vector.nii", np.stack([values] * 3, axis=3)[:, :, :, None]))


def test_one_slice_is_shown_with_a_warning(tmp_path, values):
    for picture in (values[..., :1], values[..., 0]):
        volume = read_scan(_save(tmp_path / "s.nii", picture))
        assert volume.geometry.size == (5, 6, 1)
        assert any("only one slice" in note for note in volume.notes)
    two = read_scan(_save(tmp_path / "two.nii", values[..., :2]))
    assert two.geometry.size == (5, 6, 2)
    assert not any("slice" in note for note in two.notes)


def test_nan_and_infinity_become_the_lowest_value(tmp_path, values):
    broken = values.astype(np.float32)
    broken[0, 0, 0], broken[1, 1, 1], broken[2, 2, 2] = np.nan, np.inf, -np.inf
    volume = read_scan(_save(tmp_path / "s.nii", broken))
    assert np.all(np.isfinite(volume.array))
    assert volume.array[0, 0, 0] == volume.array[1, 1, 1] == np.nanmin(np.where(np.isfinite(broken), broken, np.nan))
    assert any(note.startswith("3 voxels") for note in volume.notes)


def test_an_axis_without_voxels_is_refused(tmp_path, values):
    path = tmp_path / "s.mha"
    sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(values)] * 2), str(path))
    path.write_bytes(path.read_bytes().replace(b"DimSize = 7 6 5 2", b"DimSize = 7 6 5 0"))
    with pytest.raises(ScanError, match="incomplete"):
        read_scan(path)


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        (np.full((3, 3, 3), np.nan, np.float32), "no valid value"),
        (np.full((3, 3, 3), 7, np.int16), "same value"),
        (np.full((3, 3, 3), 0.5, np.float32), "same value"),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path, broken, word):
    with pytest.raises(ScanError, match=word):
        read_scan(_save(tmp_path / "s.nii", broken))


def _random(*shape):
    return np.random.default_rng(3).integers(0, 255, shape).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_a_colour_picture_is_shown_in_grey_and_not_measured(tmp_path, suffix):
    colours = _random(4, 5, 6, 3)
    path = tmp_path / f"s{suffix}"
    if suffix == ".nii":
        stored = np.ascontiguousarray(colours).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
        _save(path, stored.T)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(path))
    if suffix == ".nrrd":
        path.write_bytes(path.read_bytes().replace(b"kinds: vector", b"kinds: RGB-color"))
    volume = read_scan(path)
    assert np.allclose(volume.array, colours @ [0.299, 0.587, 0.114], atol=0.51)
    assert "colour" in volume.not_measurable
    assert [s.verdict for s in list_series(path)] == [Verdict.VIEWABLE]


@pytest.mark.parametrize("suffix", [".nii", ".nrrd"])
def test_of_complex_numbers_the_magnitude_is_shown(tmp_path, suffix):
    numbers = (_random(4, 5, 6) + 1j * _random(4, 5, 6)).astype(np.complex64)
    path = tmp_path / f"s{suffix}"
    if suffix == ".nii":
        _save(path, numbers.T)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(numbers), str(path))
    volume = read_scan(path)
    assert np.allclose(volume.array, np.abs(numbers))
    assert volume.not_measurable is None
    assert any("magnitude" in note for note in volume.notes)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_vectors_are_refused(tmp_path, suffix):
    vectors = np.zeros((4, 4, 4, 3), np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(vectors, isVector=True), str(tmp_path / f"s{suffix}"))
    with pytest.raises(ScanError, match="vectors"):
        read_scan(tmp_path / f"s{suffix}")


def test_modality_is_guessed_from_values(tmp_path):
    rng = np.random.default_rng(0)
    head = np.where(rng.random((20, 20, 20)) < 0.5, -1000, rng.normal(35, 10, (20, 20, 20)))
    head[:2] = 900
    assert read_scan(_save(tmp_path / "ct.nii", head.astype(np.int16))).modality is Modality.CT
    shifted = np.where(head < -900, -2048, head)
    assert read_scan(_save(tmp_path / "padded.nii", shifted.astype(np.int16))).modality is Modality.CT
    grey = np.clip(head, 0, 255).astype(np.uint8)
    volume = read_scan(_save(tmp_path / "grey.nii", grey))
    assert volume.modality is Modality.UNKNOWN
    assert any("8 bits" in note for note in volume.notes)
    mr = rng.gamma(2, 200, (20, 20, 20)).astype(np.int16)
    assert read_scan(_save(tmp_path / "mr.nii", mr)).modality is Modality.MR
    phase = rng.uniform(-4096, 4095, (20, 20, 20)).astype(np.int16)
    assert read_scan(_save(tmp_path / "phase.nii", phase)).modality is not Modality.CT


def test_a_missing_half_of_a_pair_is_named(tmp_path, values):
    _save(tmp_path / "p.hdr", values, image_class=nib.Nifti1Pair)
    (tmp_path / "p.img").unlink()
    with pytest.raises(ScanError, match=r"p\.img"):
        read_scan(tmp_path / "p.hdr")


def test_the_name_does_not_have_to_tell_the_format(tmp_path, values):
    path = _save(tmp_path / "s.nii.gz", values)
    other = tmp_path / "renamed.dat"
    other.write_bytes(path.read_bytes())
    assert np.array_equal(read_scan(other).array, read_scan(path).array)
    plain = tmp_path / "plain.nii.gz"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    assert np.array_equal(read_scan(plain).array, read_scan(path).array)
