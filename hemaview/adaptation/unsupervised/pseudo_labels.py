"""Labels the net gives itself: soft, cut off from the gradient, and only where it is sure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SURE = 0.1
"""A pixel counts where the probability is below this or above one minus this."""


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """``target`` is the probability, ``sure`` is 1 where it may be learned from, else 0; both carry no gradient."""

    target: Tensor
    sure: Tensor


def pseudo_labels(logits: Tensor, sure: float = SURE) -> PseudoLabels:
    """Labels from the net's own logits (any shape).

    The published code lets the gradient run through the label as well, where it can pull the label towards a poor
    guess; here it is cut.
    """
    probability = torch.sigmoid(logits.detach())
    certain = (probability < sure) | (probability > 1 - sure)
    return PseudoLabels(probability, certain.to(probability.dtype))


def self_training_loss(early: Tensor, labels: PseudoLabels) -> Tensor:
    """Binary cross-entropy of the early logits against the labels, averaged over the sure pixels; 0 without any."""
    loss = F.binary_cross_entropy_with_logits(early, labels.target, weight=labels.sure, reduction="sum")
    return loss / labels.sure.sum().clamp_min(1)


def soft_agreement(first: Tensor, second: Tensor) -> float:
    """2 Σ pq / (Σ p + Σ q) of two maps of probabilities, 0 to 1.

    Two equal maps reach 1 only when they are also sure: a net that becomes empty or undecided scores low.
    """
    together = float((first * second).sum())
    return 2 * together / max(float((first + second).sum()), 1e-6)
