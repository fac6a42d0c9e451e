"""Haematoma phantoms on whole scan grids for measuring, never for training: their seeds are kept apart."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hemaview.adaptation.backgrounds import Head, load_heads
from hemaview.adaptation.phantoms.acquisition import degrade, into_slices, slice_matrix, with_noise
from hemaview.adaptation.phantoms.appearance import add_distractors, paint_blood_ct, paint_blood_mr
from hemaview.adaptation.phantoms.fields import PaintGrid, blur_matrix
from hemaview.adaptation.phantoms.samples import without_crumbs
from hemaview.adaptation.phantoms.scene import CONTRASTS, Scene, TissueLevels, anatomy_of, compose, cut_head, vary
from hemaview.adaptation.phantoms.shapes import lesion_field
from hemaview.imaging import Geometry, LabelMap, Modality, Volume

MEDIAN_ML, SIGMA_LOG, LIMITS_ML = 13.0, 1.0, (0.5, 150.0)
"""Volumes are lognormal, near the median and spread of published cohorts of intracerebral haemorrhage."""

FIRST_SEED = 2_000_000
"""Added to the caller's seed; training uses seeds far below."""

_FAMILIES = {"compact": 0.44, "lobed": 0.17, "fingers": 0.14, "pieces": 0.12, "bridged": 0.13}
_CONTRASTS = ("t1", "t2", "flair", "t2star")
_TYPICAL_FILL = 0.36
_MR_SCALE = 700.0


@dataclass(frozen=True)
class HeldOutPlan:
    """What a held-out phantom will be, drawn before it is painted."""

    volume_ml: float
    family: str
    contrast: str
    spacing_mm: tuple[float, float, float]


def held_out_case(seed: int, modality: Modality) -> tuple[Volume, LabelMap]:
    """A head with a haematoma on a scan's grid, and its exact mask; the same seed gives the same phantom.

    The mask holds the voxels of which the clot fills more than half; oedema does not belong to it. The grid covers
    about 2.6 lesion diameters in plane and 1.7 across, slices are 1 to 6 mm apart. ``modality`` is MR (T1, T2, FLAIR
    or T2* at any stage of the blood) or CT (in HU). Needs the training extra. Raises ``HemaviewError`` without it.
    """
    if modality is Modality.UNKNOWN:
        raise ValueError("a phantom is either MR or CT")
    rng = np.random.default_rng((FIRST_SEED + seed, int(modality is Modality.CT)))
    head = _head()
    while True:
        plan = _draw_plan(rng, modality)
        case = _attempt(rng, head, plan, modality, f"phantom {modality.value} {seed}")
        if case is not None:
            return case


@functools.lru_cache(maxsize=1)
def _head() -> Head:
    return load_heads()[0]


def _draw_plan(rng: np.random.Generator, modality: Modality) -> HeldOutPlan:
    volume = float(np.clip(MEDIAN_ML * np.exp(SIGMA_LOG * rng.standard_normal()), *LIMITS_ML))
    family = str(rng.choice(list(_FAMILIES), p=list(_FAMILIES.values())))
    contrast = "ct" if modality is Modality.CT else str(rng.choice(_CONTRASTS))
    pixel = rng.uniform(0.45, 1.0)
    depth = float(rng.choice([1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0]))
    return HeldOutPlan(volume, family, contrast, (pixel, pixel, depth))


