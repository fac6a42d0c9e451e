"""Writers of multi-frame objects with known answers, and what is read back from them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from hemaview.imaging.reading.dicom.frames import pictures
from hemaview.imaging.reading.dicom.header import Instance, read_instance
from hemaview.imaging.reading.dicom.pixels import PictureReader
from hemaview.imaging.reading.sources import Source


def group(**elements) -> pydicom.Sequence:
    """A functional group: a sequence with one item."""
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return pydicom.Sequence([item])


def single(array: np.ndarray, *, sop_class=MRImageStorage, modality="MR", syntax=ExplicitVRLittleEndian) -> Dataset:
    """A data set with ``array`` (rows, columns), (frames, rows, columns) or (rows, columns, 3) as pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.SeriesInstanceUID, dataset.Modality = generate_uid(), modality
    is_colour = array.ndim == 3 and array.shape[-1] == 3
    if array.ndim == 3 and not is_colour:
        dataset.NumberOfFrames = len(array)
    dataset.Rows, dataset.Columns = array.shape[:2] if is_colour else array.shape[-2:]
    dataset.SamplesPerPixel = 3 if is_colour else 1
    dataset.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * array.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    order = "<" if syntax.is_little_endian else ">"
    dataset.PixelData = array.astype(array.dtype.newbyteorder(order)).tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def enhanced(array: np.ndarray, *, modality="MR", step=(0.0, 0.0, 5.0), frame=None, shared=None, **options) -> Dataset:
    """An enhanced object; ``frame(k)`` and ``shared`` are functional groups that come on top or replace the usual."""
    sop_class = EnhancedCTImageStorage if modality == "CT" else EnhancedMRImageStorage
    dataset = single(array, sop_class=sop_class, modality=modality, **options)
    usual = {
        "PlaneOrientationSequence": group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        "PixelMeasuresSequence": group(PixelSpacing=[0.5, 0.8], SliceThickness=5),
        **(shared or {}),
    }
    dataset.SharedFunctionalGroupsSequence = group(**{name: value for name, value in usual.items() if value})
    dataset.PerFrameFunctionalGroupsSequence = pydicom.Sequence()
    for k in range(len(array)):
        place = [f"{v:.9g}" for v in np.array((-100.0, -80.0, 20.0)) + k * np.asarray(step)]
        groups = {"PlanePositionSequence": group(ImagePositionPatient=place), **(frame(k) if frame else {})}
        dataset.PerFrameFunctionalGroupsSequence.append(group(**{n: v for n, v in groups.items() if v})[0])
    return dataset


def secondary(array: np.ndarray, **options) -> Dataset:
    """A secondary capture of one or many frames."""
    many = array.ndim == 3 and array.shape[-1] != 3
    kind = MultiFrameGrayscaleWordSecondaryCaptureImageStorage if many else SecondaryCaptureImageStorage
    return single(array, sop_class=kind, modality="OT", **options)


def compressed(dataset: Dataset, syntax, codes, *, fragments: int = 1, has_table: bool = True) -> Dataset:
    """``dataset`` with one code stream per frame as its pixels."""
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate(list(codes), fragments_per_frame=fragments, has_bot=has_table)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def pixels_of(found: tuple[Instance, ...]) -> np.ndarray:
    """[picture, row, column] as stored, all through one reader."""
    with PictureReader() as reader:
        return np.stack([reader.read(picture) for picture in found])


@pytest.fixture
def dicom(tmp_path: Path) -> SimpleNamespace:
    """The writers above, and ``dicom.opened(dataset)``, which writes a file and gives its pictures."""

    def opened(dataset: Dataset) -> tuple[Instance, ...]:
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        syntax = dataset.file_meta.TransferSyntaxUID
        pydicom.dcmwrite(
            path,
            dataset,
            enforce_file_format=True,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
        )
        instance = read_instance(Source(path.name, path))
        assert instance is not None
        return pictures(instance)

    return SimpleNamespace(
        group=group,
        single=single,
        enhanced=enhanced,
        secondary=secondary,
        compressed=compressed,
        opened=opened,
        pixels_of=pixels_of,
    )


@pytest.fixture
def real_pictures() -> Callable[[Path], tuple[Instance, ...]]:
    """``real_pictures(path)``: the pictures of one file on disk."""

    def read(path: Path) -> tuple[Instance, ...]:
        instance = read_instance(Source(path.name, path))
        assert instance is not None
        return pictures(instance)

    return read
