"""The header of one DICOM image, reduced to what geometry, pixels and diagnosis need; no patient data is kept."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import pydicom
import pydicom.config
import pydicom.uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag

from hemaview.imaging.reading.dicom.deflated import check_inflation
from hemaview.imaging.reading.dicom.elements import decimal, floats, integer, is_no_number, text, texts, value
from hemaview.imaging.reading.dicom.technique import TECHNIQUE_TAGS, moments_of, study_of, technique_of
from hemaview.imaging.reading.files import access_error
from hemaview.imaging.reading.sources import Source, looks_like_dicom
from hemaview.imaging.study import StudyKey

# pydicom quotes header values in its log, among them names and dates of birth.
logging.getLogger("pydicom").addHandler(logging.NullHandler())
logging.getLogger("pydicom").propagate = False

PIXEL_DATA = 0x7FE00010
_PIXEL_TAGS = (PIXEL_DATA, 0x7FE00008, 0x7FE00009)
_SIEMENS_CREATOR, _SIEMENS_COUNT = (0x0019, 0x0010), (0x0019, 0x100A)
_UIH_CREATOR, _UIH_COUNT = (0x0065, 0x0010), (0x0065, 0x1050)
_PHILIPS_CREATOR, _PHILIPS_SCALE_SLOPE = (0x2005, 0x0010), (0x2005, 0x100E)
_ENCAPSULATED = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5")
_PLAIN_SYNTAXES = (
    "",
    pydicom.uid.ImplicitVRLittleEndian,
    pydicom.uid.ExplicitVRLittleEndian,
    pydicom.uid.ExplicitVRBigEndian,
)
_ENHANCED_CLASSES = (
    pydicom.uid.EnhancedCTImageStorage,
    pydicom.uid.EnhancedMRImageStorage,
    pydicom.uid.EnhancedMRColorImageStorage,
    pydicom.uid.LegacyConvertedEnhancedCTImageStorage,
    pydicom.uid.LegacyConvertedEnhancedMRImageStorage,
)
_LENGTH_FIELD_32 = (b"OB", b"OW", b"UN", b"OF", b"OD", b"OL", b"OV")

_READ_KEYS: tuple[Any, ...] = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "SeriesNumber", "InstanceNumber",
    "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
    "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "LossyImageCompression",
    _SIEMENS_CREATOR, _SIEMENS_COUNT, _UIH_CREATOR, _UIH_COUNT, _PHILIPS_CREATOR, _PHILIPS_SCALE_SLOPE,
    *TECHNIQUE_TAGS,
)  # fmt: skip
SCALE_TAGS = ("RescaleSlope", "RescaleIntercept")
_NO_STUDY = StudyKey()
_HEADER_TAGS: list[Any] = [pydicom.tag.Tag(key) for key in _READ_KEYS]


_ELEMENT_HEAD = 8
_MOST_ZEROS = 256


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
    between columns) as in DICOM. ``pixel_offset`` is the byte at which the pixels or their fragments start in the
    file, None when the file has to be parsed as a whole; ``pixel_length`` is None for fragments. ``frames`` counts what
    the file says it holds; ``frame`` is the picture's index among them, and ``tile`` its part of that frame (``rows``
    and ``columns`` are then the tile's). ``scale_slope`` is Philips' own, which makes the values of its images
    comparable; ``is_scale_damaged`` where ``slope`` or ``intercept`` is stated in a way that is no number. ``problem``
    is a clause that says why the pictures in the file cannot be told apart, None if they can.
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
    study: StudyKey = _NO_STUDY
    frame: int = 0
    tile: Tile | None = None
    problem: str | None = None
    scale_slope: float | None = None
    is_scale_damaged: bool = False

    @property
    def is_compressed(self) -> bool:
        """Whether the pixels are encapsulated (JPEG, JPEG-LS, JPEG 2000, RLE, ...)."""
        return self.syntax.startswith(_ENCAPSULATED) and self.pixel_length is None

    @property
    def is_deflated(self) -> bool:
        """Whether the whole data set is deflated."""
        return bool(self.syntax == pydicom.uid.DeflatedExplicitVRLittleEndian)

    @property
    def is_plain(self) -> bool:
        """Whether the pixels lie in the file as they are; a missing syntax means plain too.

        So do pixels of a stated length, which compressed ones never have: some archives unpack a file and forget to
        change its syntax.
        """
        is_unpacked = self.syntax.startswith(_ENCAPSULATED) and self.pixel_length is not None
        return self.syntax in _PLAIN_SYNTAXES or is_unpacked

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(rows, columns) of the whole frame in the file."""
        return (self.tile.frame_rows, self.tile.frame_columns) if self.tile else (self.rows, self.columns)

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        rows, columns = self.frame_shape
        pixels = rows * columns * self.samples
        if self.photometric == "YBR_FULL_422":  # two pixels share their colours
            pixels = pixels * 2 // 3
        return pixels * self.bits_allocated // 8


