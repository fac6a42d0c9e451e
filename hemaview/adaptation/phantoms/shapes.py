"""Lesion shapes as level sets: positive inside, measured in units of half the lesion's in-plane size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hemaview.adaptation.phantoms.fields import PaintGrid, smooth_noise

FAMILIES: dict[str, float] = {
    "compact": 0.21,
    "lobed": 0.24,
    "bridged": 0.14,
    "fingers": 0.10,
    "pieces": 0.10,
    "infiltrating": 0.18,
    "crescent": 0.03,
}
"""Share of each shape family; real lesions fill their box less than ellipsoids do, hence the many irregular ones."""

Coordinates = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What surrounds the lesion, on the paint grid: white matter and fluid (0 to 1), mm outside the brain's surface."""

    white: Tensor
    fluid: Tensor
    outside_mm: Tensor


def lesion_field(
    rng: np.random.Generator,
    grid: PaintGrid,
    half_size_mm: float,
    anatomy: Anatomy | None,
    family: str | None = None,
    depth_mm: float | None = None,
) -> Tensor:
    """A random level set of about ``half_size_mm`` round the grid's centre; float32 of the grid's shape.

    ``depth_mm`` replaces the grid's own depth as the measure of how flat or tall the lesion is.
    """
    names = list(FAMILIES)
    if family is None:
        family = names[int(rng.choice(len(names), p=np.array(list(FAMILIES.values()))))]
    if family in ("infiltrating", "crescent") and anatomy is None:
        family = "lobed"
    # Lesions are flatter, taller or deeper than they are wide; the grid's own extent carries the z ratio.
    stretch = (depth_mm or grid.extent_mm[0]) / grid.extent_mm[1]
    z, y, x = grid.coordinates(half_size_mm)
    x, y, z = _warped(rng, grid, half_size_mm, x, y, z / (stretch * 1.25))
    field = _BUILDERS[family](rng, grid, half_size_mm, (x, y, z), anatomy)
    amplitude = float(rng.choice([0.0, rng.uniform(0.02, 0.07), rng.uniform(0.05, 0.16)], p=[0.15, 0.5, 0.35]))
    if amplitude:
        field = field + amplitude * smooth_noise(rng, grid, half_size_mm * rng.uniform(0.15, 0.7))
    if anatomy is not None and family != "crescent":
        if rng.random() < 0.95:
            field = torch.minimum(field, (rng.uniform(-3, 1.0) - anatomy.outside_mm) / half_size_mm)
        if rng.random() < 0.4:
            field = torch.minimum(field, (rng.uniform(0.45, 0.8) - anatomy.fluid) * rng.uniform(0.3, 0.8))
    return field


def _warped(
    rng: np.random.Generator, grid: PaintGrid, half_size_mm: float, x: Tensor, y: Tensor, z: Tensor
) -> Coordinates:
    """Bend and wobble space, then turn it, so that no shape keeps straight axes."""
    strength = rng.uniform(0, 0.32)
    feature = half_size_mm * rng.uniform(0.6, 1.6)
    x = x + strength * smooth_noise(rng, grid, feature)
    y = y + strength * smooth_noise(rng, grid, feature)
    if rng.random() < 0.35:
        bend = rng.uniform(-0.7, 0.7)
        x = x + bend * (y * y - 0.3)
    theta, phi = rng.uniform(0, math.pi), rng.normal(0, 0.35)
    x, y = x * math.cos(theta) - y * math.sin(theta), x * math.sin(theta) + y * math.cos(theta)
    y, z = y * math.cos(phi) - z * math.sin(phi), y * math.sin(phi) + z * math.cos(phi)
    return x, y, z


def _ellipsoid(coordinates: Coordinates, centre: np.ndarray, radii: np.ndarray) -> Tensor:
    x, y, z = coordinates
    squared = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((z - centre[2]) / radii[2]) ** 2
    return torch.as_tensor((1 - squared.sqrt()) * float(radii.min()))


def _capsule(coordinates: Coordinates, start: np.ndarray, end: np.ndarray, radius: float) -> Tensor:
    x, y, z = coordinates
    direction = end - start
    length = float(direction @ direction) + 1e-6
    along = ((x - start[0]) * direction[0] + (y - start[1]) * direction[1] + (z - start[2]) * direction[2]) / length
    along = along.clamp(0, 1)
    squared = (
        (x - start[0] - along * direction[0]) ** 2
        + (y - start[1] - along * direction[1]) ** 2
        + (z - start[2] - along * direction[2]) ** 2
    )
    return torch.as_tensor(radius * (1 - 0.35 * along) - squared.sqrt())


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.standard_normal(3)
    return np.asarray(vector / np.linalg.norm(vector))


def _compact(
    rng: np.random.Generator, grid: PaintGrid, half: float, xyz: Coordinates, anatomy: Anatomy | None
) -> Tensor:
    radii = np.array([1.0, rng.uniform(0.55, 1.0), rng.uniform(0.6, 1.0)])
    return _ellipsoid(xyz, np.zeros(3), radii)


