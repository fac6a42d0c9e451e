"""Stored pixels of DICOM pictures, one at a time: finding their bytes and decoding them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom import colour
from hemaview.imaging.reading.dicom.codecs import Undecodable, decode_frame
from hemaview.imaging.reading.dicom.encapsulated import BrokenFragments, Fragment, frame_fragments
from hemaview.imaging.reading.dicom.header import Instance, read_dataset, uid_name
from hemaview.imaging.reading.files import access_error, incomplete
from hemaview.imaging.reading.sources import Source

_PALETTE_TAGS = (
    *(f"{name}PaletteColorLookupTable{part}" for name in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")),
    *(f"Segmented{name}PaletteColorLookupTableData" for name in ("Red", "Green", "Blue")),
    "PixelRepresentation",
)


def stored_pixels(instance: Instance) -> NDArray:
    """(rows, columns) integers as stored, sign and unused bits put right; of colour pictures the brightness.

    Raises ``ScanError`` naming the file.
    """
    with PictureReader() as reader:
        return reader.read(instance)


@dataclass
class _OpenFile:
    """The file that is being read, and what was found out about it."""

    source: Source
    stream: BinaryIO
    fragments: tuple[tuple[Fragment, ...], ...] | None = None
    inflated: bytes | None = None


class PictureReader:
    """Reads pictures one after another, and keeps the last file open and the last mosaic decoded.

    A multi-frame object is thus opened and its frames are found once, and only the frames asked for are decoded.
    """

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._scratch: Path | None = None
        self._file: _OpenFile | None = None
        self._mosaic: tuple[Source, int, NDArray] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_file()
        self._closing.close()

    def read(self, instance: Instance) -> NDArray:
        """(rows, columns) integers of one picture, as ``stored_pixels`` gives them. Raises ``ScanError``."""
        tile = instance.tile
        if tile is None:
            return self._frame(instance)
        if self._mosaic is None or self._mosaic[:2] != (instance.source, instance.frame):
            self._mosaic = (instance.source, instance.frame, self._frame(instance))
        frame = self._mosaic[2]
        return frame[tile.top : tile.top + instance.rows, tile.left : tile.left + instance.columns]

    def _frame(self, instance: Instance) -> NDArray:
        file = self._opened(instance.source)
        try:
            if min(instance.frame_shape) < 1:
                raise incomplete(instance.source.name)
            if not _has_known_layout(instance):
                raise _unknown_layout(instance)
            if instance.is_compressed:
                pixels = decode_frame(_frame_code(file, instance), instance, self._scratch_folder())
                if instance.syntax == RLELossless:  # the only compression that keeps every bit that was allocated
                    pixels = _without_unused_bits(pixels, instance)
            else:
                pixels = _plain_frame(file, instance)
            return _grey(file, pixels, instance)
        except BrokenFragments as error:
            raise incomplete(instance.source.name) from error
        except Undecodable as error:
            raise _undecodable(instance) from error
        except OSError as error:  # a scratched disc, a share that is gone
            raise access_error(instance.source.name, error) from error

    def _opened(self, source: Source) -> _OpenFile:
        if self._file is None or self._file.source != source:
            self._close_file()
            self._file = _OpenFile(source, source.open())
        return self._file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.stream.close()
            self._file = None

    def _scratch_folder(self) -> Path:
        if self._scratch is None:
            self._scratch = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="hemaview-")))
        return self._scratch


def _frame_code(file: _OpenFile, instance: Instance) -> bytes:
    """The code stream of one frame, its fragments joined."""
    if instance.pixel_offset is None or instance.pixel_length is not None:
        raise BrokenFragments
    if file.fragments is None:
        file.fragments = frame_fragments(file.stream, instance.pixel_offset, instance.frames)
    code = bytearray()
    for offset, length in file.fragments[instance.frame]:
        file.stream.seek(offset)
        code += file.stream.read(length)
    return bytes(code)


def _plain_frame(file: _OpenFile, instance: Instance) -> NDArray:
    """(rows, columns) or (rows, columns, 3) of a frame that lies in the file as it is."""
    data = _frame_data(file, instance)
    if len(data) < instance.frame_bytes:
        raise incomplete(instance.source.name)
    order = ">" if instance.is_big_endian else "<"
    dtype = np.dtype(f"{order}{'i' if instance.signed else 'u'}{instance.bits_allocated // 8}")
    values = _without_unused_bits(np.frombuffer(data, dtype=dtype), instance)
    rows, columns = instance.frame_shape
    if instance.samples == 1:
        return values.reshape(rows, columns)
    if instance.photometric == "YBR_FULL_422":
        return colour.brightness_of_422(values, rows, columns)
    by_plane = _tags(file, ("PlanarConfiguration",)).get("PlanarConfiguration") == 1
    return colour.separate_channels(values, rows, columns, by_plane=by_plane)


def _has_known_layout(instance: Instance) -> bool:
    return (
        instance.bits_allocated in (8, 16, 32)
        and instance.samples in (1, 3)
        and 1 <= instance.bits_stored <= instance.high_bit + 1 <= instance.bits_allocated
    )


def _frame_data(file: _OpenFile, instance: Instance) -> bytes:
    start = instance.frame * instance.frame_bytes
    if instance.is_deflated:
        if file.inflated is None:
            file.inflated = bytes(_tags(file, ("PixelData",)).get("PixelData", b""))
        return file.inflated[start : start + instance.frame_bytes]
    if instance.pixel_offset is None or instance.pixel_length is None:
        raise incomplete(instance.source.name)
    file.stream.seek(instance.pixel_offset + start)
    return file.stream.read(instance.frame_bytes)


def _without_unused_bits(pixels: NDArray, instance: Instance) -> NDArray:
    """Drop overlay bits above and below the stored ones and extend the sign; padding that needs them stays."""
    unused = instance.bits_allocated - instance.bits_stored
    if unused <= 0:
        return pixels
    native = pixels.astype(pixels.dtype.newbyteorder("="))
    above = unused if _lies_low(native, instance) else instance.bits_allocated - 1 - instance.high_bit
    values = np.asarray((native << above) >> unused)
    if instance.padding is not None and not _fits(instance.padding, instance):
        is_padding = (native >= instance.padding[0]) & (native <= instance.padding[1])
        values[is_padding] = native[is_padding]
    return values


def _lies_low(pixels: NDArray, instance: Instance) -> bool:
    """Whether pixels use the lowest bits, although the header says that the stored ones lie above them."""
    below = instance.high_bit + 1 - instance.bits_stored
    if not below:
        return False
    lowest = pixels & ((1 << below) - 1)
    return bool(lowest.any()) and int(pixels.max()) < 1 << instance.bits_stored


def _fits(padding: tuple[int, int], instance: Instance) -> bool:
    """Whether the stored bits can hold what means "no data here"; some scanners write it across all bits."""
    least = -(1 << (instance.bits_stored - 1)) if instance.signed else 0
    return least <= padding[0] and padding[1] < least + (1 << instance.bits_stored)


def _grey(file: _OpenFile, pixels: NDArray, instance: Instance) -> NDArray:
    if pixels.ndim == 3:
        return colour.luminance(pixels, "RGB" if instance.is_compressed else instance.photometric)
    if instance.photometric == colour.PALETTE:
        try:
            return colour.palette_brightness(pixels, _tags(file, _PALETTE_TAGS))
        except Exception as error:  # a damaged palette raises many kinds
            raise incomplete(instance.source.name) from error
    return pixels


def _tags(file: _OpenFile, tags: Sequence[str]) -> Dataset:
    file.stream.seek(0)
    try:
        return read_dataset(file.stream, tags=tags)
    except Exception as error:  # many kinds; all mean that the file cannot be parsed to its end
        raise incomplete(file.source.name) from error


def _unknown_layout(instance: Instance) -> ScanError:
    return ScanError(
        f"The pixels of '{instance.source.name}' are packed in {instance.bits_stored} of "
        f"{instance.bits_allocated} bits, which cannot be read; export the series as 16-bit images."
    )


def _undecodable(instance: Instance) -> ScanError:
    name = uid_name(instance.syntax) or "unknown"
    return ScanError(
        f"The compressed image in '{instance.source.name}' ({name}) cannot be decoded; export the series uncompressed."
    )
