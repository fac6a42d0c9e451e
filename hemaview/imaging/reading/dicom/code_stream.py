"""What a JPEG, JPEG-LS or JPEG 2000 code stream says about itself, read before a decoder sees it."""

from __future__ import annotations

from dataclasses import dataclass

_START_OF_IMAGE, _START_OF_SCAN, _END_OF_IMAGE = 0xD8, 0xDA, 0xD9
_FRAME_HEADERS = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_J2K_START = b"\xff\x4f\xff\x51"
_START_OF_TILE, _END_OF_CODESTREAM = 0xFF90, 0xFFD9


@dataclass(frozen=True)
class StatedSize:
    """Size of the picture in pixels, colour components, and bits of one component."""

    rows: int
    columns: int
    components: int
    bits: int


class BrokenStream(Exception):  # noqa: N818 - the caller names the file
    """The code stream is not of the kind it should be, damaged, or ends early."""


def jpeg_size(code: bytes) -> StatedSize:
    """What the frame header of a complete JPEG or JPEG-LS stream says (ISO 10918-1 B.2.2). Raises ``BrokenStream``."""
    if code[:2] != bytes((0xFF, _START_OF_IMAGE)) or bytes((0xFF, _END_OF_IMAGE)) not in code[-64:]:
        raise BrokenStream
    at = 2
    while at + 4 <= len(code):
        marker = code[at + 1]
        if code[at] != 0xFF or marker == _START_OF_SCAN:
            break
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        if marker in _FRAME_HEADERS and at + 10 <= len(code):
            rows, columns = (int.from_bytes(code[n : n + 2], "big") for n in (at + 5, at + 7))
            return StatedSize(rows, columns, components=code[at + 9], bits=code[at + 4])
        at += 2 + int.from_bytes(code[at + 2 : at + 4], "big")
    raise BrokenStream


def j2k_size(code: bytes) -> StatedSize:
    """What the SIZ segment of a complete JPEG 2000 stream says (ISO 15444-1 A.5.1). Raises ``BrokenStream``."""
    start = code.find(_J2K_START)  # some programs leave the stream in its JP2 box
    header = code[start : start + 44]
    if start < 0 or len(header) < 44:
        raise BrokenStream
    right, bottom, left, top = (int.from_bytes(header[n : n + 4], "big") for n in (8, 12, 16, 20))
    _check_tiles_complete(code, start)
    components, bits = int.from_bytes(header[40:42], "big"), (header[42] & 0x7F) + 1
    return StatedSize(bottom - top, right - left, components, bits)


def _check_tiles_complete(code: bytes, start: int) -> None:
    """Decoders fill what is missing at the end with zeros, so a tile-part that runs past it is found here."""
    at = start + 2
    while at + 4 <= len(code):
        marker = int.from_bytes(code[at : at + 2], "big")
        if marker == _END_OF_CODESTREAM:
            return
        if marker == _START_OF_TILE:
            length = int.from_bytes(code[at + 6 : at + 10], "big")
            if length == 0:  # the last tile-part, up to the end of the stream
                return
        else:
            length = 2 + int.from_bytes(code[at + 2 : at + 4], "big")
        if length < 4 or at + length > len(code):
            raise BrokenStream
        at += length
