"""Looking through 5,000 DICOM files the first time and the second, against parsing each header once with pydicom."""

import time

import pydicom
import pydicom.uid
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from hemaview.imaging.catalogue import ScanIndex, scan_paths

PATIENTS, SERIES, SLICES = 5, 10, 100
FILES = PATIENTS * SERIES * SLICES
LARGEST_SHARE_OF_FIRST = 0.4
LARGEST_SHARE_OF_PYDICOM = 1.5

pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def medium(tmp_path_factory):
    """Five patients with ten series of a hundred slices each, all in one folder without suffixes."""
    folder = tmp_path_factory.mktemp("medium")
    pixels = bytes(range(256)) * 32
    for patient in range(PATIENTS):
        study = pydicom.uid.generate_uid()
        for series in range(SERIES):
            uid = pydicom.uid.generate_uid()
            for number in range(SLICES):
                image = Dataset()
                image.file_meta = FileMetaDataset()
                image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
                image.SOPClassUID, image.SOPInstanceUID = pydicom.uid.MRImageStorage, pydicom.uid.generate_uid()
                image.StudyInstanceUID, image.SeriesInstanceUID = study, uid
                image.PatientName, image.PatientID = f"Speed^Test{patient}", str(patient)
                image.StudyDate, image.StudyTime, image.Modality = "20200101", "120000", "MR"
                image.Manufacturer, image.ManufacturerModelName = "Nobody", "Test"
                image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
                image.ScanningSequence, image.MRAcquisitionType = "SE", "2D"
                image.RepetitionTime, image.EchoTime = "2300", "12"
                image.SeriesNumber, image.InstanceNumber, image.SliceThickness = series + 1, number + 1, "1"
                image.ImagePositionPatient = ["-30", "-40", f"{number}"]
                image.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
                image.PixelSpacing, image.Rows, image.Columns = ["1", "1"], 64, 64
                image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
                image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
                image.PixelData = pixels
                image.save_as(folder / f"IM{patient}{series}{number:03d}", enforce_file_format=True)
    return folder


def test_the_second_look_is_a_fraction_of_the_first(medium, tmp_path, record_property):
    index = ScanIndex(tmp_path / "scans.sqlite")

    def with_pydicom():
        for path in medium.iterdir():
            header = pydicom.dcmread(path, stop_before_pixels=True)
            for element in header:
                str(element.value)

    def look():
        found = scan_paths([medium], index=index)
        assert len(found.patients) == PATIENTS
        assert len(list(found)) == PATIENTS * SERIES

    seconds = []
    for work in (with_pydicom, look, look):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    reference, first, second = seconds
    record_property("first_of_pydicom", first / reference)
    record_property("second_of_first", second / first)
    print(
        f"\n{FILES} files: pydicom {reference:.2f} s, first look {first:.2f} s, second look {second:.2f} s of CPU; "
        f"{first / reference:.2f} x and {second / first:.2f} x"
    )
    assert first / reference <= LARGEST_SHARE_OF_PYDICOM
    assert second / first <= LARGEST_SHARE_OF_FIRST