def uid_name(uid: str) -> str | None:
    """What the DICOM standard calls a UID, or None for one it does not know."""
    entry = pydicom.uid.UID_dictionary.get(uid)
    return entry[0] if entry else None


def read_dataset(stream: BinaryIO, *, header_only: bool = False, tags: Sequence[Any] | None = None) -> FileDataset:
    """Parse a stream with pydicom, quietly: up to the pixels or all, the given ``tags`` or all of them.

    Raises anything pydicom raises.
    """
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        check_inflation(stream)
        wanted = [pydicom.tag.Tag(key) for key in tags] if tags else None
        watched = cast(BinaryIO, _NoRunOfZeros(stream))
        if not header_only:
            return pydicom.dcmread(watched, specific_tags=wanted, force=True)
        return cast(FileDataset, read_partial(watched, _ends_header, specific_tags=wanted, force=True))


class _NoRunOfZeros:
    """A stream that ends the parsing of damage: a sequence whose end is lost takes zeros for items, millions of them.

    No intact header makes pydicom read nothing but zeros again and again: between two values is the head of an element.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._read = stream.read
        self.seek, self.tell = stream.seek, stream.tell
        self._zeros = 0

    def read(self, size: int = -1) -> bytes:
        """As the stream's own; ``ValueError`` after many reads of zeros alone."""
        data = self._read(size)
        if len(data) > _ELEMENT_HEAD or data.strip(b"\0"):
            self._zeros = 0
        else:
            self._zeros += 1
            if self._zeros > _MOST_ZEROS:
                raise ValueError("zeros where a header should go on")
        return data


