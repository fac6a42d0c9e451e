"""Stored pixels of DICOM images and what they mean: decoding, rescaling, padding."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pydicom.config
import pydicom.uid
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.header import Instance, read_dataset, uid_name
from hemaview.imaging.reading.files import incomplete

CT_AIR = -1024
_PLAUSIBLE_HU = (-900, 4000)
_INT16 = np.iinfo(np.int16)


def read_pixels(
    instances: Sequence[Instance], progress: Callable[[float], None] | None = None
) -> tuple[NDArray[np.int16] | NDArray[np.float32], tuple[str, ...]]:
    """``array[k, j, i]`` of instances in slice order, rescaled, and sentences about what was changed.

    int16 when every rescaled value is an integer that fits, otherwise float32. CT padding and anything below
    -1024 HU become -1024; MR padding becomes the lowest value of the scan; MONOCHROME1 MR is inverted.
    Raises ``ScanError`` naming the file that cannot be decoded or ends early.
    """
    is_ct = instances[0].modality == "CT"
    first = instances[0]
    whole = all(float(i.slope or 1).is_integer() and float(i.intercept or 0).is_integer() for i in instances)
    shape = (len(instances), first.rows, first.columns)
    array: NDArray = np.empty(shape, dtype=np.int16 if whole and first.bits_stored <= 16 else np.float32)
    padded: dict[int, NDArray[np.bool_]] = {}
    ignored_padding = 0
    clamped = 0
    for k, stored in enumerate(_all_stored(instances)):
        instance = instances[k]
        slope, intercept = instance.slope or 1.0, instance.intercept or 0.0
        values: NDArray
        if array.dtype == np.int16:
            values = stored.astype(np.int32) * int(slope) + int(intercept)
            if values.min() < _INT16.min or values.max() > _INT16.max:
                array = array.astype(np.float32)
        else:
            values = stored.astype(np.float64) * slope + intercept
        if instance.padding is not None:
            low, high = instance.padding
            mask = (stored >= low) & (stored <= high)
            if is_ct and any(_PLAUSIBLE_HU[0] < p * slope + intercept < _PLAUSIBLE_HU[1] for p in (low, high)):
                ignored_padding += int(np.count_nonzero(mask))
            elif mask.any():
                padded[k] = mask
                values[mask] = CT_AIR if is_ct else values[mask].min()
        if is_ct:
            clamped += int(np.count_nonzero(values < CT_AIR))
            np.maximum(values, CT_AIR, out=values)
        array[k] = values
        if progress:
            progress((k + 1) / len(instances))
    notes: list[str] = []
    if is_ct and (padded or clamped):
        notes.append(f"Padding outside the field of view was set to {CT_AIR} HU.")
    if ignored_padding:
        notes.append("The header calls a tissue value padding; it was left as it is.")
    if not is_ct and padded:
        _fill(array, padded)
        notes.append("Padding outside the field of view was set to the lowest value of the scan.")
    if first.photometric == "MONOCHROME1":
        array = _inverted(array)
        notes.append("The scan is stored as a negative (MONOCHROME1); it was inverted.")
    if any(i.is_lossy or i.syntax in _LOSSY for i in instances):
        notes.append("The images were compressed with loss, so values may be off by a little.")
    return array, tuple(notes)


_LOSSY = (pydicom.uid.JPEGBaseline8Bit, pydicom.uid.JPEGExtended12Bit, pydicom.uid.JPEGLSNearLossless)


def _all_stored(instances: Sequence[Instance]) -> Iterator[NDArray]:
    if not any(i.is_compressed for i in instances):
        yield from map(stored_pixels, instances)
        return
    with tempfile.TemporaryDirectory(prefix="hemaview-") as scratch:
        for instance in instances:
            yield stored_pixels(instance, Path(scratch))


def stored_pixels(instance: Instance, scratch: Path | None = None) -> NDArray:
    """(rows, columns) integers as stored, sign and unused bits put right. Raises ``ScanError`` naming the file.

    ``scratch`` is a folder that the decoder of compressed images may write to; without it one is made.
    """
    if instance.is_compressed and scratch is None:
        with tempfile.TemporaryDirectory(prefix="hemaview-") as folder:
            return _decoded(instance, Path(folder))
    if instance.is_compressed and scratch is not None:
        return _decoded(instance, scratch)
    if instance.pixel_offset is not None and not instance.is_deflated:
        data = instance.source.read_at(instance.pixel_offset, instance.frame_bytes)
    elif instance.is_deflated:
        data = bytes(_dataset(instance).get("PixelData", b""))
    else:
        raise incomplete(instance.source.name)
    if len(data) < instance.frame_bytes:
        raise incomplete(instance.source.name)
    order = ">" if instance.is_big_endian else "<"
    kind = "i" if instance.signed else "u"
    dtype = np.dtype(f"{order}{kind}{instance.bits_allocated // 8}")
    pixels = np.frombuffer(data, dtype=dtype, count=instance.rows * instance.columns)
    return _without_unused_bits(pixels.reshape(instance.rows, instance.columns), instance)


def _without_unused_bits(pixels: NDArray, instance: Instance) -> NDArray:
    """Drop overlay bits above and below the stored ones and extend the sign."""
    unused = instance.bits_allocated - instance.bits_stored
    if unused <= 0:
        return pixels
    native = pixels.astype(pixels.dtype.newbyteorder("="))
    above = instance.bits_allocated - 1 - instance.high_bit
    return np.asarray((native << above) >> unused)


def _dataset(instance: Instance, tags: Sequence[str] | None = None) -> Dataset:
    with instance.source.open() as stream:
        try:
            return read_dataset(stream, tags=tags)
        except Exception as error:  # many kinds; all mean that the file cannot be parsed to its end
            raise incomplete(instance.source.name) from error


def _decoded(instance: Instance, scratch: Path) -> NDArray:
    try:
        pixels = _decode_with_gdcm(_dataset(instance, ["PixelData"]), instance, scratch)
    except RuntimeError:
        pixels = _decode_with_pydicom(_dataset(instance), instance)
    if pixels.shape != (instance.rows, instance.columns) or pixels.dtype.kind not in "iu":
        raise _undecodable(instance)
    return pixels


def _decode_with_gdcm(dataset: Dataset, instance: Instance, scratch: Path) -> NDArray:
    """Let GDCM decode a copy that holds nothing but the pixels, so that it applies no rescaling of its own."""
    bare = Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = pydicom.uid.UID(instance.syntax)
    bare.file_meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
    bare.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    bare.SOPClassUID, bare.SOPInstanceUID = pydicom.uid.MRImageStorage, "1.2.3"
    bare.Modality = "MR"
    bare.Rows, bare.Columns, bare.SamplesPerPixel = instance.rows, instance.columns, 1
    bare.PhotometricInterpretation = "MONOCHROME2"
    bare.BitsAllocated, bare.BitsStored = instance.bits_allocated, instance.bits_stored
    bare.HighBit, bare.PixelRepresentation = instance.high_bit, int(instance.signed)
    bare.PixelData = dataset.PixelData
    bare["PixelData"].VR = "OB"
    bare["PixelData"].is_undefined_length = True
    path = scratch / "image.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(path, bare, implicit_vr=False, little_endian=True, enforce_file_format=True)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    image = reader.Execute()
    pixels = sitk.GetArrayFromImage(image)
    return np.asarray(pixels.reshape(pixels.shape[-2:]) if pixels.shape[0] == 1 else pixels)


def _decode_with_pydicom(dataset: Dataset, instance: Instance) -> NDArray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(dataset.pixel_array)
    except Exception as error:  # missing decoder or damaged code stream
        raise _undecodable(instance) from error


def _undecodable(instance: Instance) -> ScanError:
    name = uid_name(instance.syntax) or "unknown"
    return ScanError(
        f"The compressed image in '{instance.source.name}' ({name}) cannot be decoded; export the series uncompressed."
    )


def _fill(array: NDArray, padded: dict[int, NDArray[np.bool_]]) -> None:
    """Give padded voxels the lowest value of the others."""
    kept = (plane[~padded[k]] if k in padded else plane for k, plane in enumerate(array))
    lowest = min((values.min() for values in kept if values.size), default=None)
    if lowest is not None:
        for k, mask in padded.items():
            array[k][mask] = lowest


def _inverted(array: NDArray) -> NDArray:
    low, high = array.min(), array.max()
    if array.dtype == np.int16 and not _INT16.min <= int(low) + int(high) <= _INT16.max:
        array = array.astype(np.float32)
    return np.asarray(array.dtype.type(int(low) + int(high) if array.dtype == np.int16 else low + high) - array)
