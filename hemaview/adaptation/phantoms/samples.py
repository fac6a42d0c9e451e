"""Training samples: a lesion with its surroundings on the slices of a made-up scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.adaptation.backgrounds import Head
from hemaview.adaptation.phantoms.acquisition import degrade, into_slices, slice_matrix, to_bytes
from hemaview.adaptation.phantoms.appearance import (
    BLOOD_STAGES,
    Painted,
    add_distractors,
    paint_any,
    paint_blood_ct,
    paint_blood_mr,
    paint_bright_whole,
    paint_clot_with_oedema,
    paint_core,
    paint_extra_axial_ct,
    paint_stroke,
    surrounding_level,
)
from hemaview.adaptation.phantoms.fields import PaintGrid
from hemaview.adaptation.phantoms.scene import (
    CONTRASTS,
    Scene,
    TissueLevels,
    anatomy_of,
    compose,
    cut_head,
    random_curve,
    random_levels,
    texture,
    vary,
)
from hemaview.adaptation.phantoms.shapes import FAMILIES, lesion_field

SAMPLE_SHAPE = (32, 96, 96)
"""Most slices, rows and columns of a stored sample."""

KINDS: dict[str, float] = {
    "whole": 0.25,
    "core": 0.30,
    "blood_ct": 0.15,
    "blood_mr": 0.10,
    "extra_axial": 0.07,
    "stroke": 0.04,
    "oedema": 0.04,
    "any": 0.05,
}
"""Share of each appearance."""

_FAVOURED = {
    ("whole", "infiltrating"): 2.5,
    ("blood_ct", "crescent"): 0.3,
    ("blood_ct", "infiltrating"): 0.3,
    ("core", "infiltrating"): 0.3,
    ("core", "crescent"): 0.3,
    ("core", "pieces"): 1.6,
    ("core", "bridged"): 1.4,
    ("stroke", "infiltrating"): 0.5,
}
"""Which shape families are how many times more common in one kind of lesion than overall."""
_STRIPPED = {
    "whole": 0.45,
    "core": 0.4,
    "blood_ct": 0.1,
    "blood_mr": 0.2,
    "extra_axial": 0.0,
    "stroke": 0.15,
    "oedema": 0.2,
    "any": 0.35,
}
"""How often the skull is taken off; clinical scans of blood and stroke keep it."""
_COVER = 2.1
_CRESCENT_COVER = 1.75
_DEPTH_COVER = 1.65
_AIR_LEVEL = -0.45
"""Air on a CT limited to soft tissue: as far below grey matter as that range allows."""
_MIN_VOXELS = 60
_BONE_FROM = 0.95
"""A CT scene's levels from here on are bone."""
_MIN_SLICES = 5
_FEW_SLICES = 3
_THICKNESS_MM = (1.0, 1.0, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 5.0, 6.0, 6.5, 7.0)


@dataclass(frozen=True, eq=False)
class Sample:
    """``image`` uint8 and ``mask`` bool, both (slices, 96, 96); spacing (slice, row, column) in mm."""

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]
    kind: str


def training_sample(rng: np.random.Generator, heads: Sequence[Head], kinds: Sequence[str] = ()) -> Sample:
    """One sample; lesions that fill their box as ellipsoids do are thinned out to match real lesions.

    ``kinds`` limits the draw to some of ``KINDS``.
    """
    while True:
        sample = _attempt(rng, heads, kinds or tuple(KINDS))
        if sample is None:
            continue
        fill = box_fill(sample.mask)
        few = int(sample.mask.any(axis=(1, 2)).sum()) <= _FEW_SLICES
        if fill < 0.04 or rng.random() > (0.8 if few else keep_probability(fill, sample.kind)):
            continue
        return sample


def keep_probability(fill: float, kind: str) -> float:
    """Chance to keep a lesion that fills this share of its box; tumours lie between .15 and .5, clots near .45."""
    if kind.startswith("blood"):
        return 1.0 if fill > 0.25 else 0.4
    return float(np.clip((0.60 - fill) / 0.2, 0.12, 1.0))


def box_fill(mask: NDArray[np.bool_]) -> float:
    """Share of the mask's bounding box that the mask fills."""
    bounds = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    volume = np.prod([line[-1] - line[0] + 1 for line in bounds])
    return float(mask.sum() / volume)


