"""From a prompt in millimetres to what a run has to do in voxels: one piece per box, and what is known beside it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from hemaview.errors import PromptError
from hemaview.imaging import Geometry, Volume
from hemaview.segmentation.compact.crops import Placement3D
from hemaview.segmentation.compact.evidence import evidence_channel
from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.contract import BoxPrompt, FixedSlice, Prompt
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.components import faces_of
from hemaview.segmentation.guided.protocols import Rectangle

_NEARBY = 3
"""Voxels round a box that must hold an edge where the box itself holds none."""

Marks = Mapping[int, tuple[Rectangle, ...]]
"""Rectangles by slice."""


@dataclass(frozen=True)
class Point:
    """A point in voxel positions; it belongs to the lesion (``positive``) or does not."""

    k: float
    j: float
    i: float
    positive: bool

    @property
    def voxel(self) -> tuple[int, int, int]:
        """The voxel that holds it."""
        return int(np.floor(self.k + 0.5)), int(np.floor(self.j + 0.5)), int(np.floor(self.i + 0.5))


@dataclass(frozen=True, eq=False)
class Known:
    """What is known about single voxels: points, and slices ``[j, i]`` that a hand has drawn."""

    points: tuple[Point, ...] = ()
    fixed: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.points or self.fixed)


@dataclass(frozen=True, eq=False)
class Piece:
    """One box and the rectangles that were redrawn on single slices of it.

    ``box`` may still be open in depth. ``redrawn`` are the rectangles as they were given; ``marks`` also holds those
    between them. ``shown`` is where the person was looking when the depth was left open. ``searched`` tells that the
    box's depth was found by the run.
    """

    box: Box
    redrawn: Marks = field(default_factory=dict)
    marks: Marks = field(default_factory=dict)
    shown: int | None = None
    searched: bool = False

    def rectangles(self, k: int) -> tuple[Rectangle, ...]:
        """What bounds the lesion on slice ``k``: its own rectangles where there are some, the box's otherwise."""
        return self.marks.get(k, (self.box.rectangle,))

    def closed(self, box: Box) -> Piece:
        """The piece with the depth that was found."""
        return replace(self, box=box.closed(), searched=True)

    @property
    def trusted(self) -> tuple[int, ...]:
        """Slices that a person has looked at."""
        return (*self.marks, *(() if self.shown is None else (self.shown,)))


@dataclass(frozen=True, eq=False)
class Plan:
    """A checked prompt. Without any piece there are positive points only, and the extent has to be looked for."""

    pieces: tuple[Piece, ...]
    known: Known

    @property
    def depth(self) -> tuple[float, float]:
        """The lowest and the highest slice position that anything of it is about."""
        places = [point.k for point in self.known.points] + [float(k) for k in self.known.fixed]
        places += [face for piece in self.pieces for face in (piece.box.lower[0], piece.box.upper[0])]
        return min(places), max(places)

    @classmethod
    def of(cls, prompt: Prompt, volume: Volume, frame: Frame) -> Plan:
        """Check a prompt against its scan.

        Raises ``PromptError`` for a prompt without box, drawn slice or positive point, for anything outside the
        scan, and where a box and its surroundings hold a single grey value.
        """
        geometry = volume.geometry
        known = Known(_points(prompt, geometry), {f.k: _fixed_mask(f, geometry) for f in prompt.fixed})
        redrawn = [_redrawn(box, geometry) for box in prompt.slice_boxes]
        drawn = {k: (faces_of(mask),) for k, mask in known.fixed.items() if mask.any()}
        if prompt.boxes:
            boxes = [Box.of(box, geometry) for box in prompt.boxes]
            pieces = _with_redrawn(boxes, redrawn, geometry.slice_places_mm)
        elif redrawn or drawn:
            pieces = (_from_slices(redrawn, drawn, geometry),)
        elif any(point.positive for point in known.points):
            pieces = ()
        else:
            raise PromptError("There is no box and no point in the haematoma; draw a box round it.")
        for piece in pieces:
            refuse_flat(piece.box, frame)
        return cls(pieces, known)


def evidence_of(known: Known, piece: Piece, placement: Placement3D) -> torch.Tensor:
    """The coarse network's third channel."""
    return evidence_channel(
        placement,
        points=[(p.k, p.j, p.i, p.positive) for p in known.points],
        slices=[(k, torch.from_numpy(mask)) for k, mask in known.fixed.items()],
        rectangles=[(k, enclosing(rectangles)) for k, rectangles in piece.redrawn.items()],
    )


def refuse_flat(box: Box, frame: Frame) -> None:
    """Raise ``PromptError`` where a box and its surroundings hold a single grey value (or nothing but air or bone)."""
    wide = box.joined([v - _NEARBY for v in box.lower], [v + _NEARBY for v in box.upper])
    low, high = frame.limits(wide.region(frame.shape))
    if low == high:
        raise PromptError(
            "The box and its surroundings hold a single grey value, so no edge can be found; draw it round the "
            "haematoma."
        )


def _points(prompt: Prompt, geometry: Geometry) -> tuple[Point, ...]:
    found = []
    size = np.asarray(geometry.size)
    for point in prompt.points:
        index = geometry.lps_to_index(point.position)
        if not np.all(np.isfinite(index)) or np.any(index < -0.5) or np.any(index > size - 0.5):
            raise PromptError("A point lies outside the scan; remove it or set it in the scan.")
        i, j, k = (float(v) for v in np.clip(index, 0, size - 1))
        found.append(Point(k, j, i, point.positive))
    return tuple(found)


