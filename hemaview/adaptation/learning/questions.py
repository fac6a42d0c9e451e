"""What a network learns from one labelled scan: questions with their answers, cut exactly as in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hemaview.imaging import LabelMap, Volume

Question = dict[str, Tensor]
"""One question with its answer: tensors whose shapes are the same for every question of a trainee."""
Batch = Mapping[str, Tensor]
"""Several questions, stacked along the first dimension."""


class Trainee(Protocol):
    """One network of a model: how to ask it, how to mark its answers."""

    @property
    def role(self) -> str:
        """The network's role in the model ("fine", "coarse", "sam")."""
        ...

    def questions(self, volume: Volume, mask: LabelMap, rng: np.random.Generator, count: int) -> list[Question]:
        """Up to ``count`` questions about one scan, with boxes as a hand draws them; a function of ``rng``."""
        ...

    def varied(self, question: Question, rng: np.random.Generator) -> Question:
        """The question turned, mirrored or made noisier, with its answer turned alike."""
        ...

    def answer(self, net: nn.Module, batch: Batch) -> None:
        """Run the network on a batch without looking at the answers, as adapting statistics needs it."""
        ...

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Mean loss over the batch's questions, a scalar with gradient."""
        ...

    def dice(self, net: nn.Module, batch: Batch) -> Tensor:
        """Dice (B,) of each answer at the threshold in use."""
        ...


def dice_of(logits: Tensor, target: Tensor) -> Tensor:
    """Dice (B,) of answers above 0 against targets above one half; 1 where both are empty."""
    mask, truth = logits > 0, target > 0.5
    dims = tuple(range(1, target.ndim))
    total = mask.sum(dims) + truth.sum(dims)
    overlap = 2.0 * (mask & truth).sum(dims)
    return torch.where(total > 0, overlap / total.clamp_min(1), torch.ones(()).to(overlap))
