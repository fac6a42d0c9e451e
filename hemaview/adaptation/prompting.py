"""What a user may do after a first answer, made up for training: points, slices set by hand, redrawn rectangles."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from hemaview.adaptation.phantoms.fields import PaintGrid, resample, smooth_noise
from hemaview.segmentation.compact.crops import COARSE_SHAPE, Axis, Placement3D
from hemaview.segmentation.compact.evidence import PointEvidence, RectangleEvidence, SliceEvidence, evidence_channel
from hemaview.segmentation.compact.tiny_sam import Points

MOST_POINTS = 4
_AT_ERRORS = 0.75
"""Share of points that correct something; the others confirm what was right."""


def spoiled_logits(rng: np.random.Generator, truth: Tensor) -> Tensor:
    """What a coarse network might have answered: ``truth`` on fewer cells, with wandering edges and wrong size."""
    factor = rng.uniform(1, 3.5)
    cells = tuple(max(5, round(count / factor)) for count in COARSE_SHAPE)
    soft = resample(resample(truth, (cells[0], cells[1], cells[2])), COARSE_SHAPE)
    grid = PaintGrid(COARSE_SHAPE, (24.0, 24.0, 24.0))
    wander = rng.uniform(0, 0.35) * smooth_noise(rng, grid, rng.uniform(2.5, 8))
    return rng.uniform(4, 14) * (soft - rng.uniform(0.3, 0.65) + wander * (soft > 0.02))


def spoiled_plane(rng: np.random.Generator, target: Tensor) -> Tensor:
    """What a fine network might have answered wrongly to a (1, rows, columns) target: too large, too small, shifted."""
    rows, columns = target.shape[1:]
    grid = PaintGrid((1, rows, columns), (1.0, float(rows), float(columns)))
    side = max(4.0, float(target.sum().sqrt()))
    distance = _signed_distance(target[0].numpy() > 0.5)
    wander = rng.uniform(0.05, 0.35) * smooth_noise(rng, grid, side * rng.uniform(0.3, 1.2))[0]
    return (rng.uniform(0.4, 1.5) * (distance + side * (wander + rng.uniform(-0.12, 0.12))))[None].clamp(-10, 10)


def correcting_points(
    rng: np.random.Generator,
    guess: Tensor,
    targets: Tensor,
    boxes: Tensor,
    *,
    most: int = MOST_POINTS,
    at_errors: float = _AT_ERRORS,
) -> Points:
    """1 to ``most`` points per item: a share where the guess (logits) is wrong, the others confirming; padded with -1.

    ``guess`` and ``targets`` are (B, 1, rows, columns); points stay within the box and a little round it.
    """
    count = len(targets)
    coordinates = torch.zeros(count, most, 2)
    labels = torch.full((count, most), -1)
    for item in range(count):
        truth, mask = targets[item, 0].numpy() > 0.5, guess[item, 0].numpy() > 0
        near = _near_box(boxes[item], truth.shape)
        wrong = (truth ^ mask) & near
        for number in range(1 + int(rng.integers(most)) if rng.random() < 0.6 else 1):
            place = _inside_of(rng, wrong, least=3) if rng.random() < at_errors else None
            if place is None:
                place = _inside_of(rng, truth if rng.random() < 0.6 else ~truth & near, least=1)
            if place is None:
                break
            row, column = place
            coordinates[item, number] = torch.tensor([float(column), float(row)])
            labels[item, number] = int(truth[row, column])
            wrong = wrong & ~_disc(wrong.shape, row, column, 6)
    return coordinates, labels


def random_evidence(
    rng: np.random.Generator,
    target: Tensor,
    placement: Placement3D,
    guess: Tensor | None,
    *,
    kind: str | None = None,
) -> Tensor:
    """An evidence channel (24, 48, 48) for a coarse crop: points, slices set by hand, rectangles, or some of each.

    ``target`` is the soft truth on the crop; points lie where ``guess`` (logits; without it a spoiled truth) is wrong.
    """
    truth = target.numpy() > 0.5
    kind = kind or str(rng.choice(["points", "slices", "rectangles", "both"], p=[0.36, 0.34, 0.14, 0.16]))
    points: list[PointEvidence] = []
    slices: list[SliceEvidence] = []
    rectangles: list[RectangleEvidence] = []
    axis = placement.slices
    if kind in ("points", "both"):
        wrong = truth ^ ((spoiled_logits(rng, target) if guess is None else guess).numpy() > 0)
        for _ in range(1 + int(rng.integers(MOST_POINTS)) if rng.random() < 0.6 else 1):
            place = _inside_of(rng, wrong, least=8) if rng.random() < _AT_ERRORS else None
            if place is None:
                place = _inside_of(rng, truth if rng.random() < 0.6 else ~truth, least=1)
            if place is not None:
                k, j, i = (_voxel(a, cell) for a, cell in zip(_axes(placement), place, strict=True))
                points.append((k, j, i, bool(truth[place])))
    if kind in ("slices", "rectangles", "both"):
        for _ in range(1 + int(rng.integers(3))):
            cell = int(rng.integers(axis.count))
            if kind == "slices" and rng.random() < 0.7 and truth.any():
                cell = int(rng.choice(np.flatnonzero(truth.any(axis=(1, 2)))))
            k = round(_voxel(axis, cell))
            plane = truth[min(max(round(axis.to_crop(k)), 0), axis.count - 1)]
            if kind == "rectangles":
                if plane.any():
                    rectangles.append((k, _rectangle(rng, plane, placement)))
            else:
                slices.append((k, _on_scan(plane, placement)))
    return evidence_channel(placement, points=points, slices=slices, rectangles=rectangles)


def _axes(placement: Placement3D) -> tuple[Axis, Axis, Axis]:
    return placement.slices, placement.rows, placement.columns


def _voxel(axis: Axis, cell: float) -> float:
    return axis.first + axis.step * float(cell)


def _rectangle(
    rng: np.random.Generator, plane: NDArray[np.bool_], placement: Placement3D
) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    j0, j1 = _voxel(placement.rows, rows[0] - 0.5), _voxel(placement.rows, rows[-1] + 0.5)
    i0, i1 = _voxel(placement.columns, columns[0] - 0.5), _voxel(placement.columns, columns[-1] + 0.5)
    move = rng.uniform(-0.06, 0.06, 4) * np.array([i1 - i0, j1 - j0, i1 - i0, j1 - j0])
    return i0 + float(move[0]), j0 + float(move[1]), i1 + float(move[2]), j1 + float(move[3])


def _on_scan(plane: NDArray[np.bool_], placement: Placement3D) -> Tensor:
    """A plane of the crop on the scan's voxels, as a hand would have set it there."""
    sizes = [max(2, int(np.ceil(axis.upper)) + 1) for axis in (placement.rows, placement.columns)]
    values = torch.from_numpy(plane.astype(np.float32))
    (rows, row_covered), (columns, column_covered) = (
        axis.return_matrix(0, size) for axis, size in zip((placement.rows, placement.columns), sizes, strict=True)
    )
    placed = rows @ values @ columns.T
    return (placed > 0.5) & row_covered[:, None] & column_covered[None]


