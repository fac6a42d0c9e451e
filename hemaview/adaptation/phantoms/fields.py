"""Smooth random fields and the grid that a phantom is painted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hemaview.segmentation.compact.crops import Axis


@dataclass(frozen=True)
class PaintGrid:
    """The fine grid round a lesion: cells (slices, rows, columns) and the full extent in mm along each axis."""

    shape: tuple[int, int, int]
    extent_mm: tuple[float, float, float]

    def coordinates(self, unit_mm: float) -> tuple[Tensor, Tensor, Tensor]:
        """Cell centres z, y, x measured from the grid's centre in units of ``unit_mm``; each broadcasts to the grid."""
        lines = []
        for axis, (count, extent) in enumerate(zip(self.shape, self.extent_mm, strict=True)):
            line = ((torch.arange(count) + 0.5) / count - 0.5) * (extent / unit_mm)
            lines.append(line.reshape([-1 if a == axis else 1 for a in range(3)]))
        return lines[0], lines[1], lines[2]

    @property
    def cell_mm(self) -> tuple[float, float, float]:
        """Size of a cell along slices, rows and columns."""
        return (
            self.extent_mm[0] / self.shape[0],
            self.extent_mm[1] / self.shape[1],
            self.extent_mm[2] / self.shape[2],
        )


def smooth_noise(rng: np.random.Generator, grid: PaintGrid, feature_mm: float) -> Tensor:
    """Zero-mean noise of unit variance whose blobs are about ``feature_mm`` wide; float32 of the grid's shape.

    A cubic B-spline over random control points: smooth to the second derivative, one small matrix per axis.
    """
    matrices, counts = [], []
    for count, extent in zip(grid.shape, grid.extent_mm, strict=True):
        knots = extent / feature_mm
        if knots > count / 2:
            knots = count / 2
        positions = torch.linspace(0, max(knots, 0.05), count)
        matrices.append(_spline_matrix(positions, int(knots) + 5))
        counts.append(int(knots) + 5)
    values = torch.from_numpy(rng.standard_normal(counts, dtype=np.float32))
    field = torch.einsum("ka,abc->kbc", matrices[0], values)
    field = matrices[1] @ field @ matrices[2].T
    spread = float(field.std())
    return (field - field.mean()) / spread if spread > 1e-6 else field * 0


def _spline_matrix(positions: Tensor, count: int) -> Tensor:
    distance = ((positions[:, None] + 2) - torch.arange(count)[None]).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp_min(0) ** 3 / 6
    return torch.where(distance < 1, near, far)


def resample(field: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """A (slices, rows, columns) field on another number of cells over the same extent; averages when reducing."""
    matrices = [
        Axis.spanning(-0.5, old - 0.5, new).sampling_matrix(old) for old, new in zip(field.shape, shape, strict=True)
    ]
    return matrices[1] @ torch.einsum("ka,abc->kbc", matrices[0], field) @ matrices[2].T


def blur_matrix(count: int, sigma: float) -> Tensor:
    """(count, count) Gaussian smoothing of a line, ``sigma`` in cells; rows sum to 1."""
    distance = torch.arange(count)[:, None] - torch.arange(count)[None]
    weights = torch.exp(-0.5 * (distance / max(sigma, 1e-3)) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)
