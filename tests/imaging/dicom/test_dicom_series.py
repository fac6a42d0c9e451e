"""Known-answer DICOM series: what is right is read exactly."""

import io
import logging

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from hemaview.errors import Cancelled, ScanError
from hemaview.imaging import Modality
from hemaview.imaging.reading import list_series, read_scan


def test_a_plain_ct_series_is_read_exactly(dicom_series, ct_values):
    volume = read_scan(dicom_series(ct_values))
    geometry = volume.geometry
    assert geometry.size == (12, 10, 6)
    assert geometry.spacing == pytest.approx((0.8, 0.5, 5.0))
    assert geometry.origin == pytest.approx((-100, -80, 20))
    assert geometry.direction == pytest.approx(np.eye(3).ravel())
    assert volume.modality is Modality.CT
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, ct_values)
    assert volume.notes == ()


def test_the_order_of_files_and_numbers_does_not_matter(dicom_series, ct_values):
    def lie(dataset, k):
        dataset.InstanceNumber = 1
        dataset.SliceLocation = -k

    volume = read_scan(dicom_series(ct_values, step=(0, 0, -5), edit=lie))
    # Descending slices are sorted along the normal, which points up.
    assert volume.geometry.origin[2] == pytest.approx(20 - 5 * 5)
    assert np.array_equal(volume.array, ct_values[::-1])


def test_gantry_tilt_is_carried_exactly(dicom_series, ct_values):
    tilt = np.radians(18.5)
    column = (0, np.cos(tilt), -np.sin(tilt))
    step = np.array((0.0, 0.0, 7.0))
    volume = read_scan(dicom_series(ct_values, column=column, step=step))
    geometry = volume.geometry
    assert geometry.is_sheared
    assert geometry.affine[:3, 2] == pytest.approx(step)
    assert geometry.slice_spacing_mm == pytest.approx(7 * np.cos(tilt))
    assert geometry.voxel_volume_ml == pytest.approx(0.5 * 0.8 * 7 * np.cos(tilt) / 1000)
    assert any("18.5 degrees" in note for note in volume.notes)
    ijk = (3, 4, 5)
    expected = np.array((-100, -80, 20)) + 3 * 0.8 * np.array((1, 0, 0)) + 4 * 0.5 * np.array(column) + 5 * step
    assert geometry.index_to_lps(ijk) == pytest.approx(expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(st.floats(-180, 180), st.floats(-60, 60), st.floats(0.3, 12), st.integers(0, 10_000))
def test_oblique_series_agree_with_itk(dicom_series, yaw, pitch, distance, number):
    turn = sitk.Euler3DTransform()
    turn.SetRotation(np.radians(pitch), 0.1, np.radians(yaw))
    axes = np.array(turn.GetMatrix()).reshape(3, 3)
    values = np.random.default_rng(number).integers(0, 4000, (4, 5, 6)).astype(np.uint16)
    folder = dicom_series(
        values,
        folder=f"oblique{number}{abs(hash((yaw, pitch, distance)))}",
        row=axes[:, 0],
        column=axes[:, 1],
        step=axes[:, 2] * distance,
        modality="MR",
        shuffle=False,
    )
    volume = read_scan(folder)
    image = sitk.ReadImage([str(p) for p in sorted(folder.iterdir())])
    assert volume.modality is Modality.MR
    assert np.array_equal(volume.array, sitk.GetArrayFromImage(image))
    corner = tuple(n - 1 for n in volume.geometry.size)
    for index in ((0, 0, 0), corner):
        assert volume.geometry.index_to_lps(index) == pytest.approx(
            image.TransformIndexToPhysicalPoint(index), abs=1e-4
        )


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_uncompressed_syntax_gives_the_same_values(dicom_series, ct_values, syntax):
    def swap(dataset, _):
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()

    assert np.array_equal(read_scan(dicom_series(ct_values, syntax=syntax, edit=swap)).array, ct_values)


def test_rle_is_decoded(dicom_series, ct_values):
    def compress(dataset, _):
        dataset.compress(RLELossless)

    assert np.array_equal(read_scan(dicom_series(ct_values, edit=compress)).array, ct_values)


def test_jpeg_2000_from_another_encoder_is_decoded(dicom_series, tmp_path):
    values = np.random.default_rng(0).integers(0, 4000, (3, 32, 40)).astype(np.uint16)
    writer = sitk.ImageFileWriter()

    def compress(dataset, k):
        path = tmp_path / "encoded.dcm"
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG2000")
        writer.Execute(sitk.GetImageFromArray(values[k]))
        encoded = pydicom.dcmread(path)
        assert encoded.file_meta.TransferSyntaxUID.is_compressed
        dataset.file_meta.TransferSyntaxUID = encoded.file_meta.TransferSyntaxUID
        frames = list(pydicom.encaps.generate_frames(encoded.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate(frames)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.RescaleSlope, dataset.RescaleIntercept = 2, -100

    volume = read_scan(dicom_series(values, modality="MR", edit=compress))
    assert np.array_equal(volume.array, values.astype(int) * 2 - 100)


def test_rescale_is_applied_file_by_file(dicom_series, ct_values):
    stored = np.clip(ct_values, -1000, 1500)

    def scale(dataset, k):
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, k

    volume = read_scan(dicom_series(stored, edit=scale))
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, stored + np.arange(6)[:, None, None])


def test_fractional_slopes_give_float32(dicom_series):
    stored = np.random.default_rng(0).integers(0, 4000, (4, 5, 6)).astype(np.uint16)

    def scale(dataset, k):
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5 + k, -3.25

    volume = read_scan(dicom_series(stored, modality="MR", edit=scale))
    assert volume.array.dtype == np.float32
    assert np.allclose(volume.array, stored * (0.5 + np.arange(4))[:, None, None] - 3.25)


def test_unsigned_values_beyond_int16_are_kept(dicom_series):
    stored = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6) * 500
    volume = read_scan(dicom_series(stored, modality="MR"))
    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array, stored)


