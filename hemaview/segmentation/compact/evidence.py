"""What a user has said about a lesion, drawn on the coarse network's crop; used in training and in use alike."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hemaview.segmentation.compact.crops import Axis, Placement3D

POINT_RADII = (1.5, 2.5, 2.5)
"""Half axes of a point's ball in cells of the crop: about a tenth of the box's sides."""

PointEvidence = tuple[float, float, float, bool]
"""Slice, row and column (voxel centres at integers) and whether the place belongs to the lesion."""
SliceEvidence = tuple[int, Tensor]
"""A slice's number and its mask, (rows, columns) of the whole scan."""
RectangleEvidence = tuple[int, tuple[float, float, float, float]]
"""A slice's number and the faces i0, j0, i1, j1 of a rectangle drawn on it."""


def evidence_channel(
    placement: Placement3D,
    *,
    points: Sequence[PointEvidence] = (),
    slices: Sequence[SliceEvidence] = (),
    rectangles: Sequence[RectangleEvidence] = (),
) -> Tensor:
    """The coarse network's third channel, float32 (24, 48, 48) between -1 and 1.

    A point is a small ball of 1 or -1. A slice is 1 where its mask is and -1 elsewhere. A rectangle says only that
    the lesion is not outside of it on its slice. Points are drawn over slices, slices over rectangles; what lies
    beyond the crop is left out.
    """
    axes = (placement.slices, placement.rows, placement.columns)
    channel = torch.zeros([axis.count for axis in axes])
    rows, columns = (axis.first + axis.step * torch.arange(axis.count) for axis in axes[1:])
    for k, (i0, j0, i1, j1) in rectangles:
        inside = ((rows >= j0) & (rows <= j1))[:, None] & ((columns >= i0) & (columns <= i1))
        channel[_cells(placement.slices, k)] = torch.where(inside, 0.0, -1.0)
    for k, mask in slices:
        across = placement.columns.sampling_matrix(mask.shape[1])
        plane = placement.rows.sampling_matrix(mask.shape[0]) @ mask.to(torch.float32) @ across.T
        channel[_cells(placement.slices, k)] = (2 * plane - 1).clamp(-1, 1)
    for *position, positive in points:
        centre = [axis.to_crop(place) for axis, place in zip(axes, position, strict=True)]
        distance = torch.zeros(())
        for number, (axis, middle, radius) in enumerate(zip(axes, centre, POINT_RADII, strict=True)):
            line = ((torch.arange(axis.count) - middle) / radius) ** 2
            distance = distance + line.reshape([-1 if number == other else 1 for other in range(3)])
        channel[distance <= 1] = 1.0 if positive else -1.0
    return channel


def _cells(axis: Axis, k: int) -> slice:
    """The crop's cells that lie in slice ``k``, at least the nearest one; none where the crop ends before it."""
    first, last = sorted((axis.to_crop(k - 0.5), axis.to_crop(k + 0.5)))
    if last < -0.5 or first > axis.count - 0.5:
        return slice(0, 0)
    nearest = round(axis.to_crop(k))
    start = min(int(torch.tensor(first).ceil()), nearest)
    stop = max(int(torch.tensor(last).floor()), nearest) + 1
    return slice(max(start, 0), max(min(stop, axis.count), 0))
