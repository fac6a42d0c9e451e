"""What a user said about single voxels, on the coarse network's grid: its third channel, in training and in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from numpy.typing import NDArray
from torch import Tensor

from hemaview.segmentation.compact.crops import Axis, Placement3D

Rectangle = tuple[float, float, float, float]

POINT_RADII = (1.0, 2.0, 2.0)
"""Half axes of a point's ball in cells of the crop (slices, rows, columns): its own cell and those beside it."""


def paint_evidence(
    placement: Placement3D,
    *,
    points: Sequence[tuple[float, float, float, bool]] = (),
    masks: Mapping[int, NDArray] | None = None,
    rectangles: Mapping[int, Sequence[Rectangle]] | None = None,
) -> Tensor:
    """The evidence channel (24, 48, 48) of a crop: 1 where there is lesion, -1 where there is none, 0 unknown.

    ``points`` are (k, j, i, positive) in voxel positions. ``masks`` are whole slices ``[j, i]`` by k, which count on
    both sides. ``rectangles`` (i0, j0, i1, j1) by k only tell that nothing lies outside all of them.
    What is said with a mask outweighs a rectangle, a point outweighs both.
    """
    counts = (placement.slices.count, placement.rows.count, placement.columns.count)
    channel = torch.zeros(counts)
    for k, drawn in (rectangles or {}).items():
        outside = torch.ones(counts[1:], dtype=torch.bool)
        for i0, j0, i1, j1 in drawn:
            outside &= ~(_between(placement.rows, j0, j1)[:, None] & _between(placement.columns, i0, i1)[None])
        channel[_slices_at(placement.slices, k)] = -outside.float()
    for k, mask in (masks or {}).items():
        soft = torch.as_tensor(mask, dtype=torch.float32)
        rows = placement.rows.sampling_matrix(soft.shape[0])
        columns = placement.columns.sampling_matrix(soft.shape[1])
        channel[_slices_at(placement.slices, k)] = 2 * (rows @ soft @ columns.T) - 1
    for *centre, positive in points:
        distance = torch.zeros(counts)
        for number, (axis, position) in enumerate(
            zip((placement.slices, placement.rows, placement.columns), centre, strict=True)
        ):
            # The cell that holds the point is always painted, however coarse the grid.
            away = (torch.arange(axis.count) - round(axis.to_crop(position))).float() / POINT_RADII[number]
            distance = distance + (away**2).reshape([-1 if n == number else 1 for n in range(3)])
        channel[distance <= 1] = 1.0 if positive else -1.0
    return channel


def _slices_at(axis: Axis, k: int) -> Tensor:
    """Which cells along the depth show slice ``k``."""
    positions = axis.first + axis.step * torch.arange(axis.count)
    return (positions - k).abs() <= max(0.5, axis.step / 2)


def _between(axis: Axis, lower: float, upper: float) -> Tensor:
    positions = axis.first + axis.step * torch.arange(axis.count)
    return (positions >= lower) & (positions <= upper)
