"""Damaged copies of a file's bytes, always the same ones for the same seed."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEADER_BYTES = 4096
_EXTREMES = (
    b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80", b"\0\0\0\0",
    b"\x00\x00\xc0\x7f", b"\x7f\xc0\x00\x00", b"\x00\x00\x80\x7f", b"\x01\0\0\0", b"\0\0\0\x01", b"\x00\x40\x9c\x45",
)  # fmt: skip
"""Largest and smallest integers, NaN and infinity, one and 5000 as a float, in both byte orders."""

_DIGITS = b"0123456789"


@dataclass(frozen=True)
class Mutant:
    """``kind`` says what was done; a mutant of kind "pixels" has its header untouched."""

    kind: str
    data: bytes


def mutants(data: bytes, count: int, seed: int, pixels_at: int | None = None) -> Iterator[Mutant]:
    """``count`` damaged copies of ``data``; its last bytes from ``pixels_at`` on are taken for voxels where known.

    A gzipped file is unpacked, damaged and packed again, so that the damage gets past its checksum; a zip is damaged
    in one of its members. Each is damaged from outside as well.
    """
    inner, pack = _unpacked(data, random.Random(seed))
    where = pixels_at if pack is _as_it_is else None
    kinds = (_cut, _flip_header, _extreme, _flip_anywhere, _digits, _zero_block, _double_block)
    for number in range(count):
        rng = random.Random(seed * 100_003 + number)
        if where is not None and number % 8 == 7:
            yield Mutant("pixels", _flip(inner, rng, where, len(inner), 64))
            continue
        damage = kinds[number % len(kinds)]
        name = damage.__name__.strip("_")
        if pack is not _as_it_is and number % 5 == 4:
            yield Mutant(f"{name} outside", damage(data, rng))
        else:
            yield Mutant(name, pack(damage(inner, rng)))


def _as_it_is(data: bytes) -> bytes:
    return data


def _unpacked(data: bytes, rng: random.Random) -> tuple[bytes, Callable[[bytes], bytes]]:
    """The bytes that are worth damaging, and how they are packed again."""
    if data[:2] == b"\x1f\x8b":
        try:
            return gzip.decompress(data), lambda inner: gzip.compress(inner, compresslevel=1, mtime=0)
        except (OSError, EOFError, zlib.error):
            return data, _as_it_is
    if data[:4] == b"PK\x03\x04":
        try:
            return _zip_member(data, rng)
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error):
            return data, _as_it_is
    return data, _as_it_is


def _zip_member(data: bytes, rng: random.Random) -> tuple[bytes, Callable[[bytes], bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    chosen = rng.choice(sorted(members))

    def pack(inner: bytes) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name), inner if name == chosen else content)
        return stream.getvalue()

    return members[chosen], pack


def _cut(data: bytes, rng: random.Random) -> bytes:
    """The start of the file; every other time within its header."""
    end = len(data) if rng.random() < 0.5 else min(len(data), HEADER_BYTES)
    return data[: rng.randrange(max(end, 1))]


def _flip_header(data: bytes, rng: random.Random) -> bytes:
    return _flip(data, rng, 0, min(len(data), HEADER_BYTES), rng.choice((1, 2, 4, 16)))


def _flip_anywhere(data: bytes, rng: random.Random) -> bytes:
    return _flip(data, rng, 0, len(data), rng.choice((1, 8, 64)))


def _flip(data: bytes, rng: random.Random, start: int, end: int, count: int) -> bytes:
    bent = bytearray(data)
    for _ in range(count if end > start else 0):
        bent[rng.randrange(start, end)] = rng.randrange(256)
    return bytes(bent)


def _extreme(data: bytes, rng: random.Random) -> bytes:
    """A number of the header made as large, small or meaningless as it can be."""
    bent = bytearray(data)
    end = max(1, min(len(data), HEADER_BYTES) - 4)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(end) & ~1
        width = rng.choice((2, 4))
        bent[at : at + width] = rng.choice(_EXTREMES)[:width]
    return bytes(bent)


def _digits(data: bytes, rng: random.Random) -> bytes:
    """Numbers written as text changed digit by digit, so that they stay numbers."""
    bent = bytearray(data)
    places = [at for at in range(min(len(bent), HEADER_BYTES * 4)) if bent[at] in _DIGITS]
    for at in rng.sample(places, min(len(places), rng.choice((1, 3, 9)))):
        bent[at] = rng.choice(_DIGITS + b"-.e ")
    return bytes(bent)


def _zero_block(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(max(1, len(data)))
    length = rng.choice((8, 64, 512))
    return data[:at] + bytes(len(data[at : at + length])) + data[at + length :]


def _double_block(data: bytes, rng: random.Random) -> bytes:
    """A piece of the file twice, which moves all that follows."""
    at = rng.randrange(max(1, min(len(data), HEADER_BYTES)))
    length = rng.choice((1, 2, 8, 132))
    return data[:at] + data[at : at + length] + data[at:]
