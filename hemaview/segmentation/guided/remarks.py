"""What a person has to know about an answer: where it is empty, and which of their words it could not follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hemaview.segmentation.guided.plan import Known, Piece

_NOTHING_AT_ALL = "Nothing that stands out was found in the box; draw it closer round the haematoma or use the brush."
_POINT_OUTSIDE = "A point lies outside the box and was left out; make the box larger or remove the point."


def remarks(
    mask: NDArray[np.bool_], region: tuple[slice, slice, slice], pieces: Sequence[Piece], known: Known
) -> Iterator[str]:
    """Sentences about the finished ``mask`` of ``region``."""
    if not mask.any():
        yield _NOTHING_AT_ALL
    else:
        yield from _gaps(mask, region[0].start, pieces, known)
    missed = []
    for point in known.points:
        place = tuple(n - part.start for n, part in zip(point.voxel, region, strict=True))
        if not all(0 <= n < size for n, size in zip(place, mask.shape, strict=True)):
            if point.positive:
                yield _POINT_OUTSIDE
        elif bool(mask[place]) is not point.positive:
            missed.append(point.voxel[0])
    if missed:
        yield f"A point could not be followed on {named(missed)}; use the brush there."


def named(slices: Sequence[int]) -> str:
    """Slice numbers as the window counts them, from 1: "slice 4", "slices 4 to 6 and 9"."""
    runs: list[tuple[int, int]] = []
    for k in sorted(set(slices)):
        if runs and runs[-1][1] == k - 1:
            runs[-1] = (runs[-1][0], k)
        else:
            runs.append((k, k))
    words = [f"{a + 1}" if a == b else f"{a + 1} to {b + 1}" for a, b in runs]
    listed = words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" and {words[-1]}"
    return f"slice {listed}" if len(words) == 1 and runs[0][0] == runs[0][1] else f"slices {listed}"


def _gaps(mask: NDArray[np.bool_], first: int, pieces: Sequence[Piece], known: Known) -> Iterator[str]:
    """Slices without an answer between slices with one, and rectangles that stayed empty."""
    filled = np.flatnonzero(mask.any(axis=(1, 2))) + first
    covered = {k for piece in pieces for k in piece.box.slices}
    expected = {k for k in range(int(filled[0]), int(filled[-1]) + 1) if k in covered}
    expected |= {k for piece in pieces for k in piece.redrawn}
    empty = sorted(expected - set(filled.tolist()) - set(known.fixed))
    if empty:
        yield f"Nothing was found on {named(empty)}, which should hold the haematoma; check there."
