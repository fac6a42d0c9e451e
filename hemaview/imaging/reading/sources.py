"""Where the bytes of DICOM files come from: a folder on disk or members of a zip, read in memory."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hemaview.errors import ScanError
from hemaview.imaging.reading.files import access_error, incomplete, largest_unpacked

MAX_MEMBER_BYTES = 2 << 30
MAX_TOTAL_BYTES = 16 << 30
MAX_MEMBERS = 200_000
_ENCRYPTED = 0x1
"""The general purpose bit of a zip member that a password locks."""


@dataclass(frozen=True)
class Source:
    """One file: ``name`` is what the user sees; ``member`` is set for a file inside ``archive``."""

    name: str
    path: Path
    archive: zipfile.ZipFile | None = None
    member: zipfile.ZipInfo | None = None

    def open(self) -> BinaryIO:
        """A seekable stream of the bytes; the caller closes it. Raises ``ScanError``."""
        try:
            if self.archive is None or self.member is None:
                return _opened(self.path)
            if self.member.file_size > largest_unpacked(self.member.compress_size):
                raise incomplete(self.name)
            if self.archive.fp is None:
                # A header that was kept outlives the archive it was read from.
                with zipfile.ZipFile(self.path) as reopened:
                    return io.BytesIO(reopened.read(self.member))
            return io.BytesIO(self.archive.read(self.member))
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ScanError:
        if isinstance(error, ScanError):
            return error
        if isinstance(error, OSError):
            return access_error(self.name, error)
        if isinstance(error, RuntimeError) and not isinstance(error, NotImplementedError):
            return _locked(self.path)
        # BadZipFile, EOFError, zlib.error, lzma.LZMAError and more: the packed bytes are damaged.
        return incomplete(self.path.name)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no byte, as what is left of a copy that was broken off."""
        if self.member is not None:
            return self.member.file_size == 0
        try:
            return self.path.stat().st_size == 0
        except OSError:
            return False

    def start(self) -> bytes:
        """The first 132 bytes, unpacked, without reading the rest. Raises ``ScanError``."""
        try:
            if self.archive is None or self.member is None:
                with self.open() as stream:
                    return stream.read(132)
            with self.archive.open(self.member) as packed:
                return packed.read(132)
        except Exception as error:
            raise self._failure(error) from error


def _locked(path: Path) -> ScanError:
    return ScanError(f"'{path.name}' is protected by a password; unpack it and open the folder.")


def looks_like_dicom(start: bytes) -> bool:
    """Whether the first 132 bytes are a DICOM file, with or without its preamble."""
    if start[128:132] == b"DICM":
        return True
    if len(start) < 132:
        return False
    # A bare data set begins with group 0002 or 0008; little endian, byte 3 is the element's high byte.
    if start[0:2] in (b"\x08\x00", b"\x02\x00"):
        return start[2] in (0, 1, 2, 5, 8, 0x10, 0x16)
    return start[0:3] == b"\x00\x08\x00" and start[4:6].isalpha() and start[4:6].isupper()


def _opened(path: Path) -> BinaryIO:
    """The file, or its unpacked bytes when it is one gzipped DICOM image."""
    stream = path.open("rb")
    if stream.peek(2)[:2] != b"\x1f\x8b":
        return stream
    try:
        with gzip.open(stream) as packed:
            start = packed.read(132)
            if looks_like_dicom(start):
                data = packed.read(largest_unpacked(path.stat().st_size))
                if not packed.read(1):
                    return io.BytesIO(start + data)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        pass
    finally:
        stream.close()
    return path.open("rb")


def folder_sources(folder: Path, *, recursive: bool) -> Iterator[Source]:
    """The files of a folder in name order; links to folders are not followed.

    A folder that cannot be looked into stands among them itself, and fails when it is opened.
    """
    closed: list[Source] = []

    def keep(error: OSError) -> None:
        path = Path(error.filename or folder)
        closed.append(Source(path.name, path))

    for root, folders, names in os.walk(folder, onerror=keep):
        folders[:] = sorted(folders) if recursive else []
        for name in sorted(names):
            path = Path(root) / name
            if path.is_file():
                yield Source(name, path)
    yield from closed


def archive_sources(path: Path, archive: zipfile.ZipFile) -> tuple[Source, ...]:
    """The files of a zip in name order.

    Raises ``ScanError`` when it is locked by a password or would unpack to an unreasonable size.
    """
    members = [m for m in archive.infolist() if not m.is_dir() and "__MACOSX/" not in m.filename]
    if any(m.flag_bits & _ENCRYPTED for m in members):
        raise _locked(path)
    total = sum(m.file_size for m in members)
    if len(members) > MAX_MEMBERS or total > MAX_TOTAL_BYTES or any(m.file_size > MAX_MEMBER_BYTES for m in members):
        raise ScanError(
            f"'{path.name}' would unpack to {total / 2**30:.1f} GB in {len(members)} files, which is too much to open "
            "from a zip; unpack the part you need and open that folder."
        )
    members.sort(key=lambda m: m.filename)
    return tuple(Source(m.filename.rsplit("/", 1)[-1], path, archive, m) for m in members)


def open_archive(path: Path) -> zipfile.ZipFile:
    """The opened zip; raises ``ScanError`` when it is damaged."""
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise access_error(path.name, error) from error
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise incomplete(path.name) from error