def test_ct_padding_becomes_air(dicom_series, ct_values):
    stored = ct_values.copy()
    stored[:, :2] = -2000
    stored[2, 5, 5] = -1500

    def pad(dataset, _):
        dataset.add_new("PixelPaddingValue", "SS", -2000)

    volume = read_scan(dicom_series(stored, edit=pad))
    expected = np.maximum(stored, -1024)
    assert np.array_equal(volume.array, expected)
    assert any("-1024 HU" in note for note in volume.notes)


def test_padding_that_would_be_tissue_is_left_alone(dicom_series, ct_values):
    stored = ct_values.copy()
    stored[0, 0, :5] = 0

    def pad(dataset, _):
        dataset.add_new("PixelPaddingValue", "SS", 0)

    volume = read_scan(dicom_series(stored, edit=pad))
    assert np.array_equal(volume.array, stored)
    assert any("padding" in note for note in volume.notes)


def test_mr_padding_becomes_the_lowest_value(dicom_series):
    stored = np.random.default_rng(0).integers(100, 900, (4, 5, 6)).astype(np.uint16)
    stored[1, :, 0] = 4095

    def pad(dataset, _):
        dataset.add_new("PixelPaddingValue", "US", 4095)

    volume = read_scan(dicom_series(stored, modality="MR", edit=pad))
    assert volume.array[1, :, 0].tolist() == [stored[stored < 4095].min()] * 5
    assert volume.array.max() < 4095


def test_twelve_bits_with_an_overlay_above_them_are_masked(dicom_series):
    values = np.random.default_rng(0).integers(-2048, 2047, (3, 4, 5)).astype(np.int16)
    stored = (values & 0x0FFF) | (0x5000)

    def narrow(dataset, _):
        dataset.BitsStored, dataset.HighBit = 12, 11

    assert np.array_equal(read_scan(dicom_series(stored, modality="MR", edit=narrow)).array, values)


