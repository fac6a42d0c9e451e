"""How good a pair of weights is on held-out samples: Dice per kind of lesion and per prompt, and the IoU estimate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hemaview.adaptation.batches import FineBatch, coarse_item, fine_question, hinted_batch
from hemaview.adaptation.phantoms import Sample
from hemaview.adaptation.prompting import correcting_points, random_evidence
from hemaview.adaptation.shards import Shard
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.compact.tiny_sam import Points, TinySam

ROUNDS = 3
"""Corrections in a row, one point each."""


@dataclass(frozen=True)
class Row:
    """Mean Dice under one prompt: over all samples, and per kind of lesion."""

    prompt: str
    dice: float
    by_kind: dict[str, float]


@dataclass(frozen=True)
class Calibration:
    """How far the estimated IoU of the answers to a box is from the true one: correlation, and mean signed error."""

    correlation: float
    bias: float


def measure_weights(
    coarse: CoarseNet, fine: TinySam, shards: Sequence[Shard], *, limit: int = 200
) -> tuple[list[Row], Calibration]:
    """Ask both networks about every sample under every prompt; boxes and points are the same for all weights."""
    dice: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    estimates: list[tuple[float, float]] = []
    samples = [shard[index] for shard in shards for index in range(len(shard))][:limit]
    with torch.inference_mode():
        for number, sample in enumerate(samples):
            for prompt, value in _coarse_dice(coarse, sample, number):
                dice[prompt][sample.kind].append(value)
            for prompt, value in _fine_dice(coarse, fine, sample, number, estimates):
                dice[prompt][sample.kind].append(value)
    rows = []
    for prompt, kinds in dice.items():
        means = {kind: float(np.mean(values)) for kind, values in sorted(kinds.items())}
        everything = [value for values in kinds.values() for value in values]
        rows.append(Row(prompt, float(np.mean(everything)), means))
    guessed, true = np.array(estimates).T
    return rows, Calibration(float(np.corrcoef(guessed, true)[0, 1]), float((guessed - true).mean()))


def table(rows: Sequence[Row], calibration: Calibration) -> str:
    """The figures as Markdown."""
    kinds = list(rows[0].by_kind)
    lines = ["| prompt | all | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 2) + "|"]
    for row in rows:
        cells = [f"{row.by_kind[kind]:.3f}" if kind in row.by_kind else "" for kind in kinds]
        lines.append(f"| {row.prompt} | **{row.dice:.3f}** | " + " | ".join(cells) + " |")
    lines.append(f"\nEstimated IoU: correlation {calibration.correlation:.2f}, bias {calibration.bias:+.3f}.")
    return "\n".join(lines)


def _coarse_dice(coarse: CoarseNet, sample: Sample, number: int) -> list[tuple[str, float]]:
    rng = np.random.default_rng(number)
    crop, target, placement = coarse_item(rng, sample, open_share=0.0)
    plain = coarse(torch.cat([crop, torch.zeros_like(target)[None]])[None])[0]
    found = [("coarse, box", dice_of(plain, target))]
    for kind in ("points", "slices"):
        evidence = random_evidence(np.random.default_rng(number), target, placement, plain, kind=kind)
        told = coarse(torch.cat([crop, evidence[None]])[None])[0]
        found.append((f"coarse, box and {kind}", dice_of(told, target)))
    return found


def _fine_dice(
    coarse: CoarseNet, fine: TinySam, sample: Sample, number: int, estimates: list[tuple[float, float]]
) -> list[tuple[str, float]]:
    found = []
    batch = fine_question(np.random.default_rng(number), sample)
    if batch is not None:
        logits, estimate = fine(batch.crops, batch.boxes)
        estimates.append((float(estimate[0]), iou_of(logits, batch.targets)))
        found.append(("fine, box", dice_of(logits, batch.targets)))
        for keep_mask in (False, True):
            found += _corrected(fine, batch, logits, keep_mask, number)
    hinted = hinted_batch(np.random.default_rng(number), sample, coarse)
    if hinted is not None:
        bare, _ = fine(hinted.crops, hinted.boxes)
        logits, _ = fine(hinted.crops, hinted.boxes, hinted.prompts)
        found.append(("fine, box found by coarse", dice_of(bare, hinted.targets)))
        found.append(("fine, box found by coarse and its mask", dice_of(logits, hinted.targets)))
    return found


def _corrected(
    fine: TinySam, batch: FineBatch, logits: Tensor, keep_mask: bool, number: int
) -> list[tuple[str, float]]:
    """Dice after each of ``ROUNDS`` points, every one where the latest answer is wrong."""
    rng = np.random.default_rng(number)
    places, labels = [], []
    found = []
    for count in range(1, ROUNDS + 1):
        place, label = correcting_points(rng, logits, batch.targets, batch.boxes, most=1, at_errors=1.0)
        places.append(place)
        labels.append(label)
        points: Points = (torch.cat(places, dim=1), torch.cat(labels, dim=1))
        logits, _ = fine(batch.crops, batch.boxes, logits if keep_mask else None, points)
        with_mask = ", own mask" if keep_mask else ""
        found.append((f"fine, box{with_mask}, {count} point{'s' if count > 1 else ''}", dice_of(logits, batch.targets)))
    return found


def dice_of(logits: Tensor, target: Tensor) -> float:
    """Dice of what is above zero with what is above one half."""
    mask, truth = logits > 0, target > 0.5
    return float((2 * (mask & truth).sum() + 1) / (mask.sum() + truth.sum() + 1))


def iou_of(logits: Tensor, target: Tensor) -> float:
    """Intersection over union of what is above zero with what is above one half."""
    mask, truth = logits > 0, target > 0.5
    return float((mask & truth).sum() / (mask | truth).sum().clamp_min(1))
