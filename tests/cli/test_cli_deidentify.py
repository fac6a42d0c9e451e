"""``hemaview deidentify``: what it writes and says, and how it refuses."""

import json
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four CT slices of a named patient, one of them a screen shot."""
    uid = generate_uid()
    source = tmp_path / "source"
    source.mkdir()
    for k in range(4):
        slice_ = Dataset()
        slice_.file_meta = FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_.SOPClassUID, slice_.SOPInstanceUID, slice_.SeriesInstanceUID = CTImageStorage, generate_uid(), uid
        slice_.StudyInstanceUID, slice_.StudyDate = "1.2.3", "20200131"
        slice_.Modality, slice_.PatientName, slice_.PatientID = "CT", "Doe^Jane", "4711"
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 5 * k], [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing, slice_.Rows, slice_.Columns = [1, 1], 8, 8
        slice_.BitsAllocated = slice_.BitsStored = 16
        slice_.HighBit, slice_.PixelRepresentation, slice_.SamplesPerPixel = 15, 0, 1
        slice_.PhotometricInterpretation = "MONOCHROME2"
        slice_.PixelData = bytes(range(128))
        slice_.BurnedInAnnotation = "YES" if k == 3 else "NO"
        pydicom.dcmwrite(source / f"doe{k}", slice_, enforce_file_format=True)
    return source


def test_it_says_what_was_written_and_left_out(run, folder, tmp_path):
    ran = run("deidentify", folder, tmp_path / "out")
    assert ran.code == 0
    assert "patient-1/study-1/series-1: CT, 3 files, 8 x 8 x 3, opens as before" in ran.out
    assert "left out: 1 file, each of which may show the patient's name" in ran.out
    assert "note: A face" in ran.err
    assert "Doe" not in ran.out + ran.err


def test_json_and_the_options(run, folder, tmp_path):
    ran = run("deidentify", folder, tmp_path / "out", "--json", "--dates", "shift", "--with-screenshots")
    report = json.loads(ran.out)
    assert report["files"] == 4
    assert report["dates"] == "shift"
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())


def test_a_folder_with_files_and_an_unknown_series_are_refused(run, folder, tmp_path):
    assert run("deidentify", folder, folder).code == 6
    ran = run("deidentify", folder, tmp_path / "out", "--series", "1.2.3")
    assert ran.code == 3
    assert not (tmp_path / "out").exists()