def _attempt(
    rng: np.random.Generator, head: Head, plan: HeldOutPlan, modality: Modality, name: str
) -> tuple[Volume, LabelMap] | None:
    ratio = rng.uniform(0.7, 1.1)
    size = float(np.cbrt(1000 * plan.volume_ml / (_TYPICAL_FILL * ratio)))
    pixel, _, depth = plan.spacing_mm
    columns = int(np.clip(np.ceil(2.6 * size / pixel), 40, 224))
    pixel = 2.6 * size / columns
    slices = max(5, int(np.ceil(1.7 * size * ratio / depth)))
    per_slice = max(1, round(depth / max(1.0, size / 40)))
    grid = PaintGrid((slices * per_slice, columns, columns), (slices * depth, 2.6 * size, 2.6 * size))
    scene = _scene(rng, grid, head, plan.contrast)
    field = lesion_field(rng, grid, size / 2, scene.anatomy, plan.family)
    fitted = _with_volume(field, plan.volume_ml, grid)
    if fitted is None:
        return None
    if modality is Modality.CT:
        painted = paint_blood_ct(rng, grid, size / 2, scene.image, fitted, scene.anatomy)
    else:
        painted = paint_blood_mr(rng, grid, size / 2, scene.image, fitted, scene.anatomy, plan.contrast)
    level = float(painted.image[fitted > 0].mean())
    image = add_distractors(rng, grid, size / 2, painted.image, fitted, level)
    matrix = slice_matrix(grid.shape[0], slices)
    mask = without_crumbs((into_slices((fitted > 0).float(), matrix) > 0.5).numpy())
    if not mask.any():
        return None
    image = into_slices(image, matrix)
    geometry = Geometry((columns, columns, slices), (pixel, pixel, depth))
    pixels = _as_hounsfield(rng, image) if modality is Modality.CT else _as_magnitude(rng, image, grid.extent_mm)
    return Volume(pixels, geometry, modality, name), LabelMap(mask, geometry)


def _scene(rng: np.random.Generator, grid: PaintGrid, head: Head, contrast: str) -> Scene:
    deep = head.inside[head.maps[3][tuple(head.inside.T)].numpy() < -8]
    centre = deep[int(rng.integers(len(deep)))]
    maps = cut_head(rng, head, grid, axial=True, centre=centre)
    levels = vary(rng, CONTRASTS[contrast])
    if contrast == "ct":
        grey = CONTRASTS["ct"].grey
        white = grey - rng.uniform(0.03, 0.1)
        levels = TissueLevels(grey, white, grey - rng.uniform(0.25, 0.32), levels.bone, levels.scalp)
    return Scene(compose(rng, grid, maps, levels, with_skull=True), anatomy_of(maps))


def _with_volume(field: Tensor, volume_ml: float, grid: PaintGrid) -> Tensor | None:
    """The level set shifted so that it holds ``volume_ml``; None where that would change its shape too much."""
    cell_ml = float(np.prod(grid.cell_mm)) / 1000
    count = round(volume_ml / cell_ml)
    if not 30 <= count < field.numel() // 3:
        return None
    shift = float(field.flatten().kthvalue(field.numel() - count).values)
    if not -0.25 < shift < 0.2:
        return None
    fitted = field - shift
    inside = fitted > 0
    edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1], inside[:, :, 0], inside[:, :, -1])
    return None if any(bool(edge.any()) for edge in edges) else fitted


def _as_hounsfield(rng: np.random.Generator, image: Tensor) -> np.ndarray:
    """Scene levels (1 = 100 HU, grey matter 37 HU) with dense bone and empty air, blurred and noisy as a CT is."""
    grey = CONTRASTS["ct"].grey
    units = 0.37 + (image - grey) + 12 * (image - 1.0).clamp_min(0)
    units = torch.where(image < 0.1, -10.0, units)
    blur = blur_matrix(image.shape[1], rng.uniform(0.4, 0.9))
    units = blur @ units @ blur.T
    noisy = units + torch.from_numpy(rng.standard_normal(units.shape, dtype=np.float32)) * rng.uniform(0.02, 0.07)
    return np.asarray((noisy * 100).round().clamp(-1024, 3071).to(torch.int16).numpy())


def _as_magnitude(rng: np.random.Generator, image: Tensor, extent_mm: tuple[float, float, float]) -> np.ndarray:
    """Scene levels as an MR scanner stores them: blurred, shaded, Rician noise, whole numbers."""
    degraded = with_noise(rng, degrade(rng, image, extent_mm), 0.005).clamp_min(0)
    return np.asarray((degraded * _MR_SCALE).round().clamp(0, 4095).to(torch.int16).numpy())


__all__ = ["FIRST_SEED", "held_out_case"]
