"""Enhanced CT and MR objects and multi-frame secondary captures: every frame with its own place, scale and kind."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from hemaview.imaging.reading.dicom.frames import NotAPicture
from hemaview.imaging.reading.dicom.values import read_values


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, (6, 5, 7)).astype(np.uint16)


def test_each_frame_has_its_own_place_and_pixels(dicom, frames):
    found = dicom.opened(dicom.enhanced(frames, step=(0, 1, 4)))
    assert [p.frame for p in found] == list(range(6))
    assert [p.position for p in found] == [(-100, -80 + k, 20 + 4 * k) for k in range(6)]
    assert {p.orientation for p in found} == {(1, 0, 0, 0, 1, 0)}
    assert {p.pixel_spacing for p in found} == {(0.5, 0.8)}
    assert {p.slice_thickness for p in found} == {5}
    assert np.array_equal(dicom.pixels_of(found), frames)


def test_a_group_of_the_frame_counts_more_than_the_shared_one(dicom, frames):
    def own(k):
        return {"PixelMeasuresSequence": dicom.group(PixelSpacing=[1, 2], SliceThickness=3)} if k == 4 else {}

    found = dicom.opened(dicom.enhanced(frames, frame=own))
    assert [p.pixel_spacing for p in found] == [(0.5, 0.8)] * 4 + [(1, 2), (0.5, 0.8)]
    assert found[4].slice_thickness == 3


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_uncompressed_syntax_gives_the_same_frames(dicom, frames, syntax):
    found = dicom.opened(dicom.enhanced(frames, syntax=syntax))
    assert np.array_equal(dicom.pixels_of(found), frames)


def test_ct_frames_are_rescaled_one_by_one(dicom, frames):
    def scale(k):
        return {
            "PixelValueTransformationSequence": dicom.group(
                RescaleSlope=1 + k, RescaleIntercept=-1000 - k, RescaleType="HU"
            )
        }

    found = dicom.opened(dicom.enhanced(frames, modality="CT", frame=scale))
    values, _ = read_values(found)
    k = np.arange(6)[:, None, None]
    assert np.array_equal(values, np.maximum(frames * (1.0 + k) - 1000 - k, -1024))
    assert found[0].rescale_type == "HU"


def test_a_real_world_mapping_scales_where_there_is_no_rescale(dicom, frames):
    mapping = dicom.group(RealWorldValueSlope=0.25, RealWorldValueIntercept=-500.0)
    found = dicom.opened(dicom.enhanced(frames, shared={"RealWorldValueMappingSequence": mapping}))
    values, _ = read_values(found)
    assert np.allclose(values, frames * 0.25 - 500)


def test_what_tells_frames_of_one_place_apart_is_known(dicom, frames):
    def moment(k):
        diffusion = dicom.group(DiffusionBValue=1000.0)
        diffusion[0].DiffusionGradientDirectionSequence = dicom.group(DiffusionGradientOrientation=[0.0, 0.6, 0.8])
        return {
            "FrameContentSequence": dicom.group(StackID=f"{k % 2}", TemporalPositionIndex=k // 2 + 1),
            "MREchoSequence": dicom.group(EffectiveEchoTime=2.5 + k),
            "MRImageFrameTypeSequence": dicom.group(
                FrameType=["ORIGINAL", "PRIMARY", "T1", "NONE"], ComplexImageComponent="PHASE"
            ),
            "MRDiffusionSequence": diffusion,
        }

    found = dicom.opened(dicom.enhanced(frames, frame=moment))
    assert [p.moments["stack"] for p in found] == ["0", "1"] * 3
    assert [p.moments["time"] for p in found] == ["1", "1", "2", "2", "3", "3"]
    assert [float(p.moments["echo"]) for p in found] == [2.5, 3.5, 4.5, 5.5, 6.5, 7.5]
    assert {(float(p.moments["b-value"]), p.moments["direction"]) for p in found} == {(1000, "0.0/0.6/0.8")}
    assert {p.image_type for p in found} == {("ORIGINAL", "PRIMARY", "T1", "NONE", "PHASE")}


def test_the_pulse_sequence_is_said_as_single_images_say_it(dicom, frames):
    dataset = dicom.enhanced(frames, shared={"MRModifierSequence": dicom.group(InversionRecovery="YES")})
    dataset.EchoPulseSequence, dataset.EchoPlanarPulseSequence = "GRADIENT", "YES"
    assert {p.technique["sequence"] for p in dicom.opened(dataset)} == {"GR/EP/IR"}


def test_objects_converted_from_single_images_keep_what_they_say(dicom, frames):
    def converted(k):
        return {"UnassignedPerFrameConvertedAttributesSequence": dicom.group(EchoTime=str(4 + k), AcquisitionNumber=k)}

    dataset = dicom.enhanced(frames, frame=converted)
    dataset.SOPClassUID = pydicom.uid.LegacyConvertedEnhancedMRImageStorage
    found = dicom.opened(dataset)
    assert [p.moments["echo"] for p in found] == ["4", "5", "6", "7", "8", "9"]
    assert [p.moments["acquisition"] for p in found] == ["0", "1", "2", "3", "4", "5"]


def test_what_only_the_file_header_says_is_used(dicom, frames):
    dataset = dicom.enhanced(frames, shared={"PixelMeasuresSequence": None, "PlaneOrientationSequence": None})
    dataset.PixelSpacing, dataset.ImageOrientationPatient = [1.5, 2.5], [0, 1, 0, 0, 0, -1]
    found = dicom.opened(dataset)
    assert {(p.pixel_spacing, p.orientation) for p in found} == {((1.5, 2.5), (0, 1, 0, 0, 0, -1))}


def test_a_frame_without_place_does_not_take_the_one_of_the_file(dicom, frames):
    dataset = dicom.enhanced(frames, frame=lambda k: {"PlanePositionSequence": None} if k == 3 else {})
    dataset.ImagePositionPatient = [0, 0, 0]
    assert [p.position is None for p in dicom.opened(dataset)] == [False, False, False, True, False, False]


@pytest.mark.parametrize(("stated", "words"), [(5, "describes 6"), (7, "end before"), (2_000_000_000, "end before")])
def test_a_wrong_number_of_frames_is_not_believed(dicom, frames, stated, words):
    dataset = dicom.enhanced(frames)
    dataset.NumberOfFrames = stated
    with pytest.raises(NotAPicture, match=words):
        dicom.opened(dataset)


def test_frames_of_a_secondary_capture_have_no_place(dicom, frames):
    found = dicom.opened(dicom.secondary(frames))
    assert [(p.frame, p.position) for p in found] == [(k, None) for k in range(6)]
    assert np.array_equal(dicom.pixels_of(found), frames)


D2N = "dicom_series/d2n_small_vendor_sets"
FIRST_AND_LAST = [
    ("dicom_series/enhanced_multiframe/6_3.dcm", 6, (-109.79, -58.4773, -5.40356), (-109.79, -58.4774, 6.59644)),
    (f"{D2N}/hyperfine/anatomical/001/001.dcm", 8, (0, 0, -175), (0, 0, -140)),
    ("odd_files/dicom_pydicom_data/eCT_Supplemental.dcm", 2, (99.5, -301.5, -159), (99.5, -301.5, -149)),
]


@pytest.mark.parametrize(("path", "count", "first", "last"), FIRST_AND_LAST, ids=[row[0] for row in FIRST_AND_LAST])
def test_real_enhanced_objects(shared_data, real_pictures, path, count, first, last):
    found = real_pictures(shared_data / path)
    assert len(found) == count
    assert found[0].position == pytest.approx(first)
    assert found[-1].position == pytest.approx(last)


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("hyperfine", "001.dcm"),
        ("philips_enhanced", "IM-0001-0170-0001.dcm"),
        ("siemens_multiframe", "IM-0001-0001-0001.dcm"),
    ],
)
def test_places_and_pixels_are_those_another_program_found(shared_data, real_pictures, dicom, folder, file):
    truth = nib.load(shared_data / D2N / folder / "anatomical/001_ground_truth.nii.gz")
    found = real_pictures(shared_data / D2N / folder / "anatomical/001" / file)
    values, _ = read_values(found)
    to_index = np.linalg.inv(truth.affine)
    for plane, picture in zip(values, found, strict=True):
        row, column = np.array(picture.orientation[:3]), np.array(picture.orientation[3:])
        down, across = picture.pixel_spacing
        j, i = np.indices(plane.shape)
        places = np.array(picture.position) + (i * across)[..., None] * row + (j * down)[..., None] * column
        index = nib.affines.apply_affine(to_index @ np.diag((-1, -1, 1, 1)), places)
        assert np.abs(index - np.rint(index)).max() < 0.02
        assert np.allclose(
            np.squeeze(truth.get_fdata())[tuple(np.moveaxis(np.rint(index).astype(int), -1, 0))], plane, atol=1e-3
        )


def test_a_philips_field_map_holds_two_kinds_of_picture(shared_data, real_pictures, dicom):
    found = real_pictures(shared_data / "dicom_series/enhanced_multiframe/IM_0027_fMAP.dcm")
    kinds = [p.image_type[3:] for p in found]
    assert kinds == [("M", "MAGNITUDE")] * 32 + [("FIELD_MAP", "REAL")] * 32
    assert len({p.position for p in found[:32]}) == len({p.position for p in found[32:]}) == 32
    field, _ = read_values(found[32:])
    assert np.allclose(field, dicom.pixels_of(found[32:]) * 0.24420024420024 - 500)
    assert {p.slope for p in found[:32]} == {1.27985347985347}


SAME_AS_EMRI = ["_RLE", "_big_endian", "_jpeg_2k_lossless", "_jpeg_2k_lossless_too_short", "_jpeg_ls_lossless"]


@pytest.mark.parametrize("syntax", SAME_AS_EMRI)
def test_a_real_object_is_the_same_in_every_syntax(shared_data, real_pictures, dicom, syntax):
    folder = shared_data / "odd_files/dicom_pydicom_data"
    plain = dicom.pixels_of(real_pictures(folder / "emri_small.dcm"))
    assert plain.shape == (10, 64, 64)
    assert np.array_equal(dicom.pixels_of(real_pictures(folder / f"emri_small{syntax}.dcm")), plain)
