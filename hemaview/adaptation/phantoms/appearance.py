"""What a lesion looks like: painting a level set into a scene, with oedema, rings, levels and distractors.

Levels are offsets from the tissue round the lesion on the scene's scale (brightest tissue about 1). The blood stages
follow the usual order of haemoglobin breakdown (hyperacute to chronic); on CT 100 HU count as 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hemaview.adaptation.phantoms.fields import PaintGrid, smooth_noise
from hemaview.adaptation.phantoms.shapes import Anatomy


@dataclass(frozen=True, eq=False)
class Painted:
    """The scene with its lesion, and the level set of the target: what counts as lesion is where it is positive."""

    image: Tensor
    target: Tensor


@dataclass(frozen=True)
class BloodStage:
    """Offsets of a clot's core, rim and surrounding oedema from the tissue round it (tissue = 1)."""

    core: tuple[float, float]
    rim: tuple[float, float]
    oedema: tuple[float, float]


BLOOD_STAGES: dict[str, tuple[BloodStage, ...]] = {
    "t1": (
        BloodStage((-0.10, 0.02), (-0.05, 0.05), (-0.18, -0.05)),
        BloodStage((-0.20, 0.00), (0.0, 0.10), (-0.20, -0.05)),
        BloodStage((-0.10, 0.30), (0.30, 0.80), (-0.20, -0.05)),
        BloodStage((0.40, 0.90), (0.50, 0.90), (-0.15, 0.0)),
        BloodStage((-0.40, -0.10), (-0.30, 0.0), (-0.10, 0.0)),
    ),
    "t2": (
        BloodStage((0.20, 0.70), (-0.10, 0.50), (0.20, 0.60)),
        BloodStage((-0.60, -0.25), (-0.60, -0.25), (0.30, 0.70)),
        BloodStage((-0.65, -0.30), (-0.60, -0.20), (0.30, 0.70)),
        BloodStage((0.50, 1.10), (0.30, 0.90), (0.15, 0.50)),
        BloodStage((0.40, 1.10), (-0.75, -0.40), (0.0, 0.10)),
    ),
    "flair": (
        BloodStage((0.15, 0.55), (0.0, 0.40), (0.25, 0.60)),
        BloodStage((-0.55, -0.20), (-0.50, -0.10), (0.35, 0.70)),
        BloodStage((-0.60, -0.20), (-0.50, 0.10), (0.35, 0.70)),
        BloodStage((0.35, 0.90), (0.30, 0.90), (0.15, 0.50)),
        BloodStage((-0.50, -0.10), (-0.75, -0.40), (0.0, 0.10)),
    ),
    "t2star": (
        BloodStage((-0.35, 0.30), (-0.90, -0.60), (0.05, 0.30)),
        BloodStage((-0.90, -0.50), (-0.95, -0.65), (0.05, 0.40)),
        BloodStage((-0.90, -0.50), (-0.95, -0.65), (0.05, 0.40)),
        BloodStage((0.10, 0.70), (-0.95, -0.60), (0.0, 0.30)),
        BloodStage((-0.95, -0.50), (-0.95, -0.70), (0.0, 0.05)),
    ),
    "dwi": (
        BloodStage((0.40, 1.20), (0.10, 0.90), (-0.05, 0.15)),
        BloodStage((-0.65, -0.25), (-0.65, -0.10), (0.0, 0.25)),
        BloodStage((-0.65, -0.25), (-0.65, -0.10), (0.0, 0.25)),
        BloodStage((0.40, 1.30), (0.20, 0.90), (-0.05, 0.15)),
        BloodStage((-0.75, -0.30), (-0.80, -0.40), (-0.05, 0.05)),
    ),
}
"""Per contrast: hyperacute, acute, early subacute, late subacute, chronic."""


def surrounding_level(image: Tensor, field: Tensor) -> float:
    """Mean of the shell round the lesion."""
    shell = (field < -0.04) & (field > -0.3)
    return float(image[shell].mean()) if bool(shell.any()) else float(image.mean())