def _fixed_mask(fixed: FixedSlice, geometry: Geometry) -> NDArray[np.bool_]:
    slices, rows, columns = geometry.shape
    if not 0 <= fixed.k < slices or fixed.mask.shape != (rows, columns):
        raise PromptError("A slice that was drawn by hand does not fit this scan; draw it again.")
    return np.asarray(fixed.mask, dtype=np.bool_)


def _redrawn(box: BoxPrompt, geometry: Geometry) -> tuple[int, Rectangle]:
    """Slice and rectangle of a box that is one slice thick."""
    part = Box.of(box, geometry)
    slices = part.slices
    if part.upper[0] - part.lower[0] > 1.5:
        raise PromptError("A rectangle that was redrawn on one slice reaches over several; draw it again.")
    return slices.start, part.rectangle


def _with_redrawn(
    boxes: Sequence[Box], redrawn: Sequence[tuple[int, Rectangle]], places: NDArray[np.float64]
) -> tuple[Piece, ...]:
    """Every redrawn rectangle goes to the box that it overlaps most; a box grows to hold its rectangles."""
    chosen: list[dict[int, list[Rectangle]]] = [{} for _ in boxes]
    for k, rectangle in redrawn:
        best = max(range(len(boxes)), key=lambda n: (_overlap(boxes[n], k, rectangle), -_distance(boxes[n], k)))
        chosen[best].setdefault(k, []).append(rectangle)
    pieces = []
    for box, marks in zip(boxes, chosen, strict=True):
        for k, rectangles in marks.items():
            for i0, j0, i1, j1 in rectangles:
                box = box.joined((k - 0.5, j0, i0), (k + 0.5, j1, i1))
        own = {k: tuple(rectangles) for k, rectangles in marks.items()}
        pieces.append(Piece(box, own, between(own, places)))
    return tuple(pieces)


def _from_slices(redrawn: Sequence[tuple[int, Rectangle]], drawn: Marks, geometry: Geometry) -> Piece:
    """A piece from rectangles and hand-drawn slices alone: they give the range, beyond it the depth is open."""
    marks: dict[int, list[Rectangle]] = {}
    for k, rectangle in redrawn:
        marks.setdefault(k, []).append(rectangle)
    own = {k: tuple(rectangles) for k, rectangles in marks.items()}
    everything = {**drawn, **own}
    i0, j0, i1, j1 = enclosing([rectangle for rectangles in everything.values() for rectangle in rectangles])
    first, last = min(everything), max(everything)
    widest = max(everything, key=lambda k: (sum((r[2] - r[0]) * (r[3] - r[1]) for r in everything[k]), -k))
    guess = Box.of(BoxPrompt.from_rectangle(geometry, 2, widest, (i0, j0, 0), (i1, j1, 0)), geometry)
    lower, upper = guess.lower[0], guess.upper[0]
    if first != last:
        # Where two slices are known, the lesion is not expected far beyond them.
        lower, upper = first - 0.5, last + 0.5
    box = Box((lower, j0, i0), (upper, j1, i1), 0)
    return Piece(box, own, between(everything, geometry.slice_places_mm), widest)


def between(marks: Marks, places: NDArray[np.float64]) -> dict[int, tuple[Rectangle, ...]]:
    """``marks`` and the rectangles on the slices between them, whose sides go linearly in mm.

    ``places`` are the slices' own, (slices,), along the scan. Where two neighbouring marked slices
    hold different numbers of rectangles, each of the larger number goes to the nearest of the others.
    """
    found = dict(marks)
    ordered = sorted(marks)
    for low, high in itertools.pairwise(ordered):
        pairs = _pairs(marks[low], marks[high])
        for k in range(low + 1, high):
            share = float((places[k] - places[low]) / (places[high] - places[low]))
            found[k] = tuple(_mixed(a, b, share) for a, b in pairs)
    return found


def enclosing(rectangles: Sequence[Rectangle]) -> Rectangle:
    """The smallest rectangle round several."""
    left, top, right, bottom = zip(*rectangles, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _pairs(first: Sequence[Rectangle], second: Sequence[Rectangle]) -> list[tuple[Rectangle, Rectangle]]:
    if len(first) >= len(second):
        return [(a, min(second, key=lambda b, a=a: _apart(a, b))) for a in first]  # type: ignore[misc]
    return [(min(first, key=lambda a, b=b: _apart(a, b)), b) for b in second]  # type: ignore[misc]


def _apart(a: Rectangle, b: Rectangle) -> float:
    return sum(abs(one - other) for one, other in zip(a, b, strict=True))


def _mixed(a: Rectangle, b: Rectangle, share: float) -> Rectangle:
    i0, j0, i1, j1 = ((1 - share) * one + share * other for one, other in zip(a, b, strict=True))
    return i0, j0, i1, j1


def _overlap(box: Box, k: int, rectangle: Rectangle) -> float:
    i0, j0, i1, j1 = box.rectangle
    across = min(i1, rectangle[2]) - max(i0, rectangle[0])
    down = min(j1, rectangle[3]) - max(j0, rectangle[1])
    return max(0.0, across) * max(0.0, down) / (1 + _distance(box, k))


def _distance(box: Box, k: int) -> float:
    return max(0.0, box.lower[0] - k, k - box.upper[0])
