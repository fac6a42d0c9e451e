"""What every layer with a low-rank correction of its weight has in common: merging it in and taking it out again."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LowRank:
    """Mixin for a layer whose ``weight`` is frozen and corrected by a trained ``delta`` of the same shape.

    The layer keeps the base layer's own weight and bias objects, so that names and memory stay the same. Merging adds
    the correction to the weight and keeps a copy of the weight from before: subtracting the correction again would
    leave rounding errors, the copy gives every bit back.
    """

    weight: Tensor
    scale: float
    _base_weight: Tensor | None = None

    def delta(self) -> Tensor:
        """The correction, already scaled, in the shape of ``weight``."""
        raise NotImplementedError

    @property
    def merged(self) -> bool:
        """Whether ``weight`` holds the correction at the moment."""
        return self._base_weight is not None

    def merge(self) -> None:
        """Add the correction to the weight, summed in float32; a second call changes nothing."""
        if self._base_weight is not None:
            return
        with torch.no_grad():
            self._base_weight = self.weight.detach().clone()
            self.weight.copy_(self.weight.float() + self.delta().float())

    def unmerge(self) -> None:
        """Put the base's weight back, bit by bit; nothing happens to a layer that is not merged."""
        if self._base_weight is None:
            return
        with torch.no_grad():
            self.weight.copy_(self._base_weight)
        self._base_weight = None


def down_matrix(rows: int, columns: int, like: Tensor) -> nn.Parameter:
    """A of the product B A: float32 (rows, columns), Kaiming-uniform with a = sqrt(5), on the device of ``like``."""
    matrix = nn.Parameter(torch.empty(rows, columns, device=like.device, dtype=torch.float32))
    nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))
    return matrix


def up_matrix(rows: int, columns: int, like: Tensor) -> nn.Parameter:
    """B of the product B A: float32 zeros (rows, columns), so that the first answer is exactly the base's."""
    return nn.Parameter(torch.zeros(rows, columns, device=like.device, dtype=torch.float32))