def _attempt(rng: np.random.Generator, heads: Sequence[Head], kinds: Sequence[str]) -> Sample | None:
    weights = np.array([KINDS[name] for name in kinds])
    kind = str(rng.choice(list(kinds), p=weights / weights.sum()))
    shares = np.array([FAMILIES[name] * _FAVOURED.get((kind, name), 1.0) for name in FAMILIES])
    family = str(rng.choice(list(FAMILIES), p=shares / shares.sum()))
    if kind == "extra_axial":
        family = "crescent"
    crescent = family == "crescent"
    size_mm = float(np.exp(rng.uniform(np.log(13 if kind in ("whole", "core") else 9), np.log(95))))
    if crescent:
        size_mm = float(np.exp(rng.uniform(np.log(35), np.log(130))))
    ratio = rng.uniform(0.6, 1.25)
    thickness = float(rng.choice(_THICKNESS_MM))
    cover = _CRESCENT_COVER if crescent else _COVER
    # A small lesion on thick slices keeps its few slices: the grid grows in depth, not the number of slices.
    depth = max(_DEPTH_COVER * size_mm * ratio, _MIN_SLICES * thickness)
    grid = PaintGrid(SAMPLE_SHAPE, (depth, cover * size_mm, cover * size_mm))
    contrast = _contrast(rng, kind)
    scene = paint_scene(rng, grid, heads, contrast, near_surface=crescent or (kind == "stroke" and rng.random() < 0.6))
    half = size_mm / 2
    field = lesion_field(rng, grid, half, scene.anatomy, family, depth_mm=_DEPTH_COVER * size_mm * ratio)
    if crescent and contrast == "ct":
        field = beside_bone(field, scene)
    if not _fits(field, crescent):
        return None
    painted = paint_lesion(rng, grid, half, scene, field, kind, contrast)
    if not _fits(painted.target, crescent):
        return None
    level = float(painted.image[painted.target > 0].mean()) if bool((painted.target > 0).any()) else 0.5
    image = add_distractors(rng, grid, half, painted.image, painted.target, level)
    slices = int(np.clip(round(grid.extent_mm[0] / thickness), _MIN_SLICES, SAMPLE_SHAPE[0]))
    matrix = slice_matrix(SAMPLE_SHAPE[0], slices, float(rng.choice([1.0, 0.8])))
    mask = without_crumbs((into_slices((painted.target > 0).float(), matrix) > 0.5).numpy())
    if mask.sum() < _MIN_VOXELS or not mask.any(axis=(1, 2)).sum() >= 2:
        return None
    image = degrade(rng, into_slices(image, matrix), grid.extent_mm)
    if scene.anatomy is not None and rng.random() < _STRIPPED[kind]:
        outside = into_slices(scene.anatomy.outside_mm, matrix)
        # Brain extraction cuts at the brain's surface and sets the rest to 0, or to the mean's negative z-score.
        image = torch.where(outside < rng.uniform(-1, 2), image, 0.0 if rng.random() < 0.7 else rng.uniform(-0.5, 0))
    cells = grid.cell_mm
    spacing = (grid.extent_mm[0] / slices, cells[1], cells[2])
    return Sample(to_bytes(rng, image).numpy(), mask, spacing, kind)


def _contrast(rng: np.random.Generator, kind: str) -> str:
    if kind == "whole":
        return str(rng.choice(["flair", "t2", "random"], p=[0.55, 0.3, 0.15]))
    if kind == "core":
        return str(rng.choice(["t1c", "t1", "random"], p=[0.7, 0.2, 0.1]))
    if kind == "blood_ct":
        return "ct"
    if kind == "extra_axial":
        return str(rng.choice(["ct", "flair", "t1"], p=[0.8, 0.1, 0.1]))
    if kind == "blood_mr":
        return str(rng.choice(list(BLOOD_STAGES)))
    if kind == "stroke":
        return str(rng.choice(["dwi", "t2", "flair"], p=[0.45, 0.3, 0.25]))
    if kind == "oedema":
        return str(rng.choice(["ct", "flair", "t2"], p=[0.5, 0.3, 0.2]))
    return "random"


