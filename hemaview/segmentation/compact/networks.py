"""The two networks of the compact model as one thing to ask: where is it, and where is its edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hemaview.segmentation.compact import crops
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.compact.components import Rectangle
from hemaview.segmentation.compact.frame import Box, Frame
from hemaview.segmentation.compact.tiny_sam import TinySam
from hemaview.segmentation.contract import CancelToken
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer

Window2D = tuple[slice, slice]

PIECE_MARGIN = 0.15
"""How far an answer may leave its rectangle, as a share of the side and one voxel more; the network learned so."""


@dataclass(frozen=True)
class FineQuestion:
    """Draw the edge in slice ``k`` of what the rectangle holds."""

    k: int
    rectangle: Rectangle


@dataclass(frozen=True, eq=False)
class FineAnswer:
    """Probability float32 ``[j, i]`` of the window asked for, and the network's estimate of the mask's IoU."""

    k: int
    probability: NDArray[np.float32]
    confidence: float


class Networks:
    """Runs both networks on one thread at a time; ``cancellable`` stops them between any two layers."""

    def __init__(self, coarse: CoarseNet, fine: TinySam, threads: int) -> None:
        self._coarse = coarse
        self._fine = fine
        self._threads = threads
        self._cancel: CancelToken | None = None
        for net in (coarse, fine):
            for module in net.modules():
                if not list(module.children()):
                    module.register_forward_pre_hook(self._before_layer)

    @contextmanager
    def cancellable(self, cancel: CancelToken | None) -> Iterator[None]:
        """Within it, every layer of both networks raises ``Cancelled`` once ``cancel`` is set."""
        self._cancel = cancel
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        try:
            self.check()
            yield
        finally:
            self._cancel = None

    def check(self) -> None:
        """Raise ``Cancelled`` when the work was cancelled."""
        if self._cancel is not None:
            self._cancel.raise_if_cancelled()

    def coarse(self, frame: Frame, box: Box) -> CoarseAnswer:
        """What the coarse network sees in a box."""
        crop, placement = frame.coarse_crop(box)
        with torch.inference_mode():
            batch = crop[None].contiguous(memory_format=torch.channels_last_3d)
            return CoarseAnswer(self._coarse(batch)[0].contiguous(), placement)

    def fine(
        self, frame: Frame, questions: Sequence[FineQuestion], window: Window2D, coarse: CoarseAnswer | None = None
    ) -> list[FineAnswer]:
        """Answer several questions at once, each on ``window`` (rows, columns) of its slice."""
        with torch.inference_mode():
            crop_list, boxes, placements, prompts = [], [], [], []
            for question in questions:
                crop, box, placement = frame.fine_crop(question.k, question.rectangle)
                crop_list.append(crop)
                boxes.append(box)
                placements.append(placement)
                if coarse is not None:
                    prompts.append(crops.coarse_prompt(coarse.logits, coarse.placement, placement, question.k))
            batch = torch.stack(crop_list).contiguous(memory_format=torch.channels_last)
            prompt = torch.stack(prompts) if prompts else None
            logits, confidence = self._fine(batch, torch.stack(boxes), prompt)
            answers = []
            for number, question in enumerate(questions):
                placed = crops.place_2d(logits[number, 0], placements[number], window, crops.OUTSIDE_LOGIT)
                placed = _near(placed, question.rectangle, window)
                estimate = float(confidence[number].clamp(0, 1))
                answers.append(FineAnswer(question.k, placed.sigmoid_().numpy(), estimate))
        return answers

    def _before_layer(self, *_: object) -> None:
        self.check()


def _near(logits: Tensor, rectangle: Rectangle, window: Window2D) -> Tensor:
    """``logits`` without what lies well outside the rectangle: another piece or lesion, which was not asked for."""
    i0, j0, i1, j1 = rectangle
    columns = torch.arange(window[1].start, window[1].stop)
    rows = torch.arange(window[0].start, window[0].stop)
    across, down = PIECE_MARGIN * (i1 - i0) + 1, PIECE_MARGIN * (j1 - j0) + 1
    near = ((rows >= j0 - down) & (rows <= j1 + down))[:, None] & ((columns >= i0 - across) & (columns <= i1 + across))
    return torch.where(near, logits, crops.OUTSIDE_LOGIT)
