"""From the painted fine grid to what a scanner delivers: slices, blur, bias, noise, ghosts and display range."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hemaview.adaptation.phantoms.fields import PaintGrid, blur_matrix, smooth_noise
from hemaview.segmentation.compact.crops import Axis


def slice_matrix(fine: int, slices: int, coverage: float = 1.0) -> Tensor:
    """(slices, fine) weights that average the fine cells of each slice; ``coverage`` below 1 leaves a gap."""
    edges = torch.linspace(0, fine, slices + 1)
    centre, half = (edges[1:] + edges[:-1]) / 2, (edges[1] - edges[0]) / 2 * coverage
    cells = torch.arange(fine)[None]
    overlap = torch.minimum(cells + 1, (centre + half)[:, None]) - torch.maximum(cells, (centre - half)[:, None])
    weights = overlap.clamp_min(0)
    return weights / weights.sum(dim=1, keepdim=True)


def into_slices(field: Tensor, matrix: Tensor) -> Tensor:
    """Average a fine (cells, rows, columns) field along the slice direction."""
    return torch.einsum("ka,abc->kbc", matrix, field)


def degrade(rng: np.random.Generator, image: Tensor, extent_mm: tuple[float, float, float]) -> Tensor:
    """Resolution, bias field, ghost, noise, curve: everything between the object and the stored pixels."""
    slices, rows, columns = image.shape
    grid = PaintGrid((slices, rows, columns), extent_mm)
    if rng.random() < 0.65:
        image = image * torch.exp(rng.uniform(0, 0.22) * smooth_noise(rng, grid, max(extent_mm) * rng.uniform(0.5, 2)))
    if rng.random() < 0.6:
        along_rows, along_columns = rng.uniform(0.1, 1.1, 2)
        image = blur_matrix(rows, along_rows) @ image @ blur_matrix(columns, along_columns).T
    reduction = float(rng.choice([1.0, rng.uniform(1.2, 2.0), rng.uniform(2.0, 3.5)], p=[0.5, 0.3, 0.2]))
    noise_level = float(rng.choice([0.0, rng.uniform(0.005, 0.03), rng.uniform(0.03, 0.07)], p=[0.15, 0.6, 0.25]))
    if reduction > 1:
        count_r, count_c = max(16, round(rows / reduction)), max(16, round(columns / reduction))
        down_r = Axis.spanning(-0.5, rows - 0.5, count_r).sampling_matrix(rows)
        down_c = Axis.spanning(-0.5, columns - 0.5, count_c).sampling_matrix(columns)
        small = with_noise(rng, down_r @ image @ down_c.T, noise_level)
        up_r = Axis.spanning(-0.5, count_r - 0.5, rows).sampling_matrix(count_r)
        up_c = Axis.spanning(-0.5, count_c - 0.5, columns).sampling_matrix(count_c)
        image = up_r @ small @ up_c.T
    else:
        image = with_noise(rng, image, noise_level)
        if rng.random() < 0.3:
            image = blur_matrix(rows, 0.7) @ image @ blur_matrix(columns, 0.7).T
    if rng.random() < 0.08:
        image = image + rng.uniform(0.03, 0.12) * image.roll(int(rng.integers(8, 40)), int(rng.integers(1, 3)))
    if rng.random() < 0.4:
        image = image.clamp_min(0) ** rng.uniform(0.65, 1.6)
    return image


def with_noise(rng: np.random.Generator, image: Tensor, level: float) -> Tensor:
    """Gaussian noise, or its magnitude (Rician) in half of the cases."""
    if level <= 0:
        return image
    noise = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)) * level
    if rng.random() < 0.5:
        other = torch.from_numpy(rng.standard_normal(image.shape, dtype=np.float32)) * level
        return torch.sqrt((image + noise) ** 2 + other**2)
    return image + noise


def to_bytes(rng: np.random.Generator, image: Tensor) -> Tensor:
    """Stored as 0 to 255 between the percentiles of a display window; one in twenty upside down."""
    sample = image.flatten()[:: max(1, image.numel() // 20000)].sort().values
    low = float(sample[round(rng.uniform(0, 0.01) * (len(sample) - 1))])
    high = float(sample[round(rng.uniform(0.985, 1.0) * (len(sample) - 1))])
    image = (image - low) / max(high - low, 0.05)
    if rng.random() < 0.05:
        image = 1 - image
    return (image.clamp(0, 1) * 255).round().to(torch.uint8)
