"""Which bytes of a file belong to which compressed frame: offset tables, items and fragments (PS3.5 A.4)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import BinaryIO

from pydicom.encaps import parse_basic_offsets, parse_fragments

Fragment = tuple[int, int]
"""Offset in the file and number of bytes."""

_ITEM_HEADER = 8
_STREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")


class BrokenFragments(Exception):  # noqa: N818 - the caller names the file
    """The items of the pixel data are damaged, end early or cannot be assigned to frames."""


def frame_fragments(stream: BinaryIO, start: int, frames: int) -> tuple[tuple[Fragment, ...], ...]:
    """The fragments of each of ``frames`` frames, whose items begin at byte ``start``; reads their headers only.

    Raises ``BrokenFragments``.
    """
    stream.seek(start)
    try:
        table = parse_basic_offsets(stream)
        first = stream.tell()
        _, items = parse_fragments(stream)
    except Exception as error:  # struct.error, ValueError and more: the items are damaged
        raise BrokenFragments from error
    fragments = _measured(stream, items)
    starts = _frame_starts(stream, fragments, [first + offset for offset in table], frames)
    bounds = [*starts, len(fragments)]
    return tuple(tuple(fragments[a:b]) for a, b in pairwise(bounds))


def _measured(stream: BinaryIO, items: Sequence[int]) -> list[Fragment]:
    size = stream.seek(0, io.SEEK_END)
    fragments = []
    for item in items:
        stream.seek(item + 4)
        length = int.from_bytes(stream.read(4), "little")
        if item + _ITEM_HEADER + length > size:
            raise BrokenFragments
        fragments.append((item + _ITEM_HEADER, length))
    return fragments


def _frame_starts(stream: BinaryIO, fragments: Sequence[Fragment], table: Sequence[int], frames: int) -> Sequence[int]:
    """Index of the first fragment of each frame."""
    if len(fragments) < frames:
        raise BrokenFragments
    if frames == 1:
        return [0]
    if len(fragments) == frames:
        return range(frames)
    by_offset = {offset - _ITEM_HEADER: n for n, (offset, _) in enumerate(fragments)}
    starts = [by_offset[offset] for offset in table if offset in by_offset]
    if len(starts) != frames or starts != sorted(set(starts)) or starts[0] != 0:
        starts = [n for n, (offset, _) in enumerate(fragments) if _begins_stream(stream, offset)]
    if len(starts) != frames or starts[0] != 0:
        raise BrokenFragments
    return starts


def _begins_stream(stream: BinaryIO, offset: int) -> bool:
    stream.seek(offset)
    return stream.read(8).startswith(_STREAM_STARTS)
