"""Slices of any size for nets that halve them several times."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F


def padded_call(x: Tensor, multiple: int, net: Callable[[Tensor], Tensor]) -> Tensor:
    """``net`` of ``x`` (B, C, H, W) with its edge repeated to the next ``multiple``; the answer has x's own size."""
    rows, columns = x.shape[-2:]
    below, right = -rows % multiple, -columns % multiple
    if not below and not right:
        return net(x)
    return net(F.pad(x, (0, right, 0, below), mode="replicate"))[..., :rows, :columns]
