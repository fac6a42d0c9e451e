"""Opening a DICOM series against SimpleITK's own read of the same files, and the memory it takes at its peak."""

import json
import subprocess
import sys
import time

import numpy as np
import pydicom
import pydicom.uid
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset, FileMetaDataset

from hemaview.imaging.reading import read_scan

FILES, ROWS, COLUMNS = 384, 274, 384
LARGEST_SHARE_OF_ITK = 1.5
LARGEST_SHARE_OF_SCAN = 3.0

pytestmark = pytest.mark.benchmark


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A large oblique MR series, as many scanners write it: little endian, some thirty elements, one file a slice."""
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(3)
    study, uid = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
    tilt = np.radians(12)
    row, column = (1.0, 0.0, 0.0), (0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    normal = np.cross(row, column)
    for number in range(FILES):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = pydicom.uid.MRImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = pydicom.uid.generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID = study, uid
        image.PatientName, image.PatientID = "Speed^Test", "1"
        image.StudyDate, image.StudyTime, image.Modality = "20200101", "120000", "MR"
        image.Manufacturer, image.ManufacturerModelName = "Nobody", "Test"
        image.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        image.ScanningSequence, image.MRAcquisitionType = "GR", "3D"
        image.RepetitionTime, image.EchoTime, image.InversionTime = "2300", "2.98", "900"
        image.SeriesNumber, image.InstanceNumber = 4, number + 1
        image.SliceThickness = "0.7"
        image.ImagePositionPatient = [f"{v:.6f}" for v in np.array((-130.0, -90.0, -60.0)) + 0.7 * number * normal]
        image.ImageOrientationPatient = [f"{v:.8f}" for v in (*row, *column)]
        image.PixelSpacing = ["0.667", "0.667"]
        image.Rows, image.Columns, image.SamplesPerPixel = ROWS, COLUMNS, 1
        image.PhotometricInterpretation = "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
        image.PixelData = rng.integers(0, 4096, (ROWS, COLUMNS), dtype=np.uint16).tobytes()
        image.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return folder


def test_a_series_opens_about_as_fast_as_simpleitk_reads_it(series, record_property):
    def with_itk():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
        return sitk.GetArrayViewFromImage(reader.Execute()).shape

    def with_hemaview():
        return read_scan(series).array.shape

    assert with_itk() == with_hemaview() == (FILES, ROWS, COLUMNS)
    ours, itk = [], []
    for _ in range(3):
        for read, times in ((with_hemaview, ours), (with_itk, itk)):
            start = time.process_time()
            read()
            times.append(time.process_time() - start)
    share = min(ours) / min(itk)
    record_property("share_of_simpleitk", share)
    print(f"\n{FILES} files: HEMAVIEW {min(ours):.2f} s, SimpleITK {min(itk):.2f} s of CPU, {share:.2f} x")
    assert share <= LARGEST_SHARE_OF_ITK


_PEAK = """
import json, re, sys
from pathlib import Path
from hemaview.imaging.reading import read_scan

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))

read_scan(sys.argv[2])
before = peak()
volume = read_scan(sys.argv[1])
print(json.dumps([peak() - before, volume.array.nbytes]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is measured in kB on Linux only")
def test_a_series_is_read_without_a_second_copy_of_the_scan(series, tmp_path, record_property):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(series.iterdir())[:8]:
        (few / path.name).write_bytes(path.read_bytes())
    answer = subprocess.run([sys.executable, "-c", _PEAK, series, few], capture_output=True, text=True, check=True)
    peak, scan = json.loads(answer.stdout)
    record_property("peak_of_scan", peak / scan)
    print(f"\nscan {scan / 2**20:.0f} MB, memory at the peak of opening it {peak / 2**20:.0f} MB, {peak / scan:.2f} x")
    assert peak / scan <= LARGEST_SHARE_OF_SCAN
