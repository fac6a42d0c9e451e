"""Where the pictures of a part of a series lie along their common normal, and which of them share a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.slice_places import repeated

_IRREGULAR_TIMES = 1.5
_APART_MM, _APART_TIMES = 80.0, 10.0
"""What lies this far from the rest is another part of the body; no haematoma reaches across."""
_EVEN_SHARE = 0.05
_LEAST_NORMAL = 0.5
"""Of two unit vectors at right angles it is 1; a header whose rows and columns are nearly parallel is damaged."""


@dataclass(frozen=True)
class Places:
    """``along`` (n,) in mm on the normal and ``number`` (n,), the place of every picture counted from 0."""

    along: NDArray[np.float64]
    number: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many pictures lie at each place."""
        return np.bincount(self.number)

    @property
    def most(self) -> int:
        """The largest number of pictures at one place."""
        return int(self.counts.max())

    @property
    def repeats(self) -> int:
        """How many pictures lie where another one lies already."""
        return len(self.number) - len(self.counts)

    @property
    def gaps(self) -> NDArray[np.float64]:
        """Distances in mm between neighbouring places."""
        first = np.full(len(self.counts), np.inf)
        np.minimum.at(first, self.number, self.along)
        return np.diff(first)

    @property
    def stretches(self) -> NDArray[np.int64]:
        """(n,) which stretch of the body every picture shows, counted from 0: what lies far apart is no one scan."""
        gaps = self.gaps
        if gaps.size < 2:
            return np.zeros_like(self.number)
        is_apart = gaps > max(_APART_MM, _APART_TIMES * float(np.median(gaps)))
        return np.asarray(np.concatenate(([0], np.cumsum(is_apart)))[self.number])

    @property
    def is_irregular(self) -> bool:
        """Whether some gaps are clearly wider than others."""
        gaps = self.gaps
        return bool(gaps.size > 1 and gaps.max() > _IRREGULAR_TIMES * gaps.min())

    @property
    def is_even(self) -> bool:
        """Whether no place is shared and all gaps are the same, of which there is at least one."""
        gaps = self.gaps
        return not self.repeats and bool(gaps.size and np.ptp(gaps) <= _EVEN_SHARE * gaps.max())


def places_of(pictures: Sequence[Instance]) -> Places | None:
    """The places of pictures that share one orientation; None where the pictures do not say where they lie."""
    orientation = pictures[0].orientation
    if orientation is None or any(p.position is None for p in pictures):
        return None
    normal = np.cross(orientation[:3], orientation[3:])
    if not np.linalg.norm(normal) > _LEAST_NORMAL:
        return None
    normal /= np.linalg.norm(normal)
    along = np.array([p.position for p in pictures], dtype=np.float64) @ normal
    order = np.argsort(along, kind="stable")
    number = np.zeros(len(along), dtype=np.int64)
    if len(along) > 1:
        number[order[1:]] = np.cumsum(~repeated(np.diff(along[order]), pictures[0].slice_thickness))
    return Places(along, number)
