"""The compact model's fine network as a slice model: it draws the edge of what a rectangle on a slice holds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hemaview.imaging import Volume
from hemaview.segmentation.compact import crops
from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.compact.tiny_sam import TinySam
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer
from hemaview.segmentation.guided.protocols import Check, SliceAnswer, SliceQuestion, Window2D
from hemaview.segmentation.guided.small_network import SmallNetwork

BATCH = 4
"""Questions per pass of the network: few enough that slices stream evenly."""


class CompactSlices:
    """The fine network, on one thread at a time; a pass can be cancelled between any two of its layers."""

    def __init__(self, net: TinySam, threads: int | None = None) -> None:
        self._network = SmallNetwork(net, threads)

    def open(self, volume: Volume) -> CompactSession:
        """Get ready for a scan."""
        return CompactSession(self, Frame.of(volume))

    def run(
        self, batch: Tensor, boxes: Tensor, prompts: Tensor | None, points: tuple[Tensor, Tensor] | None, check: Check
    ) -> tuple[Tensor, Tensor]:
        """One pass: ``TinySam.forward``."""
        with self._network.stopped_by(check) as net:
            logits, confidence = net(batch, boxes, prompts, points)
            return torch.as_tensor(logits), torch.as_tensor(confidence)


class CompactSession:
    """The fine network on one scan. Crops are cut anew for every question: they cost less than to remember them."""

    batch = BATCH

    def __init__(self, model: CompactSlices, frame: Frame) -> None:
        self._model = model
        self._frame = frame

    def answer(
        self, questions: Sequence[SliceQuestion], window: Window2D, hint: CoarseAnswer | None, check: Check
    ) -> list[SliceAnswer]:
        """See ``SliceSession.answer``; ``hint`` becomes the mask prompt."""
        with torch.inference_mode():
            crop_list, boxes, placements, prompts = [], [], [], []
            for question in questions:
                crop, box, placement = self._frame.fine_crop(question.k, question.rectangle)
                crop_list.append(crop)
                boxes.append(box)
                placements.append(placement)
                if hint is not None:
                    prompts.append(crops.coarse_prompt(hint.logits, hint.placement, placement, question.k))
            batch = torch.stack(crop_list).contiguous(memory_format=torch.channels_last)
            prompt = torch.stack(prompts) if prompts else None
            points = _points(questions, placements)
            logits, confidence = self._model.run(batch, torch.stack(boxes), prompt, points, check)
            answers = []
            for number, question in enumerate(questions):
                placed = crops.place_2d(logits[number, 0], placements[number], window, crops.OUTSIDE_LOGIT)
                estimate = float(confidence[number].clamp(0, 1))
                answers.append(SliceAnswer(question.k, placed.sigmoid_().numpy(), estimate))
        return answers

    def prefetch(self, slices: Sequence[int]) -> None:
        """Nothing is worth computing ahead."""

    def take_notes(self) -> tuple[str, ...]:
        """There is nothing to tell."""
        return ()


def _points(
    questions: Sequence[SliceQuestion], placements: Sequence[crops.Placement2D]
) -> tuple[Tensor, Tensor] | None:
    """Points of all questions in crop pixels, filled up with label -1; None where no question has any."""
    most = max(len(question.points) for question in questions)
    if most == 0:
        return None
    coordinates = torch.zeros(len(questions), most, 2)
    labels = torch.full((len(questions), most), -1)
    for number, (question, placement) in enumerate(zip(questions, placements, strict=True)):
        for slot, (i, j, positive) in enumerate(question.points):
            coordinates[number, slot, 0] = placement.columns.to_crop(i)
            coordinates[number, slot, 1] = placement.rows.to_crop(j)
            labels[number, slot] = int(positive)
    return coordinates, labels
