"""Cutting what the networks see out of a scan, and putting their answers back; used in training and in use alike.

Positions along an axis are continuous voxel indices with voxel centres at integers, so voxel n covers n - 0.5 to
n + 0.5. Every crop lies along the scan's axes, therefore resampling is one small matrix per axis: a triangle kernel
as wide as the coarser of the two grids, which interpolates when enlarging and averages when reducing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FINE_SIZE = 96
"""Side of the fine network's square crop in pixels."""
FINE_CONTEXT = 1.8
"""The fine crop's side as a multiple of the box's longer side in mm."""
FINE_MIN_SIDE_PX = 20.0
"""The fine crop covers at least this many voxels, so that a tiny box still shows its surroundings."""
COARSE_SHAPE = (24, 48, 48)
"""Slices, rows and columns of the coarse network's crop."""
COARSE_CONTEXT = 1.5
"""The coarse crop's extent along each axis as a multiple of the box."""
OPEN_BOX_VALUE = 0.5
"""Box channel inside the drawn rectangle when the depth is not known."""
OUTSIDE_LOGIT = -8.0
"""Logit where a network said nothing because its crop ended."""
HOUNSFIELD_LIMITS = (-60.0, 160.0)
"""CT numbers are clipped to this range first: it holds brain, blood, oedema and fluid; bone and air carry nothing."""

_CLIP_MARGIN = 1.0
_Z_LIMIT = 5.0