def test_a_negative_mr_is_inverted(dicom_series):
    def negative(dataset, _):
        dataset.PhotometricInterpretation = "MONOCHROME1"

    stored = np.random.default_rng(0).integers(0, 900, (3, 4, 5)).astype(np.uint16)
    volume = read_scan(dicom_series(stored, modality="MR", edit=negative))
    assert np.array_equal(volume.array, int(stored.max()) + int(stored.min()) - stored.astype(int))
    assert volume.not_measurable is None


def test_positions_rounded_by_the_scanner_are_accepted(dicom_series, ct_values):
    def jitter(dataset, k):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, float(z) + (0.04 if k % 2 else 0)]

    assert read_scan(dicom_series(ct_values, edit=jitter)).geometry.slice_spacing_mm == pytest.approx(5, abs=0.01)


def test_thickness_is_never_used_as_spacing(dicom_series, ct_values):
    def thick(dataset, _):
        dataset.SliceThickness = 10
        dataset.SpacingBetweenSlices = 3

    volume = read_scan(dicom_series(ct_values, edit=thick))
    assert volume.geometry.spacing[2] == pytest.approx(5)
    assert any("10 mm thick" in note for note in volume.notes)


def _move(which, by):
    def edit(dataset, k):
        if k in which:
            x, y, z = (float(v) for v in dataset.ImagePositionPatient)
            dataset.ImagePositionPatient = [x + by[0], y + by[1], z + by[2]]

    return edit


def _set(which, **values):
    def edit(dataset, k):
        if k in which:
            for keyword, value in values.items():
                setattr(dataset, keyword, value)

    return edit


def test_a_file_that_is_there_twice_is_read_once(dicom_series, ct_values):
    folder = dicom_series(ct_values)
    (folder / "copy.dcm").write_bytes((folder / "IM0000.dcm").read_bytes())
    volume = read_scan(folder)
    assert volume.geometry.size[2] == 6
    assert any("copy" in note for note in volume.notes)


def test_a_single_slice_is_shown_with_a_warning(dicom_series, ct_values):
    volume = read_scan(dicom_series(ct_values[:1]))
    assert volume.geometry.size[2] == 1
    assert any("only one slice" in note for note in volume.notes)
    assert volume.not_measurable is None


def test_one_file_opens_its_series_and_no_other(dicom_series, ct_values):
    folder = dicom_series(ct_values)
    dicom_series(ct_values[:4] + 1, folder="series", modality="MR", uid="1.2.3", shuffle=False)
    mine = next(p for p in folder.iterdir() if pydicom.dcmread(p).SeriesInstanceUID != "1.2.3")
    assert read_scan(mine).geometry.size[2] == len(list(folder.iterdir())) - 4


def test_the_largest_of_several_series_is_opened_and_the_others_named(dicom_series, ct_values):
    top = dicom_series(ct_values, folder="a").parent
    dicom_series(ct_values[:3], folder="b", modality="MR", uid="1.2.3")
    dicom_series(ct_values, folder="c", uid="1.2.4", edit=_move({3}, (4, 0, 0)))
    found = {s.uid: s for s in list_series(top)}
    assert len(found) == 3
    assert found["1.2.3"].size == (12, 10, 3)
    assert not found["1.2.4"].measurable
    volume = read_scan(top)
    assert volume.geometry.size[2] == 6
    assert any("MR series 4" in note and "2 series" in note for note in volume.notes)
    assert read_scan(top, series_uid="1.2.3").geometry.size[2] == 3
    assert "shifted sideways" in read_scan(top, series_uid="1.2.4").not_measurable
    with pytest.raises(ScanError, match="does not hold the series"):
        read_scan(top, series_uid="9.9")


def test_nothing_of_the_patient_is_kept_or_logged(dicom_series, ct_values, caplog):
    caplog.set_level(logging.DEBUG)
    volume = read_scan(dicom_series(ct_values))
    kept = (
        f"{volume.name} {volume.notes} {dict(volume.attributes)} {list_series(dicom_series(ct_values))} {caplog.text}"
    )
    for secret in ("Secret", "Person", "4711"):
        assert secret not in kept