def _ends_header(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    """Whether the pixels begin at ``tag``, or zeros, which no element begins with.

    Where damage hides the pixels, pydicom would take every eight zeros of theirs for an element, which takes minutes.
    """
    return tag in _PIXEL_TAGS or tag.group == 0


def read_instance(source: Source) -> Instance | None:
    """The header of ``source``, or None when it is not a DICOM file or its header cannot be parsed.

    Raises ``ScanError`` when the file cannot be opened or read at all.
    """
    # A member of a zip is unpacked as a whole when opened, so its start is looked at first.
    if source.member is not None and not looks_like_dicom(source.start()):
        return None
    with source.open() as stream:
        try:
            if not looks_like_dicom(stream.read(132)):
                return None
            stream.seek(0)
            dataset = read_dataset(stream, header_only=True, tags=_HEADER_TAGS)
            syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")) if hasattr(dataset, "file_meta") else ""
            with warnings.catch_warnings(), pydicom.config.disable_value_validation():
                warnings.simplefilter("ignore")
                has_pixels, offset, length = _locate_pixels(stream, dataset, syntax)
                file_size = stream.seek(0, io.SEEK_END)
                return _instance(source, dataset, syntax, has_pixels, offset, length, file_size)
        except OSError as error:  # a scratched disc, a share that is gone
            raise access_error(source.name, error) from error
        except Exception:  # pydicom raises many kinds for damaged headers; the caller reports the file
            return None


def _locate_pixels(stream: BinaryIO, dataset: FileDataset, syntax: str) -> tuple[bool, int | None, int | None]:
    if syntax == pydicom.uid.DeflatedExplicitVRLittleEndian:
        return True, None, None
    little = dataset.is_little_endian
    start = stream.tell()
    head = stream.read(12)
    order: Literal["little", "big"] = "little" if little else "big"
    if len(head) < 8:
        return False, None, None
    tag = int.from_bytes(head[0:2], order) << 16 | int.from_bytes(head[2:4], order)
    if tag != PIXEL_DATA:
        return False, None, None
    # The element itself says how it is written, whatever the syntax claims: read as a length, its letters are odd.
    if head[4:6] in _LENGTH_FIELD_32 and head[6:8] == b"\0\0":
        length, offset = int.from_bytes(head[8:12], order), start + 12
    else:
        length, offset = int.from_bytes(head[4:8], order), start + 8
    if length == 0xFFFFFFFF:
        return True, offset, None
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
    allocated = integer(dataset, "BitsAllocated") or 0
    stored = integer(dataset, "BitsStored") or allocated
    signed = integer(dataset, "PixelRepresentation") == 1
    high_bit = integer(dataset, "HighBit")
    sop_class = text(dataset, "SOPClassUID") or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    image_type = tuple(part.upper() for part in texts(dataset, "ImageType"))
    return Instance(
        source=source,
        sop_class=sop_class,
        sop_instance=text(dataset, "SOPInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        modality=text(dataset, "Modality").upper(),
        series_number=integer(dataset, "SeriesNumber"),
        instance_number=integer(dataset, "InstanceNumber"),
        image_type=image_type,
        position=floats(dataset, "ImagePositionPatient", 3),
        orientation=floats(dataset, "ImageOrientationPatient", 6),
        pixel_spacing=floats(dataset, "PixelSpacing", 2),
        slice_thickness=decimal(dataset, "SliceThickness"),
        rows=integer(dataset, "Rows") or 0,
        columns=integer(dataset, "Columns") or 0,
        samples=integer(dataset, "SamplesPerPixel") or 1,
        photometric=text(dataset, "PhotometricInterpretation").upper(),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit if high_bit is not None else stored - 1,
        signed=signed,
        frames=integer(dataset, "NumberOfFrames") or 1,
        is_enhanced=sop_class in _ENHANCED_CLASSES,
        is_mosaic="MOSAIC" in image_type or tiles_in_frame(dataset) > 1,
        has_pixels=has_pixels,
        has_lookup="ModalityLUTSequence" in dataset,
        slope=decimal(dataset, "RescaleSlope"),
        intercept=decimal(dataset, "RescaleIntercept"),
        rescale_type=text(dataset, "RescaleType").upper(),
        padding=_padding(dataset, signed),
        is_lossy=text(dataset, "LossyImageCompression") == "01",
        syntax=syntax,
        is_big_endian=not dataset.is_little_endian,
        pixel_offset=offset,
        pixel_length=length,
        is_truncated=offset is not None and length is not None and offset + length > file_size,
        moments=moments_of(dataset),
        technique=technique_of(dataset),
        scale_slope=_scale_slope(dataset),
        is_scale_damaged=any(is_no_number(dataset, key) for key in SCALE_TAGS),
        study=study_of(dataset),
    )


def tiles_in_frame(dataset: Dataset) -> int:
    """How many slices a Siemens mosaic or a United Imaging grid says it holds side by side; 0 where it does not say."""
    if _SIEMENS_COUNT in dataset and text(dataset, _SIEMENS_CREATOR).startswith("SIEMENS"):
        return _private_integer(dataset, _SIEMENS_COUNT)
    if _UIH_COUNT in dataset and text(dataset, _UIH_CREATOR) == "Image Private Header":
        return _private_integer(dataset, _UIH_COUNT)
    return 0


def _scale_slope(dataset: Dataset) -> float | None:
    if _PHILIPS_SCALE_SLOPE not in dataset or not text(dataset, _PHILIPS_CREATOR).upper().startswith("PHILIPS MR"):
        return None
    slope = value(dataset, _PHILIPS_SCALE_SLOPE)
    if isinstance(slope, bytes) and len(slope) == 4:  # nothing in an implicit file says what kind of number it is
        return float(np.frombuffer(slope, "<f4")[0])
    return decimal(dataset, _PHILIPS_SCALE_SLOPE)


def _private_integer(dataset: Dataset, key: tuple[int, int]) -> int:
    number = value(dataset, key)
    if isinstance(number, bytes):  # nothing in an implicit file says what kind of number it is
        digits = number.strip(b" \0")
        number = digits if digits.isdigit() else int.from_bytes(number[:2], "little")
    try:
        return int(number)
    except (TypeError, ValueError):
        return 0


def _padding(dataset: FileDataset, signed: bool) -> tuple[int, int] | None:
    """Lowest and highest stored value that mean "no data here", in the pixels' own signedness."""
    limits = [n for key in ("PixelPaddingValue", "PixelPaddingRangeLimit") if (n := integer(dataset, key)) is not None]
    if not limits or value(dataset, "PixelPaddingValue") in (None, ""):
        return None
    if signed:
        limits = [n - 65536 if n > 32767 else n for n in limits]
    else:
        limits = [n + 65536 if n < 0 else n for n in limits]
    return min(limits), max(limits)
