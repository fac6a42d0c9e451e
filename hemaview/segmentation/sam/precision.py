"""Half the bits on a graphics card, where that was seen to be faster and to draw the same mask."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from hemaview.segmentation.device import ComputeDevice, is_out_of_memory

_LEAST_AGREEMENT = 0.99
"""Dice between the masks of both precisions below which the lower one is not used."""
_LEAST_GAIN = 0.9
"""The lower precision must take at most this share of the time."""

DTYPE_TITLES = {torch.bfloat16: "bfloat16", torch.float16: "float16"}


def candidate(device: ComputeDevice) -> torch.dtype | None:
    """The lower precision worth a check: none but on CUDA, because a CPU emulates it and takes several times longer."""
    if not device.name.startswith("cuda"):
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def checked_precision(
    logits: Callable[[torch.dtype | None], Tensor],
    dtype: torch.dtype,
    synchronise: Callable[[], None],
) -> torch.dtype | None:
    """``dtype`` where it is faster and draws the same masks, else None for float32.

    ``logits(dtype)`` computes the mask logits of one slice from scratch; ``synchronise`` waits for the device. Each
    precision is run twice and the second run is timed.
    """
    try:
        timed = {}
        for chosen in (None, dtype):
            logits(chosen)
            synchronise()
            started = time.perf_counter()
            answer = logits(chosen)
            synchronise()
            timed[chosen] = (time.perf_counter() - started, answer.float())
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        return None
    (full_seconds, full), (seconds, lower) = timed[None], timed[dtype]
    same = bool(torch.isfinite(lower).all()) and _dice(full > 0, lower > 0) >= _LEAST_AGREEMENT
    return dtype if same and seconds <= _LEAST_GAIN * full_seconds else None


def _dice(a: Tensor, b: Tensor) -> float:
    total = int(a.sum() + b.sum())
    return 1.0 if total == 0 else 2 * int((a & b).sum()) / total