def test_progress_rises_to_one_and_can_cancel(dicom_series, ct_values):
    folder = dicom_series(ct_values)
    seen: list[float] = []
    read_scan(folder, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)

    def stop(_):
        raise Cancelled

    with pytest.raises(Cancelled):
        read_scan(folder, progress=stop)


def test_damaged_files_are_named(dicom_series, ct_values):
    folder = dicom_series(ct_values)
    names = sorted(folder.iterdir(), key=lambda p: pydicom.dcmread(p).ImagePositionPatient[2])
    whole = names[-1].read_bytes()
    names[-1].write_bytes(whole[:-40])
    volume = read_scan(folder)
    assert volume.geometry.size[2] == 5
    assert any(names[-1].name in note and "damaged" in note for note in volume.notes)
    names[-1].write_bytes(b"")
    volume = read_scan(folder)
    assert volume.geometry.size[2] == 5
    assert any(names[-1].name in note and "damaged" in note for note in volume.notes)
    names[2].write_bytes(whole[:200])
    assert any("1 slice is missing" in note for note in read_scan(folder).notes)


@pytest.mark.parametrize("name", ["IM0007", "1.2.840.7", "IM7.dcm"])
def test_an_empty_file_where_a_slice_was_is_named(dicom_series, ct_values, name):
    folder = dicom_series(ct_values)
    (folder / name).touch()
    (folder / "autorun.inf").touch()
    [note] = read_scan(folder).notes
    assert note.startswith(f"1 damaged file was left out ('{name}')")


@pytest.mark.parametrize(
    ("stated", "written"),
    [
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (JPEGLosslessSV1, ExplicitVRLittleEndian),
        (JPEGLosslessSV1, ImplicitVRLittleEndian),
        (JPEGBaseline8Bit, ExplicitVRLittleEndian),
    ],
)
def test_pixels_are_found_where_the_file_lies_about_its_syntax(dicom_series, ct_values, stated, written):
    """As archives do that rewrite a file, or unpack its pixels, and keep what its first lines said."""
    folder = dicom_series(ct_values)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = stated
        start, body = io.BytesIO(), io.BytesIO()
        pydicom.filewriter.write_file_meta_info(start, dataset.file_meta)
        del dataset.file_meta
        dataset.preamble = None
        pydicom.dcmwrite(
            body, dataset, implicit_vr=written.is_implicit_VR, little_endian=True, enforce_file_format=False
        )
        path.write_bytes(bytes(128) + b"DICM" + start.getvalue() + body.getvalue())
    volume = read_scan(folder)
    assert np.array_equal(volume.array, ct_values)
    assert volume.not_measurable is None


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_data_set_without_preamble_is_read(dicom_series, ct_values, syntax):
    order = "<" if syntax.is_little_endian else ">"
    folder = dicom_series(ct_values.astype(f"{order}i2"), syntax=syntax)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        dataset.preamble = None
        pydicom.dcmwrite(
            path,
            dataset,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
            enforce_file_format=False,
        )
        assert path.read_bytes()[128:132] != b"DICM"
    assert np.array_equal(read_scan(folder).array, ct_values)


def test_negative_hu_written_down_as_positive_are_said(dicom_series, ct_values):
    def unsigned(dataset, _):
        dataset.PixelRepresentation = 0

    volume = read_scan(dicom_series(ct_values, edit=unsigned))
    assert volume.hounsfield is False
    assert any("negative values may have been written down as positive" in note for note in volume.notes)


@pytest.mark.parametrize(
    ("edit", "in_hu"),
    [
        (_set(range(6), RescaleType="ED"), False),
        (_set(range(6), RescaleType="US"), True),
    ],
)
def test_ct_that_is_not_hu_says_so(dicom_series, ct_values, edit, in_hu):
    volume = read_scan(dicom_series(ct_values, edit=edit))
    assert volume.modality is Modality.CT
    assert volume.is_hounsfield is in_hu
    assert any("HU" in note for note in volume.notes) is not in_hu
