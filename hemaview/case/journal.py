"""The append-only record of a case: one JSON object per line, on disk before anything is shown.

A line is ``{"n": number, ..., "crc": "8 hex digits"}``; ``n`` counts from 0 and ``crc`` is the CRC-32 of
the line without its ``crc`` entry, so a lost, doubled or altered line is noticed.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hemaview.case.durable import save_refusal, write_durably
from hemaview.errors import CaseError

Record = dict[str, Any]

_CRC_LENGTH = len(',"crc":"00000000"}')


@dataclass(frozen=True)
class JournalText:
    """What a journal file holds.

    ``records`` are the sound records from the start and ``ends`` the byte offset behind each; ``torn``
    tells that the last line was cut off while being written; ``damaged`` that a whole line is wrong, so
    that everything from there on cannot be trusted.
    """

    records: tuple[Record, ...]
    ends: tuple[int, ...]
    torn: bool
    damaged: bool
    size: int


def encode_line(record: Record, number: int) -> bytes:
    """The journal's line for ``record`` as number ``number``, with its line end."""
    body = json.dumps({"n": number, **record}, separators=(",", ":"), allow_nan=False).encode("ascii")
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def _decode_line(line: bytes, number: int) -> Record | None:
    body = line[:-_CRC_LENGTH] + b"}"
    if line[-_CRC_LENGTH:] != b',"crc":"%08x"}' % zlib.crc32(body):
        return None
    record: Record = json.loads(body)
    return record if record.pop("n") == number else None


def parse_journal(data: bytes) -> JournalText:
    """Split the bytes of a journal into sound records and what is wrong behind them; never raises."""
    records: list[Record] = []
    ends: list[int] = []
    start = 0
    while (stop := data.find(b"\n", start)) >= 0:
        record = _decode_line(data[start:stop], len(records))
        if record is None:
            return JournalText(tuple(records), tuple(ends), False, True, len(data))
        records.append(record)
        start = stop + 1
        ends.append(start)
    return JournalText(tuple(records), tuple(ends), start < len(data), False, len(data))


class Journal:
    """A journal open for appending; ``append`` returns once the record is safe on the disk."""

    def __init__(self, path: Path, length: int, count: int, *, keep_tail: bool = False) -> None:
        self.path = path
        self._length = length
        self._count = count
        self._keep_tail = keep_tail
        self._descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))

    @classmethod
    def create(cls, path: Path, header: Record) -> Journal:
        """Write a new journal with its first record; ``CaseError`` when the disk is full or read-only."""
        line = encode_line(header, 0)
        try:
            write_durably(path, line)
            return cls(path, len(line), 1)
        except OSError as error:
            raise CaseError(save_refusal(error, path.parent)) from error

    @classmethod
    def reopen(cls, path: Path, text: JournalText, keep: int, *, damaged: bool) -> Journal:
        """Open a journal behind its first ``keep`` records.

        Nothing on the disk changes before the first ``append``: what lies behind those records is then
        dropped, or with ``damaged`` first copied into a file beside the journal. ``CaseError`` when the file
        cannot be opened for writing.
        """
        try:
            return cls(path, text.ends[keep - 1], keep, keep_tail=damaged)
        except OSError as error:
            raise CaseError(save_refusal(error, path.parent)) from error

    def append(self, record: Record) -> None:
        """Add one record; on return it survives a crash of the program and of the machine.

        Raises ``CaseError`` when it cannot be written; the journal then holds what it held before.
        """
        line = encode_line(record, self._count)
        try:
            if self._keep_tail:
                _set_aside(self.path, self._length)
                self._keep_tail = False
            # Writing at the known end, not at the file's end, also overwrites what a failed append left.
            os.lseek(self._descriptor, self._length, os.SEEK_SET)
            view = memoryview(line)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.ftruncate(self._descriptor, self._length + len(line))
            os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._length)
            raise CaseError(save_refusal(error, self.path.parent)) from error
        self._length += len(line)
        self._count += 1

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _set_aside(path: Path, start: int) -> None:
    """Copy everything from byte ``start`` of a journal into a new file ``journal-damaged-N.jsonl`` beside it."""
    number = 1
    while (kept := path.with_name(f"journal-damaged-{number}.jsonl")).exists():
        number += 1
    write_durably(kept, path.read_bytes()[start:])
