"""Questions for the compact model's coarse network: where in a 3D box the lesion is."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hemaview.adaptation.batches import mask_faces, moved
from hemaview.adaptation.learning.questions import Batch, Question, dice_of
from hemaview.adaptation.training import coarse_loss
from hemaview.imaging import LabelMap, Volume
from hemaview.segmentation import BoxPrompt
from hemaview.segmentation.compact.crops import sample_3d
from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.guided.box import Box

_JITTER = (0.03, 0.07, 0.11)
_OPEN_SHARE = 0.2
"""Share of questions whose depth is only guessed from a rectangle on one slice."""


class CoarseTrainee:
    """One 3D box per question, its sides moved inwards or outwards, its depth sometimes open."""

    role = "coarse"

    def questions(self, volume: Volume, mask: LabelMap, rng: np.random.Generator, count: int) -> list[Question]:
        """See ``Trainee.questions``: crop (channels, 24, 48, 48), target (24, 48, 48)."""
        frame = Frame.of(volume)
        truth = torch.from_numpy(mask.array.astype(np.float32))
        found = []
        for _ in range(count):
            box = _open_box(rng, volume, mask) if rng.random() < _OPEN_SHARE else _closed_box(rng, mask.array)
            crop, placement = frame.coarse_crop(box)
            found.append({"crop": crop, "target": sample_3d(truth, placement)})
        return found

    def varied(self, question: Question, rng: np.random.Generator) -> Question:
        """Mirrored along any axis and across the plane's diagonal."""
        crop, target = question["crop"], question["target"]
        for axis in (-1, -2, -3):
            if rng.random() < 0.5:
                crop, target = crop.flip(axis), target.flip(axis)
        if rng.random() < 0.5:
            crop, target = crop.transpose(-1, -2), target.transpose(-1, -2)
        return {"crop": crop, "target": target}

    def answer(self, net: nn.Module, batch: Batch) -> None:
        """See ``Trainee.answer``."""
        _ask(net, batch)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Dice, cross-entropy and the volume's error."""
        return coarse_loss(_ask(net, batch), batch["target"])

    def dice(self, net: nn.Module, batch: Batch) -> Tensor:
        """See ``Trainee.dice``."""
        return dice_of(_ask(net, batch), batch["target"])


def _ask(net: nn.Module, batch: Batch) -> Tensor:
    return torch.as_tensor(net(batch["crop"].contiguous(memory_format=torch.channels_last_3d)))


def _closed_box(rng: np.random.Generator, truth: NDArray[np.bool_]) -> Box:
    lower, upper = mask_faces(truth)
    lower, upper = moved(rng, lower, upper, float(rng.choice(_JITTER)))
    return Box((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))


def _open_box(rng: np.random.Generator, volume: Volume, mask: LabelMap) -> Box:
    """A rectangle on one of the lesion's larger slices, its depth guessed as the window guesses it."""
    areas = mask.array.sum(axis=(1, 2))
    k = int(rng.choice(np.flatnonzero(areas >= 0.5 * areas.max())))
    lower, upper = mask_faces(mask.array[k])
    lower, upper = moved(rng, lower, upper, float(rng.choice(_JITTER)))
    prompt = BoxPrompt.from_rectangle(
        volume.geometry, 2, k, (lower[1], lower[0], float(k)), (upper[1], upper[0], float(k))
    )
    low, high = prompt.index_bounds(volume.geometry)
    return Box((low[2], low[1], low[0]), (high[2], high[1], high[0]), 0)
