"""Turning training samples into what the two networks see: boxes as a user draws them, crops, mask prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from hemaview.adaptation.phantoms import Sample
from hemaview.adaptation.prompting import correcting_points, random_evidence, spoiled_logits, spoiled_plane
from hemaview.adaptation.shards import Shard
from hemaview.segmentation.compact.crops import (
    OUTSIDE_LOGIT,
    Placement2D,
    Placement3D,
    box_crop_2d,
    box_crop_3d,
    coarse_prompt,
    place_3d,
    sample_3d,
)
from hemaview.segmentation.compact.tiny_sam import Points
from hemaview.segmentation.guided.components import slice_rectangles

OPEN_SHARE = 0.2
"""Share of coarse samples whose depth is only guessed."""
JITTER = (0.02, 0.06, 0.11)
"""How far a side of a slice's box may lie from the lesion's, as a share of the box, inwards and outwards."""
LEAST_AREA = 12
"""Pixels that a slice's lesion has at least to be asked about."""
_WIDER_SHARE = 0.6
"""Share of tumour cores whose mask is widened by a pixel in the plane: readers draw outside of what shines."""
_CROSS = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], dtype=np.bool_)


class CoarseModel(Protocol):
    """(B, 2 or 3, 24, 48, 48) crops to (B, 24, 48, 48) logits."""

    def __call__(self, crops: Tensor) -> Tensor:
        """Logits of a batch."""
        ...


FineModel = Callable[[Tensor, Tensor, Tensor | None, Points | None], tuple[Tensor, Tensor]]
"""Crops, boxes, mask prompts and points to the fine network's logits and estimated IoU."""


@dataclass(frozen=True, eq=False)
class FineBatch:
    """Crops (B, 1, 96, 96), boxes (B, 4), target masks (B, 1, 96, 96), and mask prompts and points or None."""

    crops: Tensor
    boxes: Tensor
    targets: Tensor
    prompts: Tensor | None
    points: Points | None = None


def draw(rng: np.random.Generator, shards: Sequence[Shard]) -> Sample:
    """A random stored sample, turned and mirrored at random, one in 32 with its greys reversed."""
    shard = shards[int(rng.integers(len(shards)))]
    sample = shard[int(rng.integers(len(shard)))]
    image, mask = sample.image, sample.mask
    if sample.kind == "core" and rng.random() < _WIDER_SHARE:
        mask = ndimage.binary_dilation(mask, structure=_CROSS)
    quarter = int(rng.integers(4))
    image, mask = np.rot90(image, quarter, (1, 2)), np.rot90(mask, quarter, (1, 2))
    for axis in range(3):
        if rng.random() < 0.5:
            image, mask = np.flip(image, axis), np.flip(mask, axis)
    if rng.random() < 1 / 32:
        image = 255 - image
    return Sample(np.ascontiguousarray(image), np.ascontiguousarray(mask), sample.spacing_mm, sample.kind)