def brain_level(image: Tensor, field: Tensor, anatomy: Anatomy | None) -> float:
    """Mean of the shell round the lesion as far as it lies in the brain: bone and scalp say nothing about blood."""
    if anatomy is None:
        return surrounding_level(image, field)
    shell = (field < -0.04) & (field > -0.5) & (anatomy.outside_mm < -1.5)
    return float(image[shell].mean()) if bool(shell.any()) else surrounding_level(image, field)


def cover(field: Tensor, softness: float) -> Tensor:
    """How much of a cell the lesion covers, 0 to 1, across an edge ``softness`` wide."""
    return torch.sigmoid(field * (4 / softness))


def oedema(
    rng: np.random.Generator,
    grid: PaintGrid,
    half: float,
    image: Tensor,
    field: Tensor,
    anatomy: Anatomy | None,
    offset: float,
    width: float,
) -> tuple[Tensor, Tensor]:
    """Paint a soft irregular shell of ``width`` (in half sizes) round the lesion; returns image and level set."""
    shell = field + width * (0.75 + 0.35 * smooth_noise(rng, grid, half * rng.uniform(0.3, 0.8)))
    if anatomy is not None:
        shell = shell + width * rng.uniform(0.3, 1.2) * (anatomy.white - 0.6)
        shell = torch.minimum(shell, (0.5 - anatomy.fluid) * 0.7)
        shell = torch.minimum(shell, -anatomy.outside_mm / half)
    shell = torch.maximum(shell, field)
    weight = cover(shell, rng.uniform(0.08, 0.4)) * rng.uniform(0.7, 1.0)
    level = surrounding_level(image, shell) + offset
    keep = rng.uniform(0, 0.5)
    return image * (1 - weight) + weight * (level * (1 - keep) + keep * (image + offset)), shell


def paint_bright_whole(
    rng: np.random.Generator,
    grid: PaintGrid,
    half: float,
    image: Tensor,
    field: Tensor,
    anatomy: Anatomy | None,
    *,
    faint: bool = False,
) -> Painted:
    """A whole tumour as FLAIR and T2 show it: bright swelling that keeps some anatomy, often with a different core.

    ``faint`` keeps it darker than fluid, as T2 does.
    """
    offset = rng.uniform(0.08, 0.4) if faint else rng.uniform(0.1, 0.6)
    base = surrounding_level(image, field)
    # The swelling fades outwards: its margin may have little more than a quarter of the full contrast.
    most = 0.72 if offset > 0.25 else 0.45
    fading = 1 - rng.uniform(0, most) * torch.exp(-field.clamp_min(0) / rng.uniform(0.1, 0.4))
    keep = rng.uniform(0, 0.6)
    inside = base + offset * fading + keep * (image - base)
    inside = inside + rng.uniform(0, 0.08) * smooth_noise(rng, grid, half * rng.uniform(0.15, 0.8))
    if rng.random() < 0.65:
        core = field - rng.uniform(0.12, 0.5) + rng.uniform(0.05, 0.2) * smooth_noise(rng, grid, half * 0.6)
        level = base + (rng.uniform(-0.35, 0.25) if rng.random() < 0.6 else offset * rng.uniform(0.5, 1.6))
        weight = cover(core, rng.uniform(0.05, 0.3)) * rng.uniform(0.5, 1)
        inside = inside * (1 - weight) + level * weight
    softness = float(np.exp(rng.uniform(np.log(0.04), np.log(0.4))))
    # A reader draws the swelling where it begins, not where it is half as bright as within.
    weight = cover(field - softness * rng.uniform(0, 0.3), softness)
    return Painted(image * (1 - weight) + inside * weight, field)


