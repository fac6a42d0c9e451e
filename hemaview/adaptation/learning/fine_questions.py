"""Questions for the compact model's fine network: the edge in one slice, from a rectangle with or without a hint."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hemaview.adaptation.batches import JITTER, LEAST_AREA, cut_2d, mask_faces, moved, slice_faces
from hemaview.adaptation.learning.questions import Batch, Question, dice_of
from hemaview.adaptation.training import fine_loss
from hemaview.imaging import LabelMap, Volume
from hemaview.segmentation.compact.crops import OUTSIDE_LOGIT, Placement3D, coarse_prompt, place_3d
from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.components import slice_rectangles

Coarse = Callable[[Tensor], Tensor]
"""(1, channels, 24, 48, 48) crop to (1, 24, 48, 48) logits."""

_NEAR = 0.15
"""What an answer may hold round its rectangle, as a share of the side and one voxel more: so it is in use."""


class FineTrainee:
    """Half of the questions hold a rectangle only, half also the hint that the coarse network gives in use."""

    role = "fine"

    def __init__(self, coarse: Coarse) -> None:
        self._coarse = coarse

    def questions(self, volume: Volume, mask: LabelMap, rng: np.random.Generator, count: int) -> list[Question]:
        """See ``Trainee.questions``: crop (1, 96, 96), box (4,), target, hint, hinted, asked (k, i0, j0, i1, j1)."""
        frame, truth = Frame.of(volume), mask.array
        wanted = count // 2
        found = self._hinted(frame, truth, rng, wanted)
        for _ in range(count - len(found)):
            k = _pick_slice(rng, truth)
            if k is None:
                break
            lower, upper = slice_faces(rng, truth, k)
            found.append(_question(frame, truth, k, lower, upper, None))
        return found

    def varied(self, question: Question, rng: np.random.Generator) -> Question:
        """Mirrored along either side and across the diagonal, now and then noisier."""
        crop, target, hint, box = (question[name] for name in ("crop", "target", "hint", "box"))
        last = crop.shape[-1] - 1
        if rng.random() < 0.5:
            crop, target, hint = (x.flip(-1) for x in (crop, target, hint))
            box = torch.stack([last - box[2], box[1], last - box[0], box[3]])
        if rng.random() < 0.5:
            crop, target, hint = (x.flip(-2) for x in (crop, target, hint))
            box = torch.stack([box[0], last - box[3], box[2], last - box[1]])
        if rng.random() < 0.5:
            crop, target, hint = (x.transpose(-1, -2) for x in (crop, target, hint))
            box = box[[1, 0, 3, 2]]
        if rng.random() < 0.15:
            noise = torch.from_numpy(rng.standard_normal(crop.shape, dtype=np.float32))
            crop = crop + noise * float(rng.uniform(0, 0.2))
        return {**question, "crop": crop, "target": target, "hint": hint, "box": box}

    def answer(self, net: nn.Module, batch: Batch) -> None:
        """See ``Trainee.answer``."""
        self._ask(net, batch)

    def loss(self, net: nn.Module, batch: Batch) -> Tensor:
        """Dice, cross-entropy and the squared error of the estimated IoU."""
        parts = [(len(target), fine_loss(logits, iou, target)) for logits, iou, target in self._ask(net, batch)]
        return torch.stack([count * loss for count, loss in parts]).sum() / sum(count for count, _ in parts)

    def dice(self, net: nn.Module, batch: Batch) -> Tensor:
        """See ``Trainee.dice``; questions without a hint come first."""
        return torch.cat([dice_of(logits, target) for logits, _, target in self._ask(net, batch)])

    def _ask(self, net: nn.Module, batch: Batch) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Logits, estimated IoU and target of the questions without a hint, then of those with one."""
        answers = []
        for hinted in (False, True):
            chosen = batch["hinted"] == hinted
            if not bool(chosen.any()):
                continue
            crops = batch["crop"][chosen].contiguous(memory_format=torch.channels_last)
            logits, iou = net(crops, batch["box"][chosen], batch["hint"][chosen] if hinted else None)
            answers.append((logits, iou, batch["target"][chosen]))
        return answers

    def _hinted(self, frame: Frame, truth: NDArray[np.bool_], rng: np.random.Generator, count: int) -> list[Question]:
        """Questions as the engine asks them: a 3D box, the coarse network's answer, a rectangle round its pieces."""
        found: list[Question] = []
        for _ in range(4):
            if len(found) >= count:
                break
            lower, upper = mask_faces(truth)
            lower, upper = moved(rng, lower, upper, float(rng.choice(JITTER)))
            box = Box(_triple(lower), _triple(upper))
            crop, placement = frame.coarse_crop(box)
            with torch.inference_mode():
                logits = self._coarse(crop[None])[0].contiguous()
                region = box.region(frame.shape)
                hint = place_3d(logits, placement, region, OUTSIDE_LOGIT).numpy() > 0
            logits = logits.clone()
            slices = np.flatnonzero(hint.any(axis=(1, 2)))
            for number in rng.permutation(slices)[: -(-count // 2)]:
                pieces = slice_rectangles(hint[number])
                if not pieces or len(found) >= count:
                    continue
                x0, y0, x1, y1 = pieces[0 if rng.random() < 0.7 else int(rng.integers(len(pieces)))]
                low = np.array([y0 + region[1].start, x0 + region[2].start])
                high = np.array([y1 + region[1].start, x1 + region[2].start])
                k = region[0].start + int(number)
                found.append(_question(frame, truth, k, low, high, (logits, placement)))
        return found


def _question(
    frame: Frame,
    truth: NDArray[np.bool_],
    k: int,
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    hint: tuple[Tensor, Placement3D] | None,
) -> Question:
    """``lower`` and ``upper`` are faces (row, column)."""
    crop, box, placement = frame.fine_crop(k, (lower[1], lower[0], upper[1], upper[0]))
    # What lies well outside the rectangle is another piece or lesion, which it does not ask for.
    margin = _NEAR * (upper - lower) + 1
    near = np.zeros_like(truth[k])
    first = np.maximum(np.ceil(lower - margin), 0).astype(int)
    last = np.maximum(np.floor(upper + margin).astype(int) + 1, 0)
    near[first[0] : last[0], first[1] : last[1]] = True
    target = cut_2d(torch.from_numpy((truth[k] & near).astype(np.float32)), placement)[None]
    prompt = torch.zeros_like(crop) if hint is None else coarse_prompt(hint[0], hint[1], placement, k)
    return {
        "crop": crop,
        "box": box.float(),
        "target": target,
        "hint": prompt,
        "hinted": torch.tensor(hint is not None),
        "asked": torch.tensor([float(k), lower[1], lower[0], upper[1], upper[0]]),
    }


def _pick_slice(rng: np.random.Generator, truth: NDArray[np.bool_]) -> int | None:
    areas = truth.sum(axis=(1, 2))
    candidates = np.flatnonzero(areas >= min(LEAST_AREA, areas.max()))
    return int(rng.choice(candidates)) if len(candidates) else None


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c
