"""Changes of a mask as small files: the box round the changed voxels and which voxels flip in it.

A patch holds the exclusive-or of the mask before and after, so applying it once does the change and
applying it again undoes it. It is stored packed to bits and compressed, in a file named by its content.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaview.case.durable import save_refusal, write_durably
from hemaview.errors import CaseError

Region = tuple[slice, slice, slice]
"""A block of a scan as ``(k, j, i)`` slices with start and stop, step 1."""

_FRESH_BLOBS = 2
_NAME = re.compile(r"[0-9a-f]{40}")


def whole_region(shape: tuple[int, int, int]) -> Region:
    """All voxels of an array of ``shape``."""
    k, j, i = (slice(0, size) for size in shape)
    return k, j, i


def region_shape(region: Region) -> tuple[int, int, int]:
    """Number of slices, rows and columns of a region."""
    k, j, i = region
    return k.stop - k.start, j.stop - j.start, i.stop - i.start


def hull(first: Region | None, second: Region | None) -> Region | None:
    """Smallest region that holds both; None when both are None."""
    if first is None or second is None:
        return first or second
    k, j, i = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return k, j, i


def region_to_json(region: Region) -> list[int]:
    """``[k0, k1, j0, j1, i0, i1]``."""
    return [int(edge) for part in region for edge in (part.start, part.stop)]


def region_from_json(edges: Sequence[int], shape: tuple[int, int, int]) -> Region:
    """Inverse of ``region_to_json``; ``CaseError`` when it does not lie inside an array of ``shape``."""
    k0, k1, j0, j1, i0, i1 = (int(edge) for edge in edges)
    for low, high, size in ((k0, k1, shape[0]), (j0, j1, shape[1]), (i0, i1, shape[2])):
        if not 0 <= low < high <= size:
            raise CaseError("The case's record names voxels outside the scan; it is damaged.")
    return slice(k0, k1), slice(j0, j1), slice(i0, i1)


@dataclass(frozen=True)
class MaskPatch:
    """The voxels of ``region`` that flip, as zlib-compressed packed bits."""

    region: Region
    data: bytes

    @classmethod
    def between(cls, before: NDArray[np.bool_] | None, after: NDArray[np.bool_], region: Region) -> MaskPatch | None:
        """The patch that turns the voxels ``before`` of ``region`` into ``after``; None when nothing changes.

        Both are boolean ``[k, j, i]`` of the region's shape; ``before`` None means all False.
        """
        flips = after if before is None else before ^ after
        if not flips.any():
            return None
        tight: list[slice] = []
        for axis in range(3):
            line = np.flatnonzero(flips.any(axis=tuple(a for a in range(3) if a != axis)))
            tight.append(slice(int(line[0]), int(line[-1]) + 1))
        bits = np.packbits(flips[tuple(tight)])
        k, j, i = (
            slice(outer.start + inner.start, outer.start + inner.stop)
            for outer, inner in zip(region, tight, strict=True)
        )
        return cls((k, j, i), zlib.compress(bits.tobytes(), 6))

    def flips(self) -> NDArray[np.bool_]:
        """Boolean ``[k, j, i]`` of the region's shape: True where the mask changes."""
        shape = region_shape(self.region)
        count = int(np.prod(shape))
        bits = np.frombuffer(inflate(self.data, (count + 7) // 8), dtype=np.uint8)
        return np.unpackbits(bits, count=count).astype(np.bool_).reshape(shape)


def inflate(data: bytes, size: int) -> bytes:
    """Decompress to exactly ``size`` bytes; ``CaseError`` for anything else, without ever taking more memory."""
    try:
        plain = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error as error:
        raise CaseError("A saved change of the mask is damaged and cannot be read back.") from error
    if len(plain) != size:
        raise CaseError("A saved change of the mask is damaged and cannot be read back.")
    return plain


class BlobStore:
    """A folder of files named by the first 40 hex digits of the SHA-256 of their content."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # What was just saved is applied from memory: a change that is on the disk can no longer fail.
        self._fresh: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        """Save ``data`` and return its name; it is safe on the disk on return. ``CaseError`` on a full disk."""
        name = hashlib.sha256(data).hexdigest()[:40]
        path = self._directory / name
        try:
            if not path.exists():
                write_durably(path, data)
        except OSError as error:
            raise CaseError(save_refusal(error, self._directory.parent)) from error
        self._fresh[name] = data
        if len(self._fresh) > _FRESH_BLOBS:
            del self._fresh[next(iter(self._fresh))]
        return name

    def get(self, name: str) -> bytes:
        """The content saved under ``name``; ``CaseError`` when it is missing or altered, ``OSError`` from the drive."""
        if not _NAME.fullmatch(name):
            raise CaseError("The case's record names a file that cannot be one of its own; it is damaged.")
        if name in self._fresh:
            return self._fresh[name]
        try:
            data = (self._directory / name).read_bytes()
        except FileNotFoundError as error:
            raise CaseError(f"The case's file {name} is missing.") from error
        if hashlib.sha256(data).hexdigest()[:40] != name:
            raise CaseError(f"The case's file {name} was altered and cannot be trusted.")
        return data

    def sweep(self) -> None:
        """Remove what an interrupted write left behind."""
        for path in self._directory.glob("*.tmp"):
            path.unlink(missing_ok=True)