def paint_core(
    rng: np.random.Generator, grid: PaintGrid, half: float, image: Tensor, field: Tensor, anatomy: Anatomy | None
) -> Painted:
    """A tumour core as T1 with contrast shows it: bright rim, dim necrosis inside that belongs to the target."""
    base = surrounding_level(image, field)
    if rng.random() < 0.75:
        image, _ = oedema(rng, grid, half, image, field, anatomy, rng.uniform(-0.2, 0.08), rng.uniform(0.15, 0.9))
    bright = base + rng.uniform(0.15, 0.7)
    dim = base + rng.uniform(-0.38, 0.08)
    width = rng.uniform(0.05, 0.28)
    # Readers draw round what enhances, its dim outer part included: the target is a little wider than what is seen.
    wider = float(rng.choice([0.0, rng.uniform(0, 0.05), rng.uniform(0.05, 0.16)], p=[0.25, 0.5, 0.25]))
    seen = field - wider
    wobble = smooth_noise(rng, grid, half * rng.uniform(0.25, 0.8))
    style = rng.choice(["ring", "cells", "patchy", "part", "solid", "faint"], p=[0.40, 0.13, 0.14, 0.13, 0.12, 0.08])
    if style == "ring":
        lit = cover(width * (1 + 0.5 * wobble) - seen, width)
        if rng.random() < 0.5:
            gaps = smooth_noise(rng, grid, half * rng.uniform(0.5, 1.2))
            lit = lit * torch.sigmoid(4 * (gaps + rng.uniform(0.0, 1.2)))
    elif style == "cells":
        walls = cover(rng.uniform(0.15, 0.4) - wobble.abs(), 0.4)
        lit = torch.maximum(walls, cover(width - seen, width))
    elif style == "patchy":
        lit = torch.sigmoid(rng.uniform(2, 8) * (wobble + rng.uniform(-0.6, 0.8)))
    elif style == "part":
        # Only a part takes up contrast; the rest of the tumour is told from the brain by little.
        gaps = smooth_noise(rng, grid, half * rng.uniform(0.6, 1.4))
        lit = torch.sigmoid(rng.uniform(4, 12) * (gaps + rng.uniform(-0.5, 0.7)))
        dim = base + rng.uniform(-0.16, 0.06)
    elif style == "solid":
        lit = 1 - rng.uniform(0, 0.4) * torch.sigmoid(2 * wobble)
    else:
        lit = rng.uniform(0.1, 0.4) * torch.sigmoid(2 * wobble)
    inside = bright * lit + dim * (1 - lit)
    inside = inside + rng.uniform(0, 0.05) * smooth_noise(rng, grid, half * rng.uniform(0.1, 0.4))
    weight = cover(seen, rng.uniform(0.03, 0.16))
    painted = image * (1 - weight) + inside * weight
    if wider > 0.05 and rng.random() < 0.6:
        rim = cover(field, 0.1) * (1 - weight) * rng.uniform(0.05, 0.35)
        painted = painted * (1 - rim) + bright * rim
    return Painted(painted, field)


def paint_blood_mr(
    rng: np.random.Generator,
    grid: PaintGrid,
    half: float,
    image: Tensor,
    field: Tensor,
    anatomy: Anatomy | None,
    contrast: str,
) -> Painted:
    """A haematoma on MR at one of five stages; the target is the clot without its oedema."""
    number = int(rng.integers(5))
    stage = BLOOD_STAGES[contrast][number]
    # Blood ages from the rim inwards: the rim may be a stage ahead of the core.
    older = BLOOD_STAGES[contrast][min(4, number + int(rng.random() < 0.35))]
    base = brain_level(image, field, anatomy)
    if rng.random() < 0.8:
        image, _ = oedema(
            rng, grid, half, image, field, anatomy, base * rng.uniform(*stage.oedema), rng.uniform(0.08, 0.6)
        )
    core, rim = base * (1 + rng.uniform(*stage.core)), base * (1 + rng.uniform(*older.rim))
    wobble = smooth_noise(rng, grid, half * rng.uniform(0.3, 1.0))
    width = rng.uniform(0.05, 0.4)
    lit = cover(width * (1 + 0.5 * wobble) - field, width * rng.uniform(0.5, 2))
    inside = rim * lit + core * (1 - lit)
    inside = inside + base * rng.uniform(0, 0.12) * smooth_noise(rng, grid, half * rng.uniform(0.15, 0.6))
    if rng.random() < 0.12:
        inside = _with_level(rng, grid, half, inside, base * rng.uniform(-0.4, 0.4))
    seen = field
    if contrast == "t2star" and rim < base:
        # Iron darkens the tissue beside it; the clot itself is no larger for that.
        seen = field + min(rng.uniform(0, 3.0) / half, 0.15)
    weight = cover(seen, rng.uniform(0.03, 0.2))
    painted = image * (1 - weight) + inside * weight
    # Without contrast against both its oedema and the brain, the edge would be a guess.
    outside = brain_level(painted, seen, anatomy)
    if abs(rim - outside) < 0.07 and abs(core - outside) < 0.07:
        painted = painted + weight * float(rng.choice([-1.0, 1.0])) * rng.uniform(0.12, 0.3)
    return Painted(painted, field)


