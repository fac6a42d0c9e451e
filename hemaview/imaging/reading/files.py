"""Opening files the user named, and saying in one sentence why one cannot be read."""

from __future__ import annotations

import errno
import gzip
import zlib
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError

MAX_DEFLATE_RATIO = 1100
"""Deflate cannot shrink data more than about 1032 times; a header that claims more is damaged or hostile."""

_ALWAYS_UNPACKED, _MOST_PER_PACKED_BYTE = 256 << 20, 20


def largest_unpacked(packed: int) -> int:
    """Bytes that ``packed`` bytes of a DICOM image may become in memory: far more than images do is an attack."""
    return max(_ALWAYS_UNPACKED, _MOST_PER_PACKED_BYTE * packed)


def check_readable(path: Path) -> None:
    """Raise ``ScanError`` when ``path`` does not exist, cannot be opened or is an empty file."""
    try:
        if path.is_dir():
            next(path.iterdir(), None)
            return
        if path.exists() and not path.is_file():
            raise ScanError(f"'{path.name}' is a device or pipe, not a file; choose the scan itself.")
        with path.open("rb") as stream:
            start = stream.read(1)
    except OSError as error:
        raise access_error(path.name, error) from error
    if not start:
        raise ScanError(f"'{path.name}' is empty (0 bytes); copy or export it again.")


def access_error(name: str, error: OSError) -> ScanError:
    """The sentence for a file that the operating system refuses to hand over."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ScanError(f"'{name}' does not exist any more or was moved; choose it again.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ScanError(
            f"'{name}' cannot be read with your permissions; ask for access or copy it to your own folder."
        )
    return ScanError(f"'{name}' cannot be read ({error.strerror or 'read error'}); copy it again, then reopen it.")


def incomplete(name: str) -> ScanError:
    """The sentence for a file that ends before its data does."""
    return ScanError(f"'{name}' is incomplete or damaged; copy or export it again.")


def read_start(path: Path, count: int) -> bytes:
    """The first ``count`` bytes of a file, unpacked when it is gzipped; fewer when the file is shorter."""
    try:
        with path.open("rb") as stream:
            start = stream.read(2)
        if start == b"\x1f\x8b":
            with gzip.open(path, "rb") as unpacked:
                return unpacked.read(count)
        with path.open("rb") as stream:
            return stream.read(count)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise incomplete(path.name) from error
    except OSError as error:
        raise access_error(path.name, error) from error


def read_range(path: Path, offset: int, count: int) -> NDArray[np.uint8]:
    """Exactly ``count`` bytes from ``offset`` of a file, unpacked when it is gzipped.

    A gzipped file is read to its end, so that its checksum is verified. Raises ``ScanError`` when the file
    ends early, is damaged or claims more data than it can hold.
    """
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        available = path.stat().st_size
        if offset + count > available * (MAX_DEFLATE_RATIO if packed else 1):
            raise incomplete(path.name)
        # Not zeroed: a header that claims far too much costs no memory before the data run out.
        data = np.empty(count, dtype=np.uint8)
        with cast(BufferedReader, gzip.open(path, "rb")) if packed else path.open("rb") as stream:
            if packed:
                _skip(stream, offset)
            else:
                stream.seek(offset)
            view = memoryview(data.data)
            filled = 0
            while filled < count:
                got = stream.readinto(view[filled : filled + (1 << 24)])
                if not got:
                    raise incomplete(path.name)
                filled += got
            while packed and stream.read(1 << 20):
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise incomplete(path.name) from error
    except OSError as error:
        raise access_error(path.name, error) from error
    except MemoryError as error:
        raise ScanError(f"'{path.name}' is too large for this computer's memory; crop it and try again.") from error
    return data


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0:
        chunk = stream.read(min(count, 1 << 20))
        if not chunk:
            raise EOFError
        count -= len(chunk)
