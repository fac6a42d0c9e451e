"""Carrying what is known of single voxels over to their neighbours, by distance and by likeness of the grey value.

A network may or may not take a click to heart. Here the answer's logits are moved by what they miss at the known
voxels; the correction fades with the distance in mm and where the grey value differs, as in kriging with the answer
as its mean: exact at the known voxels, unchanged far from them and wherever the answer was right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hemaview.segmentation.compact.crops import Axis
from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer
from hemaview.segmentation.guided.plan import Known, Point
from hemaview.segmentation.guided.protocols import Check

Floats = NDArray[np.float32]
Cell = tuple[int, int, int]

SURE_LOGIT = 2.0
"""Known voxels reach at least this logit (a probability of 0.88) or its negative."""
POINT_REACH = 0.12
"""How far a point reaches: the standard deviation as a share of the box's mean side in mm."""
SLICE_REACH = 0.2
"""How far a hand-drawn slice reaches, likewise."""
LIKENESS = 0.5
"""Grey values that differ by this many standard deviations of the surroundings are 61 % alike."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where an array's cells lie: voxel positions of its slices, rows and columns, and the voxel size in mm."""

    k: Floats
    j: Floats
    i: Floats
    spacing_kji: tuple[float, float, float]

    @property
    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Positions along each axis of the array."""
        return self.k, self.j, self.i

    def cell(self, point: Point) -> tuple[int, int, int] | None:
        """The cell nearest to a point; None where it lies outside the array."""
        found = []
        for line, position in zip(self.axes, (point.k, point.j, point.i), strict=True):
            number = int(np.argmin(np.abs(line - position)))
            step = float(line[1] - line[0]) if len(line) > 1 else 1.0
            if abs(line[number] - position) > 0.5 * step + 1e-3:
                return None
            found.append(number)
        return found[0], found[1], found[2]


def correct_coarse(answer: CoarseAnswer, known: Known, box: Box, frame: Frame, check: Check) -> CoarseAnswer:
    """The coarse answer in agreement with what is known."""
    if not known or answer.image is None:
        return answer
    placement = answer.placement
    grid = Grid(
        _positions(placement.slices), _positions(placement.rows), _positions(placement.columns), frame.spacing_kji
    )
    masks = {}
    for k, mask in known.fixed.items():
        soft = torch.from_numpy(mask.astype(np.float32))
        rows, columns = (
            axis.sampling_matrix(size)
            for axis, size in zip((placement.rows, placement.columns), soft.shape, strict=True)
        )
        masks[k] = (rows @ soft @ columns.T).numpy() > 0.5
    logits = corrected(answer.logits.numpy(), answer.image.numpy(), grid, known.points, masks, box, check)
    return CoarseAnswer(torch.from_numpy(logits), placement, answer.image)


def correct_probability(
    probability: Floats, region: tuple[slice, slice, slice], known: Known, box: Box, frame: Frame, check: Check
) -> Floats:
    """A probability of ``region`` in agreement with what is known."""
    if not known:
        return probability
    lines = [np.arange(part.start, part.stop, dtype=np.float32) for part in region]
    grid = Grid(lines[0], lines[1], lines[2], frame.spacing_kji)
    masks = {k: mask[region[1], region[2]] for k, mask in known.fixed.items()}
    limited = np.clip(probability, 1e-4, 1 - 1e-4)
    logits = np.asarray(np.log(limited / (1 - limited)), dtype=np.float32)
    moved = corrected(logits, frame.window(region), grid, known.points, masks, box, check)
    return np.where(moved == logits, probability, 1 / (1 + np.exp(-moved))).astype(np.float32)


def corrected(
    logits: Floats,
    image: Floats,
    grid: Grid,
    points: Sequence[Point],
    masks: Mapping[int, NDArray[np.bool_]],
    box: Box,
    check: Check,
) -> Floats:
    """``logits`` [k, j, i] moved towards the points and towards the hand-drawn ``masks`` [j, i] by slice."""
    scale = max(float(image.std()), 1e-6) * LIKENESS
    grey = (image / scale).astype(np.float32)
    sides = [(high - low) * size for low, high, size in zip(box.lower, box.upper, grid.spacing_kji, strict=True)]
    side = float(np.mean(sides[1:]))
    moved = logits.astype(np.float32, copy=True)
    if masks:
        moved += _from_masks(moved, grey, grid, masks, SLICE_REACH * side, check)
    if points:
        moved += _from_points(moved, grey, grid, points, POINT_REACH * side, check)
    return moved


def _from_points(
    logits: Floats, grey: Floats, grid: Grid, points: Sequence[Point], reach: float, check: Check
) -> Floats:
    cells, signs = [], []
    for point in points:
        cell = grid.cell(point)
        if cell is not None:
            cells.append(cell)
            signs.append(1.0 if point.positive else -1.0)
    if not cells:
        return np.zeros_like(logits)
    missed = np.array([_missing(float(logits[cell]), sign) for cell, sign in zip(cells, signs, strict=True)])
    reaches = [max(reach, 0.75 * size) for size in grid.spacing_kji]
    among = np.array([[_nearness(grey, grid, a, b, reaches) for b in cells] for a in cells])
    weights = np.linalg.solve(among + 1e-3 * np.eye(len(cells)), missed)
    correction = np.zeros_like(logits)
    for cell, weight in zip(cells, weights, strict=True):
        window = _around(grid, cell, reaches)
        correction[window] += np.float32(weight) * _kernel(grey, grid, cell, window, reaches)
        check()
    return correction


def _missing(logit: float, sign: float) -> float:
    return sign * max(0.0, SURE_LOGIT - sign * logit)


def _nearness(grey: Floats, grid: Grid, a: Cell, b: Cell, reaches: Sequence[float]) -> float:
    """The kernel between two cells: nearness in mm times likeness of the grey value."""
    exponent = float(grey[a] - grey[b]) ** 2
    for axis, (line, size, reach) in enumerate(zip(grid.axes, grid.spacing_kji, reaches, strict=True)):
        exponent += (float(line[a[axis]] - line[b[axis]]) * size / reach) ** 2
    return float(np.exp(-exponent / 2))


def _around(grid: Grid, cell: Cell, reaches: Sequence[float]) -> tuple[slice, slice, slice]:
    """Where a point's kernel is more than a hundredth."""
    found = []
    for axis, (line, size, reach) in enumerate(zip(grid.axes, grid.spacing_kji, reaches, strict=True)):
        near = np.flatnonzero(np.abs(line - line[cell[axis]]) * size <= 3 * reach)
        found.append(slice(int(near[0]), int(near[-1]) + 1))
    return found[0], found[1], found[2]


