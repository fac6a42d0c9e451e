"""The header of one DICOM image, reduced to what geometry, pixels and diagnosis need; no patient data is kept."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO, Literal

import pydicom
import pydicom.config
import pydicom.uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset

from hemaview.imaging.reading.sources import Source, looks_like_dicom

# pydicom quotes header values in its log, among them names and dates of birth.
logging.getLogger("pydicom").addHandler(logging.NullHandler())
logging.getLogger("pydicom").propagate = False

PIXEL_DATA = 0x7FE00010
_SIEMENS_MOSAIC_COUNT = (0x0019, 0x100A)
_ENCAPSULATED = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5")
_PLAIN_SYNTAXES = (
    "",
    pydicom.uid.ImplicitVRLittleEndian,
    pydicom.uid.ExplicitVRLittleEndian,
    pydicom.uid.ExplicitVRBigEndian,
)
_TEXT_VRS = {"CS", "DS", "IS", "UI", "SH", "LO", "TM"}
_BINARY_TAGS = {
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "DiffusionBValue",
}  # fmt: skip
_LENGTH_FIELD_32 = (b"OB", b"OW", b"UN", b"OF", b"OD", b"OL", b"OV")

_READ_KEYS: tuple[Any, ...] = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "SeriesNumber", "InstanceNumber",
    "AcquisitionNumber", "AcquisitionTime", "EchoTime", "TemporalPositionIdentifier",
    "NumberOfTemporalPositions", "TriggerTime", "DiffusionBValue",
    "RepetitionTime", "InversionTime", "ScanningSequence", "MRAcquisitionType", "MagneticFieldStrength",
    "SliceThickness", "ConvolutionKernel", "KVP", "Manufacturer", "ManufacturerModelName",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "SamplesPerPixel",
    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "LossyImageCompression", "PerFrameFunctionalGroupsSequence",
    pydicom.tag.Tag(0x0019, 0x0010), pydicom.tag.Tag(*_SIEMENS_MOSAIC_COUNT),
)  # fmt: skip
_HEADER_TAGS: list[Any] = [pydicom.tag.Tag(key) for key in _READ_KEYS]


@dataclass(frozen=True)
class Tile:
    """Where one slice lies in a frame that holds many side by side; all in pixels of the frame."""

    top: int
    left: int
    frame_rows: int
    frame_columns: int


@dataclass(frozen=True)
class Instance:
    """One DICOM file, or after ``frames.pictures`` one picture of it.

    Lengths are in mm, LPS; None where the header does not say or says nonsense. ``pixel_spacing`` is (between rows,
    between columns) as in DICOM. ``pixel_offset`` is the byte at which the uncompressed pixels start in the file, or
    None when the file has to be decoded as a whole. ``frames`` counts what the file says it holds; ``frame`` is the
    picture's index among them, and ``tile`` its part of that frame (``rows`` and ``columns`` are then the tile's).
    """

    source: Source
    sop_class: str
    sop_instance: str
    series_uid: str
    modality: str
    series_number: int | None
    instance_number: int | None
    image_type: tuple[str, ...]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    slice_thickness: float | None
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    frames: int
    is_enhanced: bool
    is_mosaic: bool
    has_pixels: bool
    has_lookup: bool
    slope: float | None
    intercept: float | None
    rescale_type: str
    padding: tuple[int, int] | None
    is_lossy: bool
    syntax: str
    is_big_endian: bool
    pixel_offset: int | None
    pixel_length: int | None
    is_truncated: bool
    moments: dict[str, str] = field(default_factory=dict)
    technique: dict[str, str] = field(default_factory=dict)
    frame: int = 0
    tile: Tile | None = None

    @property
    def is_compressed(self) -> bool:
        """Whether the pixels are encapsulated (JPEG, JPEG-LS, JPEG 2000, RLE, ...)."""
        return self.syntax.startswith(_ENCAPSULATED)

    @property
    def is_deflated(self) -> bool:
        """Whether the whole data set is deflated."""
        return bool(self.syntax == pydicom.uid.DeflatedExplicitVRLittleEndian)

    @property
    def is_plain(self) -> bool:
        """Whether the pixels lie in the file as they are; a missing syntax means plain too."""
        return self.syntax in _PLAIN_SYNTAXES

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def uid_name(uid: str) -> str | None:
    """What the DICOM standard calls a UID, or None for one it does not know."""
    entry = pydicom.uid.UID_dictionary.get(uid)
    return entry[0] if entry else None


def read_dataset(stream: BinaryIO, *, header_only: bool = False, tags: Sequence[str] | None = None) -> FileDataset:
    """Parse a stream with pydicom, quietly: the header tags, the given tags or all; raises anything pydicom raises."""
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        if header_only:
            return pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=_HEADER_TAGS, force=True)
        return pydicom.dcmread(stream, force=True, specific_tags=list(tags) if tags else None)


def read_instance(source: Source) -> Instance | None:
    """The header of ``source``, or None when it is not a DICOM file or its header cannot be parsed."""
    # A member of a zip is unpacked as a whole when opened, so its start is looked at first.
    if source.member is not None and not looks_like_dicom(source.start()):
        return None
    with source.open() as stream:
        if not looks_like_dicom(stream.read(132)):
            return None
        stream.seek(0)
        try:
            dataset = read_dataset(stream, header_only=True)
            syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")) if hasattr(dataset, "file_meta") else ""
            with warnings.catch_warnings(), pydicom.config.disable_value_validation():
                warnings.simplefilter("ignore")
                has_pixels, offset, length = _locate_pixels(stream, dataset, syntax)
                file_size = stream.seek(0, io.SEEK_END)
                return _instance(source, dataset, syntax, has_pixels, offset, length, file_size)
        except Exception:  # pydicom raises many kinds for damaged headers; the caller reports the file
            return None


def _locate_pixels(stream: BinaryIO, dataset: FileDataset, syntax: str) -> tuple[bool, int | None, int | None]:
    if syntax == pydicom.uid.DeflatedExplicitVRLittleEndian:
        return True, None, None
    little, implicit = dataset.is_little_endian, dataset.is_implicit_VR
    start = stream.tell()
    head = stream.read(12)
    order: Literal["little", "big"] = "little" if little else "big"
    if len(head) < 8:
        return False, None, None
    tag = int.from_bytes(head[0:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag != PIXEL_DATA:
        return False, None, None
    if implicit:
        length, offset = int.from_bytes(head[4:8], order), start + 8
    elif head[4:6] in _LENGTH_FIELD_32:
        length, offset = int.from_bytes(head[8:12], order), start + 12
    else:
        return True, None, None
    if length == 0xFFFFFFFF:
        return True, None, None
    return length > 0, offset, length


def _instance(
    source: Source,
    dataset: FileDataset,
    syntax: str,
    has_pixels: bool,
    offset: int | None,
    length: int | None,
    file_size: int,
) -> Instance:
    allocated = _integer(dataset, "BitsAllocated") or 0
    stored = _integer(dataset, "BitsStored") or allocated
    signed = _integer(dataset, "PixelRepresentation") == 1
    high_bit = _integer(dataset, "HighBit")
    mosaic = _text(dataset, (0x0019, 0x0010)).startswith("SIEMENS") and (_siemens_mosaic_count(dataset) or 0) > 1
    image_type = tuple(part.upper() for part in _texts(dataset, "ImageType"))
    return Instance(
        source=source,
        sop_class=_text(dataset, "SOPClassUID") or str(dataset.file_meta.get("MediaStorageSOPClassUID", "")),
        sop_instance=_text(dataset, "SOPInstanceUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        modality=_text(dataset, "Modality").upper(),
        series_number=_integer(dataset, "SeriesNumber"),
        instance_number=_integer(dataset, "InstanceNumber"),
        image_type=image_type,
        position=_floats(dataset, "ImagePositionPatient", 3),
        orientation=_floats(dataset, "ImageOrientationPatient", 6),
        pixel_spacing=_floats(dataset, "PixelSpacing", 2),
        slice_thickness=_float(dataset, "SliceThickness"),
        rows=_integer(dataset, "Rows") or 0,
        columns=_integer(dataset, "Columns") or 0,
        samples=_integer(dataset, "SamplesPerPixel") or 1,
        photometric=_text(dataset, "PhotometricInterpretation").upper(),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit if high_bit is not None else stored - 1,
        signed=signed,
        frames=_integer(dataset, "NumberOfFrames") or 1,
        is_enhanced="PerFrameFunctionalGroupsSequence" in dataset,
        is_mosaic=mosaic or "MOSAIC" in image_type,
        has_pixels=has_pixels,
        has_lookup="ModalityLUTSequence" in dataset,
        slope=_float(dataset, "RescaleSlope"),
        intercept=_float(dataset, "RescaleIntercept"),
        rescale_type=_text(dataset, "RescaleType").upper(),
        padding=_padding(dataset, signed),
        is_lossy=_text(dataset, "LossyImageCompression") == "01",
        syntax=syntax,
        is_big_endian=not dataset.is_little_endian,
        pixel_offset=offset,
        pixel_length=length,
        is_truncated=offset is not None and length is not None and offset + length > file_size,
        moments={
            name: _text(dataset, key)
            for name, key in (
                ("echo", "EchoTime"),
                ("b-value", "DiffusionBValue"),
                ("time", "TemporalPositionIdentifier"),
                ("acquisition", "AcquisitionNumber"),
                ("clock", "AcquisitionTime"),
                ("trigger", "TriggerTime"),
                ("times", "NumberOfTemporalPositions"),
            )
        },
        technique={
            name: value
            for name, key in (
                ("manufacturer", "Manufacturer"),
                ("model", "ManufacturerModelName"),
                ("sequence", "ScanningSequence"),
                ("acquisition", "MRAcquisitionType"),
                ("repetition_time_ms", "RepetitionTime"),
                ("echo_time_ms", "EchoTime"),
                ("inversion_time_ms", "InversionTime"),
                ("field_t", "MagneticFieldStrength"),
                ("kernel", "ConvolutionKernel"),
                ("kv", "KVP"),
            )
            if (value := "/".join(_texts(dataset, key)))
        },
    )


def _siemens_mosaic_count(dataset: FileDataset) -> int | None:
    element = dataset.get(_SIEMENS_MOSAIC_COUNT)
    value = element.value if element is not None else None
    if isinstance(value, bytes):  # unknown private VR in an implicit file
        return int.from_bytes(value[:2], "little")
    return int(value) if isinstance(value, int | float | str) and str(value).isdigit() else None


_tag = lru_cache(maxsize=None)(pydicom.tag.Tag)


def _value(dataset: FileDataset, key: Any) -> Any:
    try:
        element = dataset.get(_tag(key))
        return None if element is None else element.value
    except Exception:  # one damaged element must not hide the others
        return None


def _texts(dataset: FileDataset, key: Any) -> tuple[str, ...]:
    # Decoding the raw text here takes a tenth of pydicom's conversion, which matters for hundreds of files.
    raw = dataset.get_item(_tag(key))
    if isinstance(raw, RawDataElement) and key not in _BINARY_TAGS and (raw.VR is None or raw.VR in _TEXT_VRS):
        words = (raw.value or b"").decode("latin-1").split("\\")
        return tuple(text for word in words if (text := word.strip(" \0")))
    value = _value(dataset, key)
    if value is None or isinstance(value, bytes):
        return ()
    parts = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return tuple(text for part in parts if (text := str(part).strip()))


def _text(dataset: FileDataset, key: Any) -> str:
    parts = _texts(dataset, key)
    return parts[0] if parts else ""


def _floats(dataset: FileDataset, key: str, count: int) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(part) for part in _texts(dataset, key))
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(abs(n) < 1e6 for n in numbers) else None


def _float(dataset: FileDataset, key: str) -> float | None:
    numbers = _floats(dataset, key, 1)
    return numbers[0] if numbers else None


def _integer(dataset: FileDataset, key: str) -> int | None:
    raw = dataset.get_item(_tag(key)) if key in _BINARY_TAGS else None
    if isinstance(raw, RawDataElement) and raw.VR in (None, "US") and raw.value is not None and len(raw.value) == 2:
        return int.from_bytes(raw.value, "little" if raw.is_little_endian else "big")
    number = _float(dataset, key)
    return None if number is None else int(number)


def _padding(dataset: FileDataset, signed: bool) -> tuple[int, int] | None:
    """Lowest and highest stored value that mean "no data here", in the pixels' own signedness."""
    limits = [n for key in ("PixelPaddingValue", "PixelPaddingRangeLimit") if (n := _integer(dataset, key)) is not None]
    if not limits or _value(dataset, "PixelPaddingValue") in (None, ""):
        return None
    if signed:
        limits = [n - 65536 if n > 32767 else n for n in limits]
    else:
        limits = [n + 65536 if n < 0 else n for n in limits]
    return min(limits), max(limits)
