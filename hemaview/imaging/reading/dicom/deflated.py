"""Deflated DICOM files, whose few bytes may inflate to more than a computer's memory."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian

from hemaview.imaging.reading.files import largest_unpacked

_META_BYTES = 1024
_META_START, _META_LENGTH_VALUE, _META_LENGTH_END = 132, 140, 144
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_STEP = 1 << 20


class InflatesTooFar(Exception):  # noqa: N818 - the caller names the file
    """A deflated data set is damaged or inflates to far more than images do."""


def check_inflation(stream: BinaryIO) -> None:
    """Raise ``InflatesTooFar`` for a deflated file that is damaged or would take unreasonable memory.

    Files of other transfer syntaxes pass at once. ``stream`` stands at its start before and after.
    """
    meta = stream.read(_META_BYTES)
    if DeflatedExplicitVRLittleEndian.encode() in meta:
        if meta[_META_START:_META_LENGTH_VALUE] != _GROUP_LENGTH:
            raise InflatesTooFar
        stream.seek(_META_LENGTH_END + int.from_bytes(meta[_META_LENGTH_VALUE:_META_LENGTH_END], "little"))
        _inflate_and_forget(stream)
    stream.seek(0)


def _inflate_and_forget(stream: BinaryIO) -> None:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    packed = unpacked = 0
    while chunk := stream.read(_STEP):
        packed += len(chunk)
        while chunk and not inflater.eof:
            try:
                unpacked += len(inflater.decompress(chunk, _STEP))
            except zlib.error as error:
                raise InflatesTooFar from error
            if unpacked > largest_unpacked(packed):
                raise InflatesTooFar
            chunk = inflater.unconsumed_tail