def _kernel(
    grey: Floats, grid: Grid, cell: Cell, window: tuple[slice, slice, slice], reaches: Sequence[float]
) -> Floats:
    """``_nearness`` of ``cell`` to all cells of a window."""
    exponent = (grey[window] - grey[cell]) ** 2
    for axis, (line, size, reach) in enumerate(zip(grid.axes, grid.spacing_kji, reaches, strict=True)):
        away = (line[window[axis]] - line[cell[axis]]) * np.float32(size / reach)
        exponent = exponent + (away**2).reshape([-1 if n == axis else 1 for n in range(3)])
    return np.asarray(np.exp(-exponent / 2), dtype=np.float32)


def _from_masks(
    logits: Floats, grey: Floats, grid: Grid, masks: Mapping[int, NDArray[np.bool_]], reach: float, check: Check
) -> Floats:
    """What the answer misses on every drawn slice, faded over the slices up to the next drawn one."""
    correction = np.zeros_like(logits)
    total = np.zeros(len(logits), dtype=np.float32)
    depth = grid.spacing_kji[0]
    reach = max(reach, 0.5 * depth)
    drawn = sorted(masks)
    for number, k in enumerate(drawn):
        if not grid.k[0] - 0.75 <= k <= grid.k[-1] + 0.75:
            continue
        nearest = int(np.argmin(np.abs(grid.k - k)))
        plane, shade = logits[nearest], grey[nearest]
        sign = np.where(masks[k], np.float32(1), np.float32(-1))
        missed = sign * np.maximum(0, SURE_LOGIT - sign * plane)
        below = drawn[number - 1] if number else -np.inf
        above = drawn[number + 1] if number + 1 < len(drawn) else np.inf
        for n in np.flatnonzero((grid.k > below) & (grid.k < above)):
            weight = np.float32(np.exp(-(((grid.k[n] - k) * depth / reach) ** 2) / 2))
            if weight < 0.02:
                continue
            alike = np.exp(-((grey[n] - shade) ** 2) / 2)
            correction[n] += weight * alike * missed
            total[n] += weight
        check()
    return np.asarray(correction / np.maximum(total, np.float32(1))[:, None, None])


def _positions(axis: Axis) -> Floats:
    return np.asarray(axis.first + axis.step * np.arange(axis.count), dtype=np.float32)
