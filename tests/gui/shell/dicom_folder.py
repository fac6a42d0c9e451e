"""Small DICOM series on disk, as a CD from a hospital holds them; no window in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

JANE = "Doe^Jane"
JOHN = "Roe^John"


def write_series(
    folder: Path,
    *,
    patient: str = JANE,
    study: str = "1.2.3.1",
    number: int = 1,
    modality: str = "CT",
    shape: tuple[int, int, int] = (8, 48, 64),
    spacing: tuple[float, float] | None = (1.0, 1.0),
    **tags: object,
) -> Path:
    """Write (slices, rows, columns) of a bright ball in grey; files have no suffix. ``spacing`` as DICOM has it."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = generate_uid()
    k, j, i = np.indices(shape)
    middle = (np.array(shape) - 1) / 2
    inside = sum(((axis - m) / (0.8 * max(m, 1))) ** 2 for axis, m in zip((k, j, i), middle, strict=True)) < 1
    values = np.where(inside, 40 + 5 * number, -1000 if modality == "CT" else 0).astype(np.int16)
    for place, plane in enumerate(values):
        image = _header(CTImageStorage if modality == "CT" else MRImageStorage, patient, study, uid, modality)
        image.SeriesNumber, image.InstanceNumber = number, place + 1
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.ImagePositionPatient = [-30.0, -20.0, 5.0 * place]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        if spacing is not None:
            image.PixelSpacing = list(spacing)
        image.SliceThickness = 5
        image.Rows, image.Columns = plane.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        if modality == "CT":
            image.RescaleSlope, image.RescaleIntercept, image.RescaleType = 1, 0, "HU"
        for keyword, value in tags.items():
            setattr(image, keyword, value)
        image.PixelData = plane.tobytes()
        pydicom.dcmwrite(folder / f"IM{number}{place:03d}", image, enforce_file_format=True)
    return folder


def write_time_points(folder: Path, *, count: int) -> Path:
    """One MR series of three slices at ``count`` times; the brightest value of time n, from 1, is 100 + n."""
    write_series(folder, number=9, modality="MR", shape=(3, 16, 16))
    for file in sorted(folder.iterdir()):
        image = pydicom.dcmread(file)
        for time in range(1, count + 1):
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            image.TemporalPositionIdentifier, image.AcquisitionNumber = time, time
            image.AcquisitionTime = f"1200{time:02d}"
            image.InstanceNumber = int(image.InstanceNumber) + 100
            values = np.where(image.pixel_array > 0, 100 + time, 0).astype(np.int16)
            image.PixelData = values.tobytes()
            pydicom.dcmwrite(folder / f"{file.name}T{time}", image, enforce_file_format=True)
        file.unlink()
    return folder


def write_report(path: Path, *, patient: str = JANE, study: str = "1.2.3.1") -> Path:
    """A structured report, as scanners put beside the pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = _header(ComprehensiveSRStorage, patient, study, generate_uid(), "SR")
    pydicom.dcmwrite(path, report, enforce_file_format=True)
    return path


def write_cd(folder: Path) -> Path:
    """Two patients: Jane with a CT, two MR series of another day and a report, John with a CT; and a text file."""
    write_series(folder / "A" / "S1", number=2, StudyDate="20200131")
    for number, echo in ((3, 10.0), (4, 90.0)):
        write_series(
            folder / "A" / f"S{number}",
            study="1.2.3.2",
            number=number,
            modality="MR",
            shape=(6, 40, 40),
            StudyDate="20200202",
            EchoTime=echo,
            RepetitionTime=4000.0 if echo > 50 else 500.0,
        )
    write_report(folder / "A" / "SR1", study="1.2.3.2")
    write_series(folder / "B" / "S1", patient=JOHN, study="1.2.9.1", number=5, shape=(4, 32, 32))
    (folder / "README.TXT").write_text("Viewer for Windows", encoding="utf-8")
    return folder


def _header(sop_class: str, patient: str, study: str, series: str, modality: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.PatientName, dataset.PatientID = patient, f"ID-{patient[:3]}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.Modality = study, series, modality
    return dataset
