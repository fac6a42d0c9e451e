"""Backgrounds: a healthy head, cut, turned and given a contrast, on the paint grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hemaview.adaptation.backgrounds import Head
from hemaview.adaptation.phantoms.fields import PaintGrid, resample, smooth_noise
from hemaview.adaptation.phantoms.shapes import Anatomy


@dataclass(frozen=True)
class TissueLevels:
    """Signal of each tissue on an arbitrary scale on which air is 0 and the brightest tissue about 1."""

    grey: float
    white: float
    fluid: float
    bone: float
    scalp: float


@dataclass(frozen=True, eq=False)
class Scene:
    """A painted background before any lesion."""

    image: Tensor
    anatomy: Anatomy | None


# Rough relative levels per contrast, white matter scaled brightest tissue about 1; each is varied by 12 %.
CONTRASTS: dict[str, TissueLevels] = {
    "t1": TissueLevels(0.52, 0.70, 0.24, 0.06, 0.95),
    "t2": TissueLevels(0.50, 0.38, 0.95, 0.05, 0.60),
    "flair": TissueLevels(0.50, 0.42, 0.12, 0.05, 0.55),
    "t2star": TissueLevels(0.55, 0.48, 0.80, 0.03, 0.40),
    "t1c": TissueLevels(0.48, 0.60, 0.22, 0.08, 0.95),
    "dwi": TissueLevels(0.42, 0.36, 0.14, 0.02, 0.10),
    "ct": TissueLevels(0.50, 0.46, 0.22, 1.60, 0.35),
}


def vary(rng: np.random.Generator, levels: TissueLevels, amount: float = 0.12) -> TissueLevels:
    """Every level scaled by a random factor within ``amount``; CT's tissues stay as close as they are."""
    scale = rng.uniform(1 - amount, 1 + amount, 5)
    return TissueLevels(
        levels.grey * scale[0],
        levels.white * scale[1],
        levels.fluid * scale[2],
        levels.bone * scale[3],
        levels.scalp * scale[4],
    )


def random_levels(rng: np.random.Generator) -> TissueLevels:
    """A contrast that no sequence has to have; keeps the networks from relying on tissue brightness."""
    grey, white, fluid = rng.uniform(0.1, 0.95, 3)
    bone = rng.uniform(0, 0.3) if rng.random() < 0.5 else rng.uniform(0.5, 1.3)
    return TissueLevels(grey, white, fluid, bone, rng.uniform(0.1, 1.1))


def cut_head(rng: np.random.Generator, head: Head, grid: PaintGrid, *, axial: bool, centre: np.ndarray) -> Tensor:
    """Maps (4, slices, rows, columns) of a head on the grid: axial with a small tilt, or in any orientation."""
    angles = rng.normal(0, 0.12, 3) if axial else rng.uniform(-math.pi, math.pi, 3)
    rotation = np.eye(3)
    for (first, second), angle in zip(((0, 1), (1, 2), (0, 2)), angles, strict=True):
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
        rotation = rotation @ turn
    rotation = rotation * np.array([1.0, 1.0, rng.choice([-1.0, 1.0])]) * rng.uniform(0.92, 1.08, 3)
    # The templates hold nothing finer than 1 mm: a finer paint grid is enlarged afterwards.
    shape = tuple(
        max(4, min(count, math.ceil(extent / (0.8 * head.spacing_mm))))
        for count, extent in zip(grid.shape, grid.extent_mm, strict=True)
    )
    z, y, x = PaintGrid((shape[0], shape[1], shape[2]), grid.extent_mm).coordinates(head.spacing_mm)
    zero = torch.zeros(shape)
    points = torch.stack([z + zero, y + zero, x + zero], dim=-1).reshape(-1, 3)
    points = points @ torch.from_numpy(rotation.T.astype(np.float32)) + torch.from_numpy(centre.astype(np.float32))
    sizes = torch.tensor(head.maps.shape[1:], dtype=torch.float32)
    sampling = (points / (sizes - 1) * 2 - 1).flip(-1).reshape(1, *shape, 3)
    maps = F.grid_sample(head.maps[None], sampling, align_corners=True, padding_mode="border")[0]
    if shape == grid.shape:
        return maps
    return torch.stack([resample(channel, grid.shape) for channel in maps])


def compose(
    rng: np.random.Generator, grid: PaintGrid, maps: Tensor, levels: TissueLevels, *, with_skull: bool
) -> Tensor:
    """An image from tissue maps: grey, white and fluid mixed, then fluid rim, bone, scalp and air outside."""
    grey, white, outside = maps[1], maps[2], maps[3]
    brain = (0.5 - outside).clamp(0, 1)
    tissue = (grey + white).clamp(max=1)
    image = grey * levels.grey + white * levels.white + (brain - tissue).clamp_min(0) * levels.fluid
    if not with_skull:
        return image
    wobble = smooth_noise(rng, grid, 25.0)
    rim = rng.uniform(1, 4) + 0.5 * wobble
    bone = rim + rng.uniform(4, 9) + wobble
    scalp = bone + rng.uniform(3, 9)
    in_rim = _between(outside, torch.zeros(()), rim)
    in_bone = _between(outside, rim, bone)
    in_scalp = _between(outside, bone, scalp)
    marrow = 1.0
    if levels.bone < 1 and rng.random() < 0.4:
        marrow = 1 + rng.uniform(1, 5) * float(rng.random() < 0.7)
        middle = (rim + bone) / 2
        core = torch.exp(-(((outside - middle) / 1.5) ** 2))
        image = image + in_bone * core * levels.bone * (marrow - 1)
    return image + in_rim * levels.fluid + in_bone * levels.bone + in_scalp * levels.scalp


def _between(distance: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    return torch.sigmoid((distance - lower) * 3) * torch.sigmoid((upper - distance) * 3)


def random_curve(rng: np.random.Generator, image: Tensor) -> Tensor:
    """Intensities passed through a random curve with 0 kept at 0; rising in half of the cases."""
    levels = rng.uniform(0, 1, 7)
    levels[0] = 0
    if rng.random() < 0.5:
        levels = np.sort(levels)
    knots = torch.tensor(levels, dtype=torch.float32)
    position = image.clamp(0, 1.2) / 1.2 * 5.999
    index = position.long()
    return torch.lerp(knots[index], knots[index + 1], position - index)


def texture(rng: np.random.Generator, grid: PaintGrid) -> Tensor:
    """A background without anatomy: smooth noise, sometimes cut into flat levels."""
    largest = max(grid.extent_mm)
    field = smooth_noise(rng, grid, largest * rng.uniform(0.05, 0.4)) + 0.5 * smooth_noise(rng, grid, largest * 0.1)
    if rng.random() < 0.5:
        return 0.5 + 0.15 * field
    levels = torch.from_numpy(rng.uniform(0.1, 0.9, 5).astype(np.float32))
    return levels[torch.bucketize(field, torch.tensor([-1.0, -0.3, 0.3, 1.0]))]


def anatomy_of(maps: Tensor) -> Anatomy:
    """White matter, fluid and distance maps for the lesion's shape."""
    brain = (0.5 - maps[3]).clamp(0, 1)
    return Anatomy(maps[2], (brain - maps[1] - maps[2]).clamp(0, 1), maps[3])