def paint_scene(
    rng: np.random.Generator, grid: PaintGrid, heads: Sequence[Head], contrast: str, *, near_surface: bool = False
) -> Scene:
    """A background of the named contrast: tissue maps recomposed, or a template's own picture with a random curve."""
    if contrast == "random" and rng.random() < 0.25:
        return Scene(texture(rng, grid), None)
    # The CT template's bone is too blurred to tell where blood under it would end.
    own = None if near_surface and contrast == "ct" else _own_picture(rng, heads, contrast)
    head = own if own is not None else heads[int(rng.integers(len(heads))) if rng.random() < 0.3 else 0]
    centres = head.inside
    if near_surface:
        high = centres[:, 0] > np.quantile(centres[:, 0], 0.3)
        centres = centres[(head.maps[3][tuple(centres.T)].numpy() > -12) & high]
    centre = centres[int(rng.integers(len(centres)))]
    maps = cut_head(rng, head, grid, axial=rng.random() < 0.8, centre=centre)
    if own is not None:
        image = maps[0]
        if contrast == "random":
            image = random_curve(rng, image)
        return Scene(image, anatomy_of(maps))
    levels: TissueLevels = random_levels(rng) if contrast == "random" else vary(rng, CONTRASTS[contrast])
    if contrast == "ct":
        white = levels.grey - rng.uniform(0.0, 0.08)
        levels = TissueLevels(levels.grey, white, levels.grey - rng.uniform(0.15, 0.32), levels.bone, levels.scalp)
    with_skull = rng.random() < (0.97 if near_surface and contrast == "ct" else 0.75)
    image = compose(rng, grid, maps, levels, with_skull=with_skull)
    if contrast == "ct" and rng.random() < 0.6:
        image = torch.where(image < 0.1, _AIR_LEVEL, image)
    return Scene(image, anatomy_of(maps))


def _own_picture(rng: np.random.Generator, heads: Sequence[Head], contrast: str) -> Head | None:
    wanted = {"t1": ("t1", "t1 skull"), "t1c": ("t1", "t1 skull"), "ct": ("ct",), "random": ("t1", "t1 skull", "ct")}
    fitting = [head for head in heads if head.kind in wanted.get(contrast, ())]
    if not fitting or rng.random() > 0.45:
        return None
    return fitting[int(rng.integers(len(fitting)))]


def paint_lesion(
    rng: np.random.Generator,
    grid: PaintGrid,
    half: float,
    scene: Scene,
    field: torch.Tensor,
    kind: str,
    contrast: str,
) -> Painted:
    """The scene with a lesion of the named appearance."""
    if kind == "whole":
        return paint_bright_whole(rng, grid, half, scene.image, field, scene.anatomy, faint=contrast == "t2")
    if kind == "stroke":
        return paint_stroke(rng, grid, half, scene.image, field, bright=contrast == "dwi")
    if kind == "oedema":
        return paint_clot_with_oedema(rng, grid, half, scene.image, field, scene.anatomy, contrast)
    if kind == "extra_axial" and contrast == "ct":
        return paint_extra_axial_ct(rng, grid, half, scene.image, field, scene.anatomy)
    if kind == "extra_axial":
        return paint_blood_mr(rng, grid, half, scene.image, field, scene.anatomy, contrast)
    if kind == "core":
        return paint_core(rng, grid, half, scene.image, field, scene.anatomy)
    if kind == "blood_ct":
        return paint_blood_ct(rng, grid, half, scene.image, field, scene.anatomy)
    if kind == "blood_mr":
        return paint_blood_mr(rng, grid, half, scene.image, field, scene.anatomy, contrast)
    return paint_any(rng, grid, half, scene.image, field, scene.anatomy)


def beside_bone(field: torch.Tensor, scene: Scene) -> torch.Tensor:
    """A crescent in one piece that ends where the scene's bone begins, as blood under the skull does."""
    limited = torch.minimum(field, (_BONE_FROM - scene.image) * 0.5)
    labels, count = ndimage.label((limited > 0).numpy())
    if count < 2:
        return limited
    inner = np.ones(labels.shape, np.float32) if scene.anatomy is None else scene.anatomy.outside_mm.numpy() < 3
    largest = int(np.argmax(np.bincount(labels.ravel(), weights=inner.ravel())[1:])) + 1
    others = torch.from_numpy((labels > 0) & (labels != largest))
    return torch.where(others, -limited.abs() - 0.01, limited)


def _fits(field: torch.Tensor, crescent: bool = False) -> bool:
    """Whether the lesion is neither tiny on its grid nor cut off by it."""
    inside = field > 0
    lines = [inside.any(dim=2).any(dim=1), inside.any(dim=2).any(dim=0), inside.any(dim=1).any(dim=0)]
    least = (0.2, 0.1, 0.1) if crescent else (0.15, 0.22, 0.22)
    for line, low, high in zip(lines, least, (0.78, 0.72, 0.72), strict=True):
        found = line.nonzero().flatten()
        if len(found) == 0:
            return False
        share = (int(found[-1]) - int(found[0]) + 1) / len(line)
        if not low <= share <= high or int(found[0]) == 0 or int(found[-1]) == len(line) - 1:
            return False
    return True


def without_crumbs(mask: NDArray[np.bool_], share: float = 0.015) -> NDArray[np.bool_]:
    """The mask without components smaller than ``share`` of the largest."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray((sizes >= max(8, share * sizes.max()))[labels] & mask)


__all__ = ["KINDS", "SAMPLE_SHAPE", "Sample", "box_fill", "surrounding_level", "training_sample"]