def mask_faces(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper faces of a mask's bounding box in voxel positions, one entry per array axis."""
    lower, upper = [], []
    for axis in range(mask.ndim):
        line = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        lower.append(line[0] - 0.5)
        upper.append(line[-1] + 0.5)
    return np.array(lower), np.array(upper)


def moved(
    rng: np.random.Generator, lower: NDArray[np.float64], upper: NDArray[np.float64], share: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A box with every face moved by up to ``share`` of its side."""
    extent = upper - lower
    return (
        lower + rng.uniform(-share, share, len(lower)) * extent,
        upper + rng.uniform(-share, share, len(upper)) * extent,
    )


def coarse_batch(
    rng: np.random.Generator,
    shards: Sequence[Shard],
    size: int,
    answer: CoarseModel | None = None,
    *,
    told: float = 0.5,
) -> tuple[Tensor, Tensor]:
    """Crops (size, 3, 24, 48, 48) and soft targets (size, 24, 48, 48).

    A share ``told`` of the items holds evidence; its points lie where ``answer`` (the network itself, when given) or
    a spoiled truth is wrong.
    """
    items = [coarse_item(rng, sample) for sample in (draw(rng, shards) for _ in range(size))]
    crops = torch.stack([crop for crop, _, _ in items])
    targets = torch.stack([target for _, target, _ in items])
    guesses = None
    if answer is not None:
        with torch.no_grad():
            guesses = answer(crops)
    channels = []
    for number, (_, target, placement) in enumerate(items):
        guess = None if guesses is None else guesses[number]
        channels.append(
            random_evidence(rng, target, placement, guess) if rng.random() < told else torch.zeros_like(target)
        )
    return torch.cat([crops, torch.stack(channels)[:, None]], dim=1), targets


def coarse_item(
    rng: np.random.Generator, sample: Sample, *, open_share: float = OPEN_SHARE
) -> tuple[Tensor, Tensor, Placement3D]:
    """One coarse crop with its soft target and placement; the box is moved, its depth sometimes unknown."""
    lower, upper = mask_faces(sample.mask)
    open_axis = None
    if rng.random() < open_share:
        open_axis = int(rng.choice(3, p=[0.7, 0.15, 0.15]))
        lower, upper = _open_box(rng, sample, open_axis)
    lower, upper = moved(rng, lower, upper, float(rng.choice([0.03, 0.07, 0.11])))
    image = torch.from_numpy(sample.image.astype(np.float32))
    crop, placement = box_crop_3d(image, lower.tolist(), upper.tolist(), open_axis)
    return crop, sample_3d(torch.from_numpy(sample.mask.astype(np.float32)), placement), placement


def _open_box(rng: np.random.Generator, sample: Sample, axis: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A rectangle round the lesion on one of its larger slices, with ``from_rectangle``'s guess of the depth."""
    areas = sample.mask.sum(axis=tuple(a for a in range(3) if a != axis))
    candidates = np.flatnonzero(areas >= 0.5 * areas.max())
    index = int(rng.choice(candidates))
    low, high = mask_faces(np.take(sample.mask, index, axis=axis))
    others = [a for a in range(3) if a != axis]
    sides = (high - low) * np.array(sample.spacing_mm)[others]
    half = max(0.5, float(sides.mean()) / sample.spacing_mm[axis] / 2) * rng.uniform(0.7, 1.4)
    return np.insert(low, axis, index - half), np.insert(high, axis, index + half)


def cut_2d(mask: Tensor, placement: Placement2D) -> Tensor:
    """A (rows, columns) mask resampled to a fine crop's pixels."""
    rows = placement.rows.sampling_matrix(mask.shape[0])
    return rows @ mask @ placement.columns.sampling_matrix(mask.shape[1]).T


def box_batch(rng: np.random.Generator, shards: Sequence[Shard], size: int) -> FineBatch:
    """Fine samples whose only prompt is a box round a slice's lesion, one of its pieces, or the whole lesion's box."""
    items: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
    while len(items) < size:
        sample = draw(rng, shards)
        k = _pick_slice(rng, sample.mask)
        if k is None:
            continue
        lower, upper = slice_faces(rng, sample.mask, k)
        items.append(_fine_item(rng, sample, k, lower, upper, None))
    return _collate(items)


def prompted_batch(
    rng: np.random.Generator, shards: Sequence[Shard], size: int, coarse: CoarseModel | None
) -> FineBatch:
    """Fine samples with a box and a mask prompt.

    With ``coarse`` both come from its answer, as they do in use, including slices where it sees something that is
    not there. Without it the prompt is the truth made coarse, shifted and noisy.
    """
    items: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
    while len(items) < size:
        sample = draw(rng, shards)
        if coarse is None:
            items += _items_from_truth(rng, sample, 2)
        else:
            items += _items_from_coarse(rng, sample, 5, coarse)
    return _collate(items[:size])


def fine_question(rng: np.random.Generator, sample: Sample) -> FineBatch | None:
    """One slice of a sample with a box of up to 5 % error round its lesion; None where the lesion is too small."""
    k = _pick_slice(rng, sample.mask)
    if k is None:
        return None
    lower, upper = moved(rng, *mask_faces(sample.mask[k]), 0.05)
    return _collate([_fine_item(rng, sample, k, lower, upper, None)])


def hinted_batch(rng: np.random.Generator, sample: Sample, coarse: CoarseModel) -> FineBatch | None:
    """Up to 3 slices of a sample asked as in use: boxes and mask prompts from the coarse answer; None without any."""
    items = _items_from_coarse(rng, sample, 3, coarse)
    return _collate(items) if items else None


def _items_from_truth(
    rng: np.random.Generator, sample: Sample, count: int
) -> list[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    _, truth, placement = coarse_item(rng, sample, open_share=0.0)
    logits = spoiled_logits(rng, truth)
    items = []
    for _ in range(count):
        k = _pick_slice(rng, sample.mask)
        if k is not None:
            lower, upper = slice_faces(rng, sample.mask, k, whole_share=0.05)
            items.append(_fine_item(rng, sample, k, lower, upper, (logits, placement)))
    return items


def _items_from_coarse(
    rng: np.random.Generator, sample: Sample, count: int, coarse: CoarseModel
) -> list[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    crop, _, placement = coarse_item(rng, sample, open_share=0.05)
    with torch.inference_mode():
        logits = coarse(crop[None])[0]
        everything = (slice(0, sample.mask.shape[0]), slice(0, sample.mask.shape[1]), slice(0, sample.mask.shape[2]))
        found = (place_3d(logits, placement, everything, OUTSIDE_LOGIT) > 0).numpy()
    logits = logits.clone()
    slices = np.flatnonzero(found.any(axis=(1, 2)))
    items = []
    for k in rng.permutation(slices)[:count]:
        rectangles = slice_rectangles(found[k], grow=rng.uniform(0, 2.5))
        x0, y0, x1, y1 = rectangles[0 if rng.random() < 0.7 else int(rng.integers(len(rectangles)))]
        if min(x1 - x0, y1 - y0) < 3:
            continue
        lower, upper = np.array([y0, x0]), np.array([y1, x1])
        items.append(_fine_item(rng, sample, int(k), lower, upper, (logits, placement)))
    return items


def with_points(rng: np.random.Generator, batch: FineBatch, model: FineModel | None) -> FineBatch:
    """The batch with 1 to 4 points per item and, half of the time, an answer to be corrected as its mask prompt.

    With ``model`` the points lie where its own answer to the batch is wrong, and that answer may become the mask
    prompt, as in segment-anything's iterative training; without it the answer is the truth spoiled.
    """
    if model is None:
        guess = torch.stack([spoiled_plane(rng, target) for target in batch.targets])
    else:
        with torch.no_grad():
            guess = model(batch.crops, batch.boxes, batch.prompts, None)[0]
    coordinates, labels = correcting_points(rng, guess, batch.targets, batch.boxes)
    prompts = batch.prompts
    if rng.random() < 0.5:
        prompts = guess
    return FineBatch(batch.crops, batch.boxes, batch.targets, prompts, (coordinates, labels))


def _pick_slice(rng: np.random.Generator, mask: NDArray[np.bool_]) -> int | None:
    areas = mask.sum(axis=(1, 2))
    candidates = np.flatnonzero(areas >= LEAST_AREA)
    return int(rng.choice(candidates)) if len(candidates) else None


def slice_faces(
    rng: np.random.Generator, mask: NDArray[np.bool_], k: int, whole_share: float = 0.15
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Faces (rows, columns) of a box on slice ``k``: the slice's lesion, one piece of it, or the 3D box's rectangle."""
    if rng.random() < whole_share:
        lower, upper = mask_faces(mask)
        lower, upper = lower[1:], upper[1:]
    else:
        picture = mask[k]
        labels, count = ndimage.label(picture, structure=np.ones((3, 3)))
        if count > 1 and rng.random() < 0.6:
            sizes = np.bincount(labels.ravel())[1:]
            sizes = np.where(sizes >= LEAST_AREA, sizes, 0)
            if sizes.sum():
                picture = labels == 1 + int(rng.choice(count, p=sizes / sizes.sum()))
        lower, upper = mask_faces(picture)
    return moved(rng, lower, upper, float(rng.choice(JITTER)))


def _fine_item(
    rng: np.random.Generator,
    sample: Sample,
    k: int,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    hint: tuple[Tensor, Placement3D] | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    image = torch.from_numpy(sample.image[k].astype(np.float32))
    box = (float(lower[1]), float(lower[0]), float(upper[1]), float(upper[0]))
    # Zooming by a few per cent makes up for the fixed share that the crop shows round the box.
    crop, crop_box, placement = box_crop_2d(image, box, context=1.8 * rng.uniform(0.95, 1.05))
    # What lies well outside the box is another lesion or another piece: not what this box asks for.
    margin = 0.15 * (upper - lower) + 1
    near = np.zeros_like(sample.mask[k])
    first = np.maximum(np.ceil(lower - margin), 0).astype(int)
    last = np.floor(upper + margin).astype(int) + 1
    near[first[0] : last[0], first[1] : last[1]] = True
    target = cut_2d(torch.from_numpy((sample.mask[k] & near).astype(np.float32)), placement)[None]
    if rng.random() < 0.15:
        crop = crop + torch.from_numpy(rng.standard_normal(crop.shape, dtype=np.float32)) * rng.uniform(0, 0.25)
    prompt = None if hint is None else coarse_prompt(hint[0], hint[1], placement, k)
    return crop, crop_box, target, prompt


def _collate(items: Sequence[tuple[Tensor, Tensor, Tensor, Tensor | None]]) -> FineBatch:
    prompts = [prompt for _, _, _, prompt in items if prompt is not None]
    return FineBatch(
        torch.stack([item[0] for item in items]),
        torch.stack([item[1] for item in items]),
        torch.stack([item[2] for item in items]),
        torch.stack(prompts) if prompts else None,
    )
