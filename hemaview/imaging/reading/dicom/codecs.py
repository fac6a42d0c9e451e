"""Decoding one compressed frame. A code stream that does not fit the header is refused before it is decoded."""

from __future__ import annotations

import io
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom.uid
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from numpy.typing import NDArray
from openjpeg.utils import decode
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder

from hemaview.imaging.reading.dicom.code_stream import BrokenStream, StatedSize, j2k_size, jpeg_size
from hemaview.imaging.reading.dicom.header import Instance

_J2K = (
    pydicom.uid.JPEG2000Lossless,
    pydicom.uid.JPEG2000,
    pydicom.uid.HTJ2KLossless,
    pydicom.uid.HTJ2KLosslessRPCL,
    pydicom.uid.HTJ2K,
)
_JPEG = (
    pydicom.uid.JPEGBaseline8Bit,
    pydicom.uid.JPEGExtended12Bit,
    pydicom.uid.JPEGLossless,
    pydicom.uid.JPEGLosslessSV1,
    pydicom.uid.JPEGLSLossless,
    pydicom.uid.JPEGLSNearLossless,
)
_FRAGMENTS_FOLLOW = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff"
_FRAGMENTS_END = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_MOST_PER_BYTE = 4096
_ALWAYS_ALLOWED = 64 << 20


class Undecodable(Exception):  # noqa: N818 - the caller names the file
    """There is no decoder for the frame, or its code stream is damaged or of another size than the header says."""


def decode_frame(code: bytes, instance: Instance, scratch: Path) -> NDArray:
    """(rows, columns) integers of one frame, or (rows, columns, 3) red, green, blue.

    ``scratch`` is a folder for the decoder's input. Raises ``Undecodable``.
    """
    _check_claims(code, instance)
    try:
        if instance.syntax in _J2K:
            pixels = _with_openjpeg(code, instance)
        elif instance.syntax == pydicom.uid.RLELossless:
            pixels = _with_pydicom(code, instance)
        else:
            pixels = _with_gdcm(code, instance, scratch)
    except (RuntimeError, ValueError) as error:
        raise Undecodable from error
    expected = (*instance.frame_shape, instance.samples) if instance.samples > 1 else instance.frame_shape
    if pixels.shape == (1, *expected):  # GDCM gives a volume of one slice
        pixels = pixels[0]
    if pixels.shape != expected or pixels.dtype.kind not in "iu":
        raise Undecodable
    return pixels


def _check_claims(code: bytes, instance: Instance) -> None:
    """Refuse what a few bytes cannot hold, and a stream whose own size is not the header's."""
    if instance.frame_bytes > max(_ALWAYS_ALLOWED, _MOST_PER_BYTE * len(code)):
        raise Undecodable
    try:
        if instance.syntax in _JPEG:
            _check_size(jpeg_size(code), instance)
        elif instance.syntax in _J2K:
            _check_size(j2k_size(code), instance)
        elif instance.syntax != pydicom.uid.RLELossless:
            raise Undecodable
    except BrokenStream as error:
        raise Undecodable from error


def _check_size(stated: StatedSize, instance: Instance) -> None:
    is_same = (stated.rows, stated.columns) == instance.frame_shape and stated.components == instance.samples
    if not is_same or stated.bits > instance.bits_allocated:
        raise Undecodable


def _with_openjpeg(code: bytes, instance: Instance) -> NDArray:
    pixels = np.asarray(decode(code))
    if (pixels.dtype.kind == "i") == instance.signed:
        return pixels
    # The header's sign counts: some writers compress signed pixels as if they were unsigned.
    unused = 8 * pixels.itemsize - j2k_size(code).bits
    return np.asarray((pixels << unused).view(f"{'i' if instance.signed else 'u'}{pixels.itemsize}") >> unused)


def _with_pydicom(code: bytes, instance: Instance) -> NDArray:
    """RLE, where pydicom notices that a segment ends early and GDCM does not."""
    rows, columns = instance.frame_shape
    pixels, _ = get_decoder(pydicom.uid.RLELossless).as_array(
        encapsulate([code]),
        rows=rows,
        columns=columns,
        number_of_frames=1,
        samples_per_pixel=instance.samples,
        photometric_interpretation=instance.photometric,
        bits_allocated=instance.bits_allocated,
        bits_stored=instance.bits_stored,
        pixel_representation=int(instance.signed),
        planar_configuration=1,
        pixel_keyword="PixelData",
    )
    return np.asarray(pixels)


def _with_gdcm(code: bytes, instance: Instance, scratch: Path) -> NDArray:
    """Let GDCM decode a file that holds nothing but the frame, so that it applies no rescaling of its own."""
    path = scratch / "image.dcm"
    header = _bare_header(
        instance.syntax,
        instance.frame_shape,
        instance.photometric if instance.samples > 1 else "MONOCHROME2",
        instance.samples,
        (instance.bits_allocated, instance.bits_stored, instance.high_bit),
        instance.signed,
    )
    path.write_bytes(header + _FRAGMENTS_FOLLOW + encapsulate([code]) + _FRAGMENTS_END)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    return np.asarray(sitk.GetArrayFromImage(reader.Execute()))


@lru_cache(maxsize=4)
def _bare_header(
    syntax: str, shape: tuple[int, int], photometric: str, samples: int, bits: tuple[int, int, int], signed: bool
) -> bytes:
    """A DICOM file up to its pixels; the same for all frames of a series, and pydicom takes longer than the decoder."""
    bare = Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    bare.SOPClassUID, bare.SOPInstanceUID, bare.Modality = pydicom.uid.MRImageStorage, "1.2.3", "MR"
    bare.Rows, bare.Columns = shape
    bare.PhotometricInterpretation, bare.SamplesPerPixel = photometric, samples
    if samples > 1:
        bare.PlanarConfiguration = 0
    bare.BitsAllocated, bare.BitsStored, bare.HighBit = bits
    bare.PixelRepresentation = int(signed)
    header = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(header, bare, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return header.getvalue()
