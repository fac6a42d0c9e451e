"""Random crops of a slice set, with the answer or without it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hemaview.adaptation.unsupervised.slices import SliceSet

CROP = 48
"""Rows and columns of a crop in pixels of 2 mm."""


def unlabelled_crops(rng: np.random.Generator, slices: SliceSet, count: int) -> Tensor:
    """(count, C, 48, 48) crops of slices drawn without a look at their truth."""
    chosen = rng.integers(len(slices), size=count)
    return torch.cat([_crop(rng, slices.images[int(i) : int(i) + 1])[0] for i in chosen])


def crops_in_turn(rng: np.random.Generator, slices: SliceSet, batch: int, passes: int) -> Iterator[Tensor]:
    """Every slice ``passes`` times in random order, one random crop each, in batches of at most ``batch``."""
    order = np.concatenate([rng.permutation(len(slices)) for _ in range(passes)])
    for start in range(0, len(order), batch):
        yield torch.cat([_crop(rng, slices.images[int(i) : int(i) + 1])[0] for i in order[start : start + batch]])


def labelled_crops(rng: np.random.Generator, slices: SliceSet, count: int) -> tuple[Tensor, Tensor]:
    """Crops and their truth at 2 mm (share of each pixel, 0 to 1)."""
    images, truths = [], []
    for n in rng.integers(len(slices), size=count):
        truth = F.avg_pool2d(torch.from_numpy(slices.truths[n]).float()[None, None], 2)
        image, cut = _crop(rng, slices.images[int(n) : int(n) + 1], truth)
        images.append(image)
        truths.append(cut)
    return torch.cat(images), torch.cat(truths)


def _crop(rng: np.random.Generator, image: Tensor, truth: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """One window of both round the box's centre, mirrored in half of the cases; twice the image without a truth."""
    starts = []
    for axis in (0, 1):
        inside = torch.nonzero(image[0, 1].any(1 - axis)).flatten()
        centre, size = int(inside.float().mean()), image.shape[2 + axis]
        lowest = max(0, min(centre - CROP + 6, size - CROP))
        starts.append(int(rng.integers(lowest, max(lowest, min(centre - 6, size - CROP)) + 1)))
    row, column = starts
    window = np.s_[..., row : row + CROP, column : column + CROP]
    mirrored = rng.random() < 0.5
    cut = [part[window].flip(-1) if mirrored else part[window] for part in (image, image if truth is None else truth)]
    return cut[0], cut[1]