def _lobed(rng: np.random.Generator, grid: PaintGrid, half: float, xyz: Coordinates, anatomy: Anatomy | None) -> Tensor:
    field = _ellipsoid(xyz, np.zeros(3), rng.uniform(0.4, 0.8, 3))
    for _ in range(int(rng.integers(1, 5))):
        centre = _direction(rng) * rng.uniform(0.35, 0.85)
        field = torch.maximum(field, _ellipsoid(xyz, centre, rng.uniform(0.2, 0.55, 3)))
    return field


def _bridged(
    rng: np.random.Generator, grid: PaintGrid, half: float, xyz: Coordinates, anatomy: Anatomy | None
) -> Tensor:
    centres = [_direction(rng) * rng.uniform(0.45, 0.85)]
    centres.append(-centres[0] * rng.uniform(0.7, 1.1))
    if rng.random() < 0.4:
        centres.append(_direction(rng) * rng.uniform(0.5, 0.9))
    field = _ellipsoid(xyz, centres[0], rng.uniform(0.25, 0.55, 3))
    for previous, centre in itertools.pairwise(centres):
        field = torch.maximum(field, _ellipsoid(xyz, centre, rng.uniform(0.2, 0.5, 3)))
        field = torch.maximum(field, _capsule(xyz, previous, centre, rng.uniform(0.08, 0.3)))
    return field


def _fingers(
    rng: np.random.Generator, grid: PaintGrid, half: float, xyz: Coordinates, anatomy: Anatomy | None
) -> Tensor:
    field = _ellipsoid(xyz, np.zeros(3), rng.uniform(0.35, 0.7, 3))
    for _ in range(int(rng.integers(2, 6))):
        tip = _direction(rng) * rng.uniform(0.7, 1.1)
        field = torch.maximum(field, _capsule(xyz, np.zeros(3), tip, rng.uniform(0.1, 0.3)))
    return field


def _pieces(
    rng: np.random.Generator, grid: PaintGrid, half: float, xyz: Coordinates, anatomy: Anatomy | None
) -> Tensor:
    field = _ellipsoid(xyz, _direction(rng) * rng.uniform(0, 0.45), rng.uniform(0.35, 0.65, 3))
    for _ in range(int(rng.integers(1, 5))):
        field = torch.maximum(
            field, _ellipsoid(xyz, _direction(rng) * rng.uniform(0.6, 1.0), rng.uniform(0.1, 0.38, 3))
        )
    return field


def _infiltrating(
    rng: np.random.Generator, grid: PaintGrid, half: float, xyz: Coordinates, anatomy: Anatomy | None
) -> Tensor:
    """Oedema and glioma follow the white matter and spare cortex and ventricles."""
    assert anatomy is not None
    field = _ellipsoid(xyz, np.zeros(3), np.array([1.0, rng.uniform(0.6, 1), rng.uniform(0.6, 1)]) * 1.05)
    if rng.random() < 0.5:
        field = torch.maximum(field, _ellipsoid(xyz, _direction(rng) * 0.6, rng.uniform(0.3, 0.6, 3)))
    field = field + rng.uniform(0.25, 0.8) * (anatomy.white - rng.uniform(0.5, 0.75))
    field = torch.minimum(field, (rng.uniform(0.35, 0.6) - anatomy.fluid) * 0.7)
    core = _ellipsoid(xyz, np.zeros(3), rng.uniform(0.25, 0.55, 3))
    return torch.maximum(field, core)


def _crescent(
    rng: np.random.Generator, grid: PaintGrid, half: float, xyz: Coordinates, anatomy: Anatomy | None
) -> Tensor:
    """A shell along the brain's surface, thinning towards its ends, as extra-axial blood has."""
    assert anatomy is not None
    x, y, z = xyz
    lens = rng.random() < 0.25
    reach = 1 - (x * x + y * y + z * z).sqrt() / rng.uniform(0.95, 1.25)
    thickest = rng.uniform(7, 26) if lens else rng.uniform(4, 14)
    wobble = 1 + rng.uniform(0, 0.35) * smooth_noise(rng, grid, half * rng.uniform(0.4, 1.0))
    thickness = thickest * reach.clamp(0, 1) ** rng.uniform(0.5, 1.0 if lens else 0.7) * wobble.clamp_min(0.2)
    outer = rng.uniform(1, 5)
    depth = outer - anatomy.outside_mm
    return torch.minimum(torch.minimum(depth, thickness - depth) / half, reach)


_BUILDERS: dict[str, Callable[[np.random.Generator, PaintGrid, float, Coordinates, Anatomy | None], Tensor]] = {
    "compact": _compact,
    "lobed": _lobed,
    "bridged": _bridged,
    "fingers": _fingers,
    "pieces": _pieces,
    "infiltrating": _infiltrating,
    "crescent": _crescent,
}
