"""Writers of small scans with known answers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid


@pytest.fixture
def dicom_series(tmp_path: Path) -> Callable[..., Path]:
    """``dicom_series(array[k, j, i], step=..., ...)`` writes one file per slice and returns the folder.

    ``edit(dataset, k)`` may change each slice before it is written.
    """

    def write(
        array: np.ndarray,
        *,
        folder: str = "series",
        origin=(-100.0, -80.0, 20.0),
        row=(1.0, 0.0, 0.0),
        column=(0.0, 1.0, 0.0),
        spacing=(0.5, 0.8),
        step=(0.0, 0.0, 5.0),
        modality: str = "CT",
        uid: str | None = None,
        syntax=ExplicitVRLittleEndian,
        edit: Callable[[Dataset, int], None] | None = None,
        shuffle: bool = True,
    ) -> Path:
        """``spacing`` is DICOM's (between rows, between columns)."""
        target = tmp_path / folder
        target.mkdir(exist_ok=True, parents=True)
        uid = uid or generate_uid()
        names = np.random.default_rng(1).permutation(len(array)) if shuffle else np.arange(len(array))
        for k, plane in enumerate(array):
            dataset = Dataset()
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
            dataset.SOPInstanceUID = generate_uid()
            dataset.SeriesInstanceUID = uid
            dataset.Modality = modality
            dataset.PatientName = "Secret^Person"
            dataset.PatientID = "4711"
            dataset.SeriesDescription = "Secret description"
            dataset.SeriesNumber = 4
            dataset.InstanceNumber = int(names[k]) + 1
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            dataset.ImagePositionPatient = [f"{v:.9g}" for v in np.asarray(origin) + k * np.asarray(step)]
            dataset.ImageOrientationPatient = [f"{v:.9g}" for v in (*row, *column)]
            dataset.PixelSpacing = list(spacing)
            dataset.SliceThickness = 5.0
            dataset.Rows, dataset.Columns = plane.shape
            dataset.SamplesPerPixel = 1
            dataset.PhotometricInterpretation = "MONOCHROME2"
            dataset.BitsAllocated = plane.dtype.itemsize * 8
            dataset.BitsStored = dataset.BitsAllocated
            dataset.HighBit = dataset.BitsAllocated - 1
            dataset.PixelRepresentation = int(plane.dtype.kind == "i")
            if modality == "CT":
                dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, 0, "HU"
            dataset.PixelData = np.ascontiguousarray(plane).tobytes()
            dataset["PixelData"].VR = "OW"
            if edit:
                edit(dataset, k)
            pydicom.dcmwrite(
                target / f"IM{names[k]:04d}.dcm",
                dataset,
                enforce_file_format=True,
                implicit_vr=syntax.is_implicit_VR,
                little_endian=syntax.is_little_endian,
            )
        return target

    return write


@pytest.fixture
def ct_values() -> np.ndarray:
    """(6, 10, 12) int16 HU, each voxel different enough to notice a swap."""
    values = np.random.default_rng(0).integers(-1000, 1500, (6, 10, 12)).astype(np.int16)
    values[0, 0, 0] = -1000
    return values
