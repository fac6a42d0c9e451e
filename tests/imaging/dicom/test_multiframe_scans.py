"""Scans read from files of many frames: stacks told apart, in their true places, with the values of their frames."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless

from hemaview.imaging import Modality
from hemaview.imaging.reading import list_series, read_scan
from hemaview.imaging.reading.summary import Verdict


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2000, (6, 8, 10)).astype(np.uint16)


@pytest.fixture
def saved(tmp_path):
    """``saved(dataset)`` writes a file and returns its path."""

    def write(dataset) -> Path:
        path = tmp_path / "object.dcm"
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
        return path

    return write


def _hu(dicom):
    return {"PixelValueTransformationSequence": dicom.group(RescaleSlope=1, RescaleIntercept=-1000, RescaleType="HU")}


def test_an_enhanced_ct_is_a_scan_in_hu(dicom, frames, saved):
    volume = read_scan(saved(dicom.enhanced(frames, modality="CT", shared=_hu(dicom))))
    assert volume.modality is Modality.CT
    assert volume.not_measurable is None
    assert volume.geometry.size == (10, 8, 6)
    assert volume.geometry.spacing == pytest.approx((0.8, 0.5, 5))
    assert volume.geometry.origin == pytest.approx((-100, -80, 20))
    assert np.array_equal(volume.array, frames.astype(int) - 1000)


def test_frames_are_sorted_by_place_and_may_be_uneven(dicom, frames, saved):
    heights = np.array((30, 0, 5, 45, 10, 20.0))

    def place(k):
        return {"PlanePositionSequence": dicom.group(ImagePositionPatient=[0, 0, heights[k]])}

    volume = read_scan(saved(dicom.enhanced(frames, modality="CT", shared=_hu(dicom), frame=place)))
    assert volume.geometry.slice_positions == pytest.approx(np.sort(heights))
    assert np.array_equal(volume.array, frames[np.argsort(heights)].astype(int) - 1000)


def test_two_stacks_of_different_planes_are_two_scans(dicom, frames, saved):
    def stack(k):
        if k < 3:
            return {"FrameContentSequence": dicom.group(StackID="1")}
        return {
            "FrameContentSequence": dicom.group(StackID="2"),
            "PlanePositionSequence": dicom.group(ImagePositionPatient=[-40 + 3 * k, -80, 60]),
            "PlaneOrientationSequence": dicom.group(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]),
        }

    path = saved(dicom.enhanced(frames, modality="CT", shared=_hu(dicom), frame=stack))
    found = list_series(path)
    assert sorted(s.plane for s in found) == ["axial", "sagittal"]
    assert all(s.measurable for s in found)
    by_plane = {s.plane: read_scan(path, series_uid=s.uid) for s in found}
    assert np.array_equal(by_plane["axial"].array, frames[:3].astype(int) - 1000)
    # Sagittal slices are sorted along their normal, rows x columns, which points to the right.
    assert np.array_equal(by_plane["sagittal"].array, frames[:2:-1].astype(int) - 1000)


def test_enhanced_files_of_one_frame_keep_their_numbers(dicom, frames, tmp_path):
    """Two rounds over the same places are told apart by nothing else."""
    series = dicom.single(frames[0]).SeriesInstanceUID
    for n in range(8):
        dataset = dicom.enhanced(frames[:1], modality="CT", step=(0, 0, 0))
        place = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
        place.ImagePositionPatient = [-100, -80, 5 * (n % 4)]
        dataset.SeriesInstanceUID, dataset.InstanceNumber = series, n + 1
        pydicom.dcmwrite(tmp_path / f"{n}.dcm", dataset, enforce_file_format=True)
    found = list_series(tmp_path)
    assert [s.uid.partition("#")[2] for s in found] == ["set-1", "set-2"]
    assert [s.images for s in found] == [4, 4]


def test_echoes_in_one_object_are_scans_of_their_own(dicom, frames, saved):
    def echo(k):
        return {
            "MREchoSequence": dicom.group(EffectiveEchoTime=10.0 if k % 2 else 30.0),
            "PlanePositionSequence": dicom.group(ImagePositionPatient=[0, 0, 4 * (k // 2)]),
        }

    path = saved(dicom.enhanced(frames, frame=echo))
    found = {s.uid.partition("#")[2]: read_scan(path, series_uid=s.uid) for s in list_series(path)}
    assert set(found) == {"te-10", "te-30"}
    assert np.array_equal(found["te-30"].array, frames[::2])
    assert np.array_equal(found["te-10"].array, frames[1::2])


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_frames_give_the_same_scan(dicom, saved, syntax):
    smooth = np.add.outer(np.arange(4) * 50, np.add.outer(np.arange(40), np.arange(48)) * 9).astype(np.uint16)
    dataset = dicom.enhanced(smooth)
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    else:
        from openjpeg.utils import encode_array

        dicom.compressed(dataset, syntax, [encode_array(frame) for frame in smooth], fragments=2)
    assert np.array_equal(read_scan(saved(dataset)).array, smooth)


def test_a_multi_frame_secondary_capture_can_be_looked_at(dicom, frames, saved):
    path = saved(dicom.secondary(frames))
    (summary,) = list_series(path)
    assert summary.verdict is Verdict.VIEWABLE
    volume = read_scan(path)
    assert volume.not_measurable
    assert np.array_equal(volume.array, frames)


SIEMENS = "odd_files/dicom_transfer_syntaxes_siemens"


@pytest.mark.parametrize("number", [1, 5, 7])
def test_a_real_mosaic_is_the_volume_dcm2niix_made(shared_data, number):
    truth = nib.load(shared_data / SIEMENS / "1.nii")
    volume = read_scan(shared_data / SIEMENS / f"{number}.dcm")
    assert volume.geometry.size == truth.shape
    # dcm2niix stores rows bottom up and in RAS.
    flipped = truth.affine @ np.array([[1, 0, 0, 0], [0, -1, 0, truth.shape[1] - 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert np.diag((-1, -1, 1, 1)) @ flipped == pytest.approx(volume.geometry.affine, abs=1e-3)
    assert np.array_equal(volume.array, truth.get_fdata().T[:, ::-1])


def test_real_time_points_in_files_of_their_own_are_told_apart(shared_data):
    found = [s for s in list_series(shared_data / "dicom_series/enhanced_multiframe") if "time" in s.uid]
    assert [s.size for s in found] == [(64, 64, 6)] * 4
    assert all(s.measurable for s in found)
