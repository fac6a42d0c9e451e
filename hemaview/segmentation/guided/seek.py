"""Finding a lesion's extent from points alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer
from hemaview.segmentation.guided.growing import grown_box
from hemaview.segmentation.guided.plan import Point
from hemaview.segmentation.guided.protocols import Check

SIZES_MM = (12.0, 20.0, 32.0, 50.0, 75.0)
"""Sides of the cubes tried: haematomas of about 0.5 to 200 mL."""
_ROUNDS = 2
"""How often a box is replaced by the one round what was found in it."""
_LEAST_AGREEMENT = 0.4
"""Intersection over union of a first guess and what the network finds in it; below it the guess stands."""
_MARGIN_MM = 3.0
"""Room round several points."""


def find_box(ask: Callable[[Box], CoarseAnswer], points: Sequence[Point], frame: Frame, check: Check) -> Box:
    """The box round what the network finds near the points, which are positive.

    The first guess is the region of like grey values. Where none stands out, cubes of several sizes are tried; each
    is moved to what the network finds in it, and the one is taken that stays where it is and whose content differs
    most from the shell round it.
    """
    grown = grown_box(points, frame, check)
    if grown is not None:
        answer = ask(grown)
        mask = _through(answer, points)
        found = _bounds(answer, mask, frame) if mask.any() else grown
        return found if _agreement(grown, found) >= _LEAST_AGREEMENT else _clipped(*_faces(grown), frame)
    best, best_score = _cube(points, SIZES_MM[1], frame), -1.0
    for size in SIZES_MM:
        box = _cube(points, size, frame)
        for turn in range(_ROUNDS):
            answer = ask(box)
            mask = _through(answer, points)
            if not mask.any():
                break
            found = _bounds(answer, mask, frame)
            if turn == _ROUNDS - 1:
                score = _agreement(box, found) * _contrast(answer, mask)
                if score > best_score:
                    best, best_score = found, score
            box = found
    return best


def _cube(points: Sequence[Point], size: float, frame: Frame) -> Box:
    """A cube of ``size`` mm round the points' middle, larger where they need it, at least one slice thick."""
    places = np.array([(p.k, p.j, p.i) for p in points])
    spacing = np.array(frame.spacing_kji)
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    half = np.maximum(size / 2, (places.max(axis=0) - places.min(axis=0)) * spacing / 2 + _MARGIN_MM) / spacing
    half = np.maximum(half, 0.5)
    return _clipped(middle - half, middle + half, frame)


def _faces(box: Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array(box.lower), np.array(box.upper)


def _clipped(lower: NDArray[np.float64], upper: NDArray[np.float64], frame: Frame) -> Box:
    limit = np.array(frame.shape) - 0.5
    low, high = np.clip(lower, -0.5, limit - 1), np.clip(upper, 0.5, limit)
    return Box((float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2])))


def _through(answer: CoarseAnswer, points: Sequence[Point]) -> NDArray[np.bool_]:
    """What the network found, only the parts that hold a point (or come within a cell of it)."""
    placed = (answer.placement.slices, answer.placement.rows, answer.placement.columns)
    labels, count = ndimage.label(answer.on_crop > 0.5)
    if count == 0:
        return np.zeros(labels.shape, dtype=np.bool_)
    wanted: set[int] = set()
    for point in points:
        near = []
        for axis, position in zip(placed, (point.k, point.j, point.i), strict=True):
            cell = int(np.clip(round(axis.to_crop(position)), 0, axis.count - 1))
            near.append(slice(max(0, cell - 1), cell + 2))
        wanted |= set(np.unique(labels[tuple(near)]).tolist())
    return np.asarray(np.isin(labels, sorted(wanted - {0})))


def _bounds(answer: CoarseAnswer, mask: NDArray[np.bool_], frame: Frame) -> Box:
    lower, upper = [], []
    for number, axis in enumerate((answer.placement.slices, answer.placement.rows, answer.placement.columns)):
        line = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != number)))
        low = axis.first + axis.step * (float(line[0]) - 0.5)
        high = axis.first + axis.step * (float(line[-1]) + 0.5)
        if high - low < 1:
            middle = (low + high) / 2
            low, high = middle - 0.5, middle + 0.5
        lower.append(low)
        upper.append(high)
    return _clipped(np.array(lower), np.array(upper), frame)


def _agreement(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    shared = 1.0
    for low, high, other_low, other_high in zip(first.lower, first.upper, second.lower, second.upper, strict=True):
        shared *= max(0.0, min(high, other_high) - max(low, other_low))
    sizes = [np.prod(np.subtract(box.upper, box.lower)) for box in (first, second)]
    return float(shared / (sizes[0] + sizes[1] - shared))


def _contrast(answer: CoarseAnswer, mask: NDArray[np.bool_]) -> float:
    """How far the mean grey value inside lies from that of the shell round it, in their standard deviations."""
    if answer.image is None:
        return 1.0
    image = answer.image.numpy()
    shell = ndimage.binary_dilation(mask, iterations=3) & ~ndimage.binary_dilation(mask)
    if not shell.any():
        return 0.0
    spread = float(image[mask].std() + image[shell].std()) + 1e-3
    return abs(float(image[mask].mean() - image[shell].mean())) / spread