def paint_blood_ct(
    rng: np.random.Generator, grid: PaintGrid, half: float, image: Tensor, field: Tensor, anatomy: Anatomy | None
) -> Painted:
    """A fresh clot on CT: 15 to 45 HU above the brain, its oedema 5 to 20 HU below."""
    base = brain_level(image, field, anatomy)
    if rng.random() < 0.7:
        image, _ = oedema(rng, grid, half, image, field, anatomy, -rng.uniform(0.04, 0.2), rng.uniform(0.08, 0.6))
    offset = rng.uniform(0.15, 0.45)
    inside = base + offset * (1 - rng.uniform(0, 0.35) * torch.exp(-field.clamp_min(0) / 0.15))
    if rng.random() < 0.45:
        swirl = torch.sigmoid(rng.uniform(2, 6) * smooth_noise(rng, grid, half * rng.uniform(0.25, 0.8)))
        inside = inside - offset * rng.uniform(0.1, 0.5) * swirl
    if rng.random() < 0.06:
        inside = _with_level(rng, grid, half, inside, -offset * rng.uniform(0.4, 0.8))
    weight = cover(field, rng.uniform(0.03, 0.22))
    return Painted(image * (1 - weight) + inside * weight, field)


def paint_extra_axial_ct(
    rng: np.random.Generator, grid: PaintGrid, half: float, image: Tensor, field: Tensor, anatomy: Anatomy | None
) -> Painted:
    """Blood between bone and brain on CT: fresh and bright, mixed, or old and as dark as fluid."""
    base = brain_level(image, field, anatomy)
    age = rng.choice(["fresh", "mixed", "old"], p=[0.72, 0.18, 0.1])
    offset = -rng.uniform(0.08, 0.2) if age == "old" else rng.uniform(0.07, 0.38)
    inside = base + offset + 0.03 * smooth_noise(rng, grid, half * rng.uniform(0.15, 0.5))
    if age == "mixed":
        swirl = torch.sigmoid(rng.uniform(2, 6) * smooth_noise(rng, grid, half * rng.uniform(0.25, 0.8)))
        inside = inside - offset * rng.uniform(0.4, 1.2) * swirl
    weight = cover(field, rng.uniform(0.02, 0.08))
    return Painted(image * (1 - weight) + inside * weight, field)


def paint_stroke(
    rng: np.random.Generator, grid: PaintGrid, half: float, image: Tensor, field: Tensor, *, bright: bool
) -> Painted:
    """An infarct: grey and white matter alike swollen and bright, very bright where diffusion shows it."""
    base = surrounding_level(image, field)
    offset = rng.uniform(0.25, 0.9) if bright else rng.uniform(0.08, 0.4)
    wobble = smooth_noise(rng, grid, half * rng.uniform(0.3, 0.9))
    inside = (
        base + offset * (1 - rng.uniform(0, 0.5) * torch.sigmoid(2 * wobble)) + rng.uniform(0, 0.5) * (image - base)
    )
    softness = rng.uniform(0.04, 0.3)
    weight = cover(field - softness * rng.uniform(0, 0.25), softness)
    return Painted(image * (1 - weight) + inside * weight, field)