@dataclass(frozen=True)
class Axis:
    """``count`` samples at ``first + step * n`` along a voxel axis (positions in voxel indices)."""

    first: float
    step: float
    count: int

    @classmethod
    def spanning(cls, lower: float, upper: float, count: int) -> Axis:
        """Samples at the centres of ``count`` equal cells between two faces."""
        step = (upper - lower) / count
        return cls(lower + step / 2, step, count)

    def to_crop(self, position: float) -> float:
        """Sample index (centres at integers) of a voxel position."""
        return (position - self.first) / self.step

    @property
    def lower(self) -> float:
        """Voxel position of the crop's lower face."""
        return self.first - self.step / 2

    @property
    def upper(self) -> float:
        """Voxel position of the crop's upper face."""
        return self.first + self.step * (self.count - 0.5)

    def sampling_matrix(self, length: int) -> Tensor:
        """(count, length) float32 weights that resample a line of ``length`` voxels; the edge voxel is repeated."""
        centres = (self.first + self.step * torch.arange(self.count)).clamp(0, length - 1)
        half_width = max(1.0, self.step)
        weights = (1 - (torch.arange(length)[None] - centres[:, None]).abs() / half_width).clamp_min(0)
        return weights / weights.sum(dim=1, keepdim=True)

    def return_matrix(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Weights (stop - start, count) that take samples back to voxels, and which voxels the crop covers."""
        step = 1 / self.step
        back = Axis((start - self.first) * step, step, stop - start)
        positions = back.first + back.step * torch.arange(back.count)
        covered = (positions >= -0.5) & (positions <= self.count - 0.5)
        return back.sampling_matrix(self.count), covered


@dataclass(frozen=True)
class Placement2D:
    """Where a fine crop lies in its slice."""

    rows: Axis
    columns: Axis


@dataclass(frozen=True)
class Placement3D:
    """Where a coarse crop lies in the scan."""

    slices: Axis
    rows: Axis
    columns: Axis


def clip_hounsfield(array: Tensor) -> Tensor:
    """CT numbers limited to soft tissue; an array whose values are not CT numbers is returned unchanged.

    A CT is told by air (-200 or less) together with bone (200 or more). Without the limits, bone and air would use
    up the contrast of the normalisation wherever a lesion lies close to the skull.
    """
    if array.dtype.is_floating_point and float(array.min()) <= -200 and float(array.max()) >= 200:
        return array.clamp(*HOUNSFIELD_LIMITS)
    return array


def normalise(crop: Tensor, inside: Tensor) -> Tensor:
    """Clip a crop to its box's intensity range widened by that range on both sides, then shift and scale to z-scores.

    ``inside`` is a boolean tensor of the crop's shape. Bright fat, bone or a hot vessel outside the box therefore
    cannot swallow the contrast of the lesion. A crop without any contrast becomes zeros.
    """
    values = crop[inside] if bool(inside.any()) else crop.flatten()
    ordered = values.flatten().sort().values
    last = ordered.numel() - 1
    low, high = float(ordered[round(0.01 * last)]), float(ordered[round(0.99 * last)])
    margin = _CLIP_MARGIN * (high - low)
    clipped = crop.clamp(low - margin, high + margin) if margin > 0 else crop
    deviation = float(clipped.std())
    if not deviation > 1e-6 * max(1.0, abs(high), abs(low)):
        return torch.zeros_like(crop)
    return ((clipped - clipped.mean()) / deviation).clamp(-_Z_LIMIT, _Z_LIMIT)


def box_crop_2d(
    slice2d: Tensor,
    box_xyxy: Sequence[float],
    spacing_xy: tuple[float, float] = (1.0, 1.0),
    *,
    context: float = FINE_CONTEXT,
) -> tuple[Tensor, Tensor, Placement2D]:
    """What the fine network sees of a slice: a square in millimetres round the box.

    ``slice2d`` is a float32 (rows, columns) tensor, ``box_xyxy`` the faces x0, y0, x1, y1 in voxel positions and
    ``spacing_xy`` the size of a column and a row step in mm. Returns the normalised crop (1, 96, 96), the box (4,)
    in crop pixels and the placement for ``place_2d``.
    """
    x0, y0, x1, y1 = (float(v) for v in box_xyxy)
    sx, sy = spacing_xy
    side = max((x1 - x0) * sx, (y1 - y0) * sy) * context
    side = max(side, FINE_MIN_SIDE_PX * min(sx, sy))
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    columns = Axis.spanning(cx - side / sx / 2, cx + side / sx / 2, FINE_SIZE)
    rows = Axis.spanning(cy - side / sy / 2, cy + side / sy / 2, FINE_SIZE)
    placement = Placement2D(rows, columns)
    height, width = slice2d.shape
    crop = rows.sampling_matrix(height) @ slice2d @ columns.sampling_matrix(width).T
    box = torch.tensor([columns.to_crop(x0), rows.to_crop(y0), columns.to_crop(x1), rows.to_crop(y1)])
    index = torch.arange(FINE_SIZE)
    inside = ((index >= box[1]) & (index <= box[3]))[:, None] & ((index >= box[0]) & (index <= box[2]))[None]
    return normalise(crop, inside)[None], box, placement


def place_2d(values: Tensor, placement: Placement2D, window: tuple[slice, slice], outside: float) -> Tensor:
    """Resample a (96, 96) answer to the voxels of ``window`` (rows, columns) of the slice.

    Voxels that the crop does not cover get ``outside``.
    """
    rows, row_covered = placement.rows.return_matrix(window[0].start, window[0].stop)
    columns, column_covered = placement.columns.return_matrix(window[1].start, window[1].stop)
    placed = rows @ values @ columns.T
    return torch.where(row_covered[:, None] & column_covered[None], placed, outside)


def box_crop_3d(
    array: Tensor,
    lower_kji: Sequence[float],
    upper_kji: Sequence[float],
    open_axis: int | None = None,
    *,
    context: float = COARSE_CONTEXT,
) -> tuple[Tensor, Placement3D]:
    """What the coarse network sees of a scan: the box and half its extent round it, and the box itself.

    ``array`` is a float32 (slices, rows, columns) tensor; the box's faces are voxel positions in the order k, j, i.
    ``open_axis`` is the array axis (0 = k) along which the depth is only a guess: the box channel then holds 0.5 in
    the rectangle through the whole depth instead of 1 inside the box. Returns (2, 24, 48, 48) and the placement.
    """
    axes, masks, matrices = [], [], []
    windows = []
    for number, (low, high, count) in enumerate(zip(lower_kji, upper_kji, COARSE_SHAPE, strict=True)):
        centre, half = (float(low) + float(high)) / 2, (float(high) - float(low)) / 2
        axis = Axis.spanning(centre - half * context, centre + half * context, count)
        positions = axis.first + axis.step * torch.arange(count)
        length = array.shape[number]
        reach = max(1.0, axis.step) + 1
        start = int(min(max(axis.lower - reach, 0), length - 1))
        stop = int(max(min(axis.upper + reach + 1, length), start + 1))
        windows.append(slice(start, stop))
        matrices.append(Axis(axis.first - start, axis.step, count).sampling_matrix(stop - start))
        inside = (positions >= float(low)) & (positions <= float(high))
        masks.append(torch.ones(count, dtype=torch.bool) if number == open_axis else inside)
        axes.append(axis)
    crop = torch.einsum("kz,zyx->kyx", matrices[0], array[tuple(windows)])
    crop = matrices[1] @ crop @ matrices[2].T
    box = masks[0][:, None, None] & masks[1][None, :, None] & masks[2][None, None, :]
    channel = box.to(torch.float32) * (1.0 if open_axis is None else OPEN_BOX_VALUE)
    return torch.stack([normalise(crop, box), channel]), Placement3D(*axes)


def place_3d(values: Tensor, placement: Placement3D, window: tuple[slice, slice, slice], outside: float) -> Tensor:
    """Resample a (24, 48, 48) answer to the voxels of ``window`` (slices, rows, columns) of the scan.

    Voxels that the crop does not cover get ``outside``.
    """
    (k, k_covered), (j, j_covered), (i, i_covered) = (
        axis.return_matrix(part.start, part.stop)
        for axis, part in zip((placement.slices, placement.rows, placement.columns), window, strict=True)
    )
    placed = j @ torch.einsum("kz,zyx->kyx", k, values) @ i.T
    covered = k_covered[:, None, None] & j_covered[None, :, None] & i_covered[None, None, :]
    return torch.where(covered, placed, outside)


def sample_3d(array: Tensor, placement: Placement3D) -> Tensor:
    """A (slices, rows, columns) array of the scan's shape resampled to a coarse crop's grid, (24, 48, 48).

    Cells beyond the scan repeat its edge, as those of the image do.
    """
    axes = (placement.slices, placement.rows, placement.columns)
    matrices = [axis.sampling_matrix(length) for axis, length in zip(axes, array.shape, strict=True)]
    return matrices[1] @ torch.einsum("kz,zyx->kyx", matrices[0], array) @ matrices[2].T


def coarse_prompt(logits: Tensor, coarse: Placement3D, fine: Placement2D, k: int) -> Tensor:
    """The coarse answer's slice ``k`` on a fine crop's pixels, (1, 96, 96) logits: the fine network's mask prompt.

    Pixels and slices that the coarse crop does not cover get ``OUTSIDE_LOGIT``.
    """
    along, covered = coarse.slices.return_matrix(k, k + 1)
    if not bool(covered[0]):
        return torch.full((1, fine.rows.count, fine.columns.count), OUTSIDE_LOGIT)
    plane = torch.einsum("z,zyx->yx", along[0], logits)
    rows, row_covered = _between(coarse.rows, fine.rows)
    columns, column_covered = _between(coarse.columns, fine.columns)
    prompt = rows @ plane @ columns.T
    return torch.where(row_covered[:, None] & column_covered[None], prompt, OUTSIDE_LOGIT)[None]


def _between(source: Axis, target: Axis) -> tuple[Tensor, Tensor]:
    relative = Axis(source.to_crop(target.first), target.step / source.step, target.count)
    positions = relative.first + relative.step * torch.arange(relative.count)
    covered = (positions >= -0.5) & (positions <= source.count - 0.5)
    return relative.sampling_matrix(source.count), covered
