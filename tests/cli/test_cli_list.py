"""``hemaview list``: the table, JSON, names on request, and nothing found."""

import json
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from hemaview.imaging.reading import read_scan


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four CT slices of a named patient and a text file."""
    uid = generate_uid()
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
        slice_.RescaleSlope, slice_.RescaleIntercept = 1, -1024
        slice_.PixelData = bytes(range(128))
        pydicom.dcmwrite(tmp_path / f"slice{k}", slice_, enforce_file_format=True)
    (tmp_path / "readme.txt").write_text("burned with a viewer")
    return tmp_path


def test_the_table_tells_verdict_size_and_what_was_left_out(run, folder):
    ran = run("list", folder)
    assert ran.code == 0
    assert "Patient 1" in ran.out
    assert "Study 2020-01-31" in ran.out
    assert "[measurable] CT series" in ran.out
    assert "8 x 8 x 4" in ran.out
    assert "1 file (not a scan): readme.txt" in ran.out
    assert "Doe" not in ran.out


def test_names_are_shown_on_request(run, folder):
    assert "Doe, Jane (4711)" in run("list", folder, "--names", "--no-index").out


def test_json_names_what_opens_each_series(run, folder):
    listed = json.loads(run("list", folder, "--json").out)
    (series,) = listed["patients"][0]["studies"][0]["series"]
    assert series["verdict"] == "measurable"
    assert series["spacing_mm"] == [1, 1, 5]
    assert read_scan(series["path"], series_uid=series["series_uid"]).geometry.size == (8, 8, 4)
    assert listed["left_out"] == [{"reason": "not a scan", "count": 1, "examples": ["readme.txt"]}]


def test_nothing_found_is_exit_code_3(run, tmp_path):
    ran = run("list", tmp_path)
    assert ran.code == 3
    assert ran.sentence == "No scan was found there; choose the folder that holds the scans."
    assert run("list", tmp_path / "gone").code == 3