def paint_clot_with_oedema(
    rng: np.random.Generator,
    grid: PaintGrid,
    half: float,
    image: Tensor,
    field: Tensor,
    anatomy: Anatomy | None,
    contrast: str,
) -> Painted:
    """A haematoma whose box was drawn round its oedema: clot and oedema together are the target."""
    width = rng.uniform(0.15, 0.5)
    clot = field - width
    base = brain_level(image, field, anatomy)
    offset = -rng.uniform(0.08, 0.24) if contrast == "ct" else rng.uniform(0.12, 0.4)
    image, shell = oedema(rng, grid, half, image, clot, anatomy, offset, width)
    target = torch.maximum(torch.minimum(shell, field + 0.15), clot)
    level = rng.uniform(0.15, 0.45) if contrast == "ct" else base * rng.uniform(-0.6, 0.5)
    inside = base + level + 0.04 * smooth_noise(rng, grid, half * rng.uniform(0.15, 0.6))
    weight = cover(clot, rng.uniform(0.03, 0.2))
    return Painted(image * (1 - weight) + inside * weight, target)


def paint_any(
    rng: np.random.Generator, grid: PaintGrid, half: float, image: Tensor, field: Tensor, anatomy: Anatomy | None
) -> Painted:
    """A lesion of any brightness, layered, mixed or with a halo that may belong to the target."""
    base = surrounding_level(image, field)

    def contrasting() -> float:
        offset = rng.uniform(0.12, 0.6) * (1 if rng.random() < 0.6 else -1)
        return base + offset if -0.1 < base + offset < 1.4 else base - offset

    first, second = contrasting(), contrasting()
    target = field
    if rng.random() < 0.5:
        image, halo = oedema(rng, grid, half, image, field, anatomy, second - base, rng.uniform(0.12, 0.6))
        if rng.random() < 0.35:
            target = halo
    wobble = smooth_noise(rng, grid, half * rng.uniform(0.3, 0.9))
    style = rng.choice(["flat", "mixed", "layered", "level"], p=[0.4, 0.3, 0.22, 0.08])
    if style == "flat":
        inside = first + rng.uniform(0, 0.06) * wobble
    elif style == "mixed":
        lit = torch.sigmoid(rng.uniform(2, 6) * wobble)
        inside = first * lit + (base + rng.uniform(-0.5, 0.5)) * (1 - lit)
    elif style == "layered":
        lit = cover(rng.uniform(0.05, 0.4) + 0.05 * wobble - field, 0.1)
        inside = first * lit + (base + rng.uniform(-0.5, 0.5)) * (1 - lit)
    else:
        inside = _with_level(rng, grid, half, first + 0.03 * wobble, rng.uniform(-0.3, 0.3))
    weight = cover(field, rng.uniform(0.03, 0.25)) * rng.uniform(0.75, 1)
    return Painted(image * (1 - weight) + inside * weight, target)


def add_distractors(
    rng: np.random.Generator, grid: PaintGrid, half: float, image: Tensor, target: Tensor, level: float
) -> Tensor:
    """Blobs and vessels outside the target, often as bright as the lesion itself."""
    z, y, x = grid.coordinates(half)
    free = cover(-target - 0.08, 0.08)
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.45, 0.25, 0.18, 0.12]))):
        centre = rng.uniform(-1.4, 1.4, 3)
        radii = rng.uniform(0.06, 0.4) * rng.uniform(0.4, 1, 3)
        if rng.random() < 0.3:
            radii[int(rng.integers(3))] *= 4
        distance = (
            ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((z - centre[2]) / radii[2]) ** 2
        ).sqrt()
        weight = torch.sigmoid((1 - distance) * 8) * free * rng.uniform(0.5, 1)
        own = level + rng.normal(0, 0.08) if rng.random() < 0.65 else rng.uniform(0, 1.1)
        image = image * (1 - weight) + own * weight
    return image


def _with_level(rng: np.random.Generator, grid: PaintGrid, half: float, inside: Tensor, step: float) -> Tensor:
    """A fluid level: below a plane that lies across the back of the lesion, the signal steps."""
    _, y, _ = grid.coordinates(half)
    return inside + step * torch.sigmoid((y - rng.uniform(-0.3, 0.3)) * 40)
