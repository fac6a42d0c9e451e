"""DICOM folders for the pictures of the user guide: the sample phantom dressed as the series of a made-up patient."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from hemaview.case.sample import load_sample
from hemaview.imaging import Volume
from hemaview.imaging.reading import read_scan

PATIENT = "Phantom^Sample"
FIRST_DAY, LATER_DAY = "20260105", "20260107"

_T1: Mapping[str, float | str] = {"RepetitionTime": 500.0, "EchoTime": 10.0, "SequenceName": "*se2d1"}
_FLAIR: Mapping[str, float | str] = {
    "RepetitionTime": 9000.0,
    "EchoTime": 120.0,
    "InversionTime": 2500.0,
    "SequenceName": "*tir2d1",
}
_FLUID, _FAT = 120, 600


def write_cd(folder: Path) -> Path:
    """A scout, a T1, a FLAIR and a report of one day, and a T1 with thicker slices of two days later."""
    folder.mkdir(parents=True)
    phantom = read_scan(load_sample().scan)
    values = np.asarray(phantom.array)
    scout = np.ascontiguousarray(values[::-1, :, values.shape[2] // 2][None])
    _write(folder, phantom, scout, 1, FIRST_DAY, step_mm=10.0, plane="sagittal", kind=("LOCALIZER",))
    _write(folder, phantom, values, 2, FIRST_DAY)
    _write(folder, phantom, _like_flair(values), 3, FIRST_DAY, technique=_FLAIR)
    _write_report(folder / "REPORT", 4, FIRST_DAY)
    _write(folder, phantom, values[::2], 5, LATER_DAY, step_mm=2 * phantom.geometry.spacing[2])
    (folder / "README.TXT").write_text("Files of a phantom; there is no such patient.\n", encoding="utf-8")
    return folder


def _like_flair(values: NDArray[Any]) -> NDArray[np.int16]:
    """Greys as on FLAIR: fluid stays dark, grey matter is brighter than white."""
    tissue = _FLUID + (_FAT - np.clip(values, _FLUID, _FAT)) * 0.8
    share = np.clip((values - _FLUID) / _FLUID, 0, 1)
    return np.asarray(values * (1 - share) + tissue * share, dtype=np.int16)


def _write(
    folder: Path,
    phantom: Volume,
    values: NDArray[Any],
    number: int,
    day: str,
    *,
    step_mm: float | None = None,
    plane: str = "axial",
    kind: tuple[str, ...] = ("AXIAL",),
    technique: Mapping[str, float | str] = _T1,
) -> None:
    """One series of ``values[slice, row, column]``, whose first voxel is that of the phantom."""
    geometry = phantom.geometry
    axes, spacing = np.array(geometry.direction).reshape(3, 3), geometry.spacing
    step = step_mm or spacing[2]
    rows, pixel = (axes[:, 0], axes[:, 1]), (spacing[1], spacing[0])
    if plane == "sagittal":
        rows, pixel = (axes[:, 1], -axes[:, 2]), (spacing[2], spacing[1])
    for place, picture in enumerate(values):
        image = _header(number, day, MRImageStorage, "MR", place)
        image.ImageType = ["ORIGINAL", "PRIMARY", *kind]
        image.ImagePositionPatient = [float(x) for x in np.array(geometry.origin) + place * step * axes[:, 2]]
        image.ImageOrientationPatient = [float(x) for axis in rows for x in axis]
        image.PixelSpacing, image.SliceThickness = [float(x) for x in pixel], float(step)
        image.Rows, image.Columns = picture.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        for keyword, value in technique.items():
            setattr(image, keyword, value)
        image.PixelData = np.ascontiguousarray(picture, dtype=np.int16).tobytes()
        pydicom.dcmwrite(folder / f"S{number}I{place:03d}", image, enforce_file_format=True)


def _write_report(path: Path, number: int, day: str) -> None:
    pydicom.dcmwrite(path, _header(number, day, ComprehensiveSRStorage, "SR", 0), enforce_file_format=True)


def _header(number: int, day: str, sop_class: str, modality: str, place: int) -> Dataset:
    """What every file of the patient holds; the same call gives the same UIDs."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, _uid(day, number, place)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uid(day), _uid(day, number)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = PATIENT, "PHANTOM", "20000101"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = day
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, number, place + 1
    return dataset


def _uid(*parts: object) -> str:
    return str(generate_uid(entropy_srcs=["guide", *(str(part) for part in parts)]))
