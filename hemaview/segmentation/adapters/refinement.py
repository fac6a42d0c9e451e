"""A layer of its own for the task: a small head that refines the mask decoder's logits and is trained from nothing.

The decoder's upscaled features hold more than the one dot product per pixel that makes the mask. The head sees them
together with the logits and adds a correction. Its last layer starts at zero, so untrained it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hemaview.errors import ModelError

HEAD_NAME = "refinement"
"""Under this name the head becomes part of the decoder."""
_LOGIT_SCALE = 4.0
"""Logits enter as tanh(logits / scale): large ones say no more than "sure"."""


class RefinementHead(nn.Module):
    """(B, C, H, W) features and (B, M, H, W) logits to refined logits of the same shape, each mask on its own.

    Two 3 x 3 convolutions and one 1 x 1: a field of view of 5 x 5 decoder pixels. 7,105 parameters on Segment
    Anything's 32 features, 4,801 on the compact model's 16.
    """

    def __init__(self, channels: int, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels + 1, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
        )
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(torch.as_tensor(self.last.bias))

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Refined logits."""
        batch, masks, rows, columns = logits.shape
        shown = torch.tanh(logits / _LOGIT_SCALE).reshape(batch * masks, 1, rows, columns)
        repeated = features.repeat_interleave(masks, dim=0)
        correction = self.last(self.layers(torch.cat([repeated, shown], dim=1)))
        return torch.as_tensor(logits + correction.reshape(logits.shape))


def attach_refinement(decoder: nn.Module) -> tuple[RefinementHead, Callable[[], None]]:
    """Put a new head behind a mask decoder; returns it and what takes it off again.

    ``decoder`` is segment-anything's ``MaskDecoder`` or a descendant: called, it sends features through
    ``output_upscaling`` and answers (logits, IoU). Raises ``ModelError`` for another kind of decoder.
    """
    upscaling = getattr(decoder, "output_upscaling", None)
    steps = list(upscaling.modules()) if isinstance(upscaling, nn.Module) else []
    widths = [step.out_channels for step in steps if isinstance(step, nn.ConvTranspose2d)]
    if not isinstance(upscaling, nn.Module) or not widths:
        raise ModelError("The refining layer needs Segment Anything's mask decoder; leave it out for this network.")
    head = RefinementHead(widths[-1]).to(next(decoder.parameters()).device)
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, features: Tensor) -> None:
        seen[:] = [features]

    def refine(module: nn.Module, _inputs: Any, answer: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        logits, iou = answer
        # The module's own head: a deep copy of the network has these hooks too, but another head.
        return module.get_submodule(HEAD_NAME)(seen.pop(), logits), iou

    decoder.add_module(HEAD_NAME, head)
    hooks = [upscaling.register_forward_hook(keep), decoder.register_forward_hook(refine)]

    def detach() -> None:
        for hook in hooks:
            hook.remove()
        delattr(decoder, HEAD_NAME)

    return head, detach
