"""A CT with missing slices in the real window: opened, segmented in the coronal view, saved, opened again."""

from __future__ import annotations

import nibabel
import numpy as np
import pydicom
import pytest
from bright_engine import LESION_CENTRE, SPACING, head
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from PySide6.QtWidgets import QFileDialog

from hemaview.gui.view_state import Tool
from hemaview.imaging import LabelMap, Plane
from hemaview.volumetry import ReadingKind

MISSING = (9, 14, 15)
KEPT = np.setdiff1d(np.arange(24), MISSING)


@pytest.fixture
def series(tmp_path):
    """The head as a DICOM series without three of its slices."""
    folder = tmp_path / "series"
    folder.mkdir()
    uid = generate_uid()
    for k, page in enumerate(head()[0]):
        if k in MISSING:
            continue
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = CTImageStorage, generate_uid(), uid
        dataset.Modality, dataset.InstanceNumber = "CT", k + 1
        dataset.ImagePositionPatient = [0, 0, k * SPACING[2]]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [SPACING[1], SPACING[0]]
        dataset.SliceThickness = SPACING[2]
        dataset.Rows, dataset.Columns = page.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.PixelData = page.tobytes()
        dataset["PixelData"].VR = "OW"
        pydicom.dcmwrite(folder / f"{k}.dcm", dataset, enforce_file_format=True)
    return folder


@pytest.fixture
def uneven(open_window, series):
    """A window with the series open in it."""
    hand = open_window()
    hand.window.open_files([series])
    assert hand.window.settle(60)
    return hand


def test_volumes_and_surface_follow_the_true_gaps(uneven):
    window = uneven.window
    geometry = window.state.geometry
    assert geometry.slice_positions == pytest.approx(KEPT * SPACING[2])
    assert any("missing" in note for note in window.state.volume.notes)
    found, seen = segmented_in_coronal_view(uneven)

    area = np.count_nonzero(seen, axis=(1, 2)) * SPACING[0] * SPACING[1]
    gaps = np.diff(KEPT) * SPACING[2]
    intervals = np.array([gaps[0], *(gaps[1:] + gaps[:-1]) / 2, gaps[-1]])
    expected = float(area @ intervals) / 1000
    np.testing.assert_array_equal(found, seen)
    assert float(window.volumes.rows[ReadingKind.DIRECT].text) == pytest.approx(expected, abs=0.05)
    assert window.case.tada().c_mm == pytest.approx(intervals[area > 0].sum())
    assert window.grid.space.lesion.volume_ml == pytest.approx(expected, rel=0.01)
    middle = np.array(LESION_CENTRE) * SPACING
    assert window.grid.space.lesion.points.mean(axis=0) == pytest.approx(middle, abs=1.5)


def test_a_saved_mask_says_what_it_is_and_comes_back(uneven, tmp_path, monkeypatch):
    window = uneven.window
    _, seen = segmented_in_coronal_view(uneven)
    target = tmp_path / "mask.nii.gz"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args, **kwargs: (str(target), ""))
    window.actions_table["export_mask"].trigger()
    assert window.settle(30)
    assert "Saved mask.nii.gz" in window.messages.text
    assert "unevenly spaced" in window.messages.text
    image = nibabel.load(target)
    in_file = np.count_nonzero(image.dataobj) * abs(np.linalg.det(image.affine[:3, :3])) / 1000
    assert in_file == pytest.approx(window.state.geometry.volume_ml(seen), rel=0.01)

    window.case.replace_mask(LabelMap.empty(window.state.geometry))
    assert window.settle(30)
    assert not window.state.mask.any()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args, **kwargs: (str(target), ""))
    window.actions_table["import_mask"].trigger()
    assert window.settle(30)
    np.testing.assert_array_equal(window.state.mask, seen)


def segmented_in_coronal_view(hand):
    """Draw a box round the lesion in the coronal view; the mask found, and the lesion on the slices there are."""
    window, seen = hand.window, head()[1][KEPT]
    middle = window.state.geometry.lps_to_index(np.array(LESION_CENTRE) * SPACING)
    window.state.set_cursor(middle)
    window.state.set_tool(Tool.BOX)
    k, _, i = (np.flatnonzero(seen.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3))
    hand.drag(Plane.CORONAL, (i[0] - 3, middle[1], k[0] - 1), (i[-1] + 3, middle[1], k[-1] + 1))
    assert window.settle(30)
    return window.case.mask.array, seen