def _inside_of(rng: np.random.Generator, region: NDArray[np.bool_], least: int) -> tuple[int, ...] | None:
    """A place well inside one of the region's larger pieces; None where no piece has ``least`` cells."""
    labels, count = ndimage.label(region)
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())[1:].astype(np.float64)
    sizes[sizes < least] = 0
    if not sizes.any():
        return None
    piece = labels == 1 + int(rng.choice(count, p=sizes / sizes.sum()))
    window = ndimage.find_objects(piece.astype(np.int8))[0]
    depth = ndimage.distance_transform_edt(np.pad(piece[window], 1))[tuple(slice(1, -1) for _ in window)]
    # Users click near the middle of what is wrong, not exactly there.
    candidates = np.argwhere(depth >= rng.uniform(0.4, 1.0) * depth.max())
    chosen = candidates[int(rng.integers(len(candidates)))]
    return tuple(int(c) + part.start for c, part in zip(chosen, window, strict=True))


def _signed_distance(mask: NDArray[np.bool_]) -> Tensor:
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    return torch.from_numpy((inside - outside).astype(np.float32))


def _near_box(box: Tensor, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = (float(v) for v in box)
    across, down = 0.15 * (x1 - x0) + 1, 0.15 * (y1 - y0) + 1
    rows, columns = np.arange(shape[0]), np.arange(shape[1])
    in_rows = (rows >= y0 - down) & (rows <= y1 + down)
    in_columns = (columns >= x0 - across) & (columns <= x1 + across)
    return np.asarray(in_rows[:, None] & in_columns)


def _disc(shape: tuple[int, ...], row: int, column: int, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.arange(shape[0])[:, None] - row, np.arange(shape[1]) - column
    return np.asarray(rows**2 + columns**2 <= radius**2)
