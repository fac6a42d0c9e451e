"""How good a model's masks are, scan by scan, on the 1 mm grid."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from hemaview.adaptation.unsupervised.head import HeadedUNet
from hemaview.adaptation.unsupervised.slices import SliceSet
from hemaview.evaluation.metrics import dice, surface_distances

_BATCH = 16


@dataclass(frozen=True)
class Scores:
    """Means over scans: Dice, surface Dice at 1 and 2 mm, and the share of scans with an empty answer."""

    dice: float
    surface_dice_1mm: float
    surface_dice_2mm: float
    empty: float

    def as_dict(self) -> dict[str, float]:
        """For a JSON file."""
        return {key: round(float(value), 4) for key, value in asdict(self).items()}


def score(model: HeadedUNet, slices: SliceSet) -> Scores:
    """Masks at probability one half, compared in 3D with the truth of each scan."""
    masks = predict(model, slices)
    spacing = (slices.step_mm, 1.0, 1.0)
    rows = []
    for scan in np.unique(slices.scans):
        own = slices.scans == scan
        mask, truth = masks[own], slices.truths[own]
        distances = surface_distances(mask, truth, spacing)
        near = (distances.normalised_dice(1.0), distances.normalised_dice(2.0))
        rows.append((dice(mask, truth), *near, float(not mask.any())))
    return Scores(*(float(value) for value in np.mean(rows, axis=0)))


@torch.no_grad()
def predict(model: HeadedUNet, slices: SliceSet) -> NDArray[np.bool_]:
    """(n, 2h, 2w) masks at 1 mm: logits enlarged linearly, then cut at zero."""
    parts = []
    for start in range(0, len(slices), _BATCH):
        logits = model(slices.images[start : start + _BATCH])
        large = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
        parts.append((large[:, 0] > 0).numpy())
    return np.concatenate(parts)
