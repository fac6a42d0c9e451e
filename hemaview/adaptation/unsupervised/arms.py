"""The ways of fitting a net to new images that the experiment compares, and what each of them trains."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn

from hemaview.adaptation.unsupervised.head import HeadedUNet
from hemaview.segmentation.adapters.conv_lora import conv_lora
from hemaview.segmentation.adapters.low_rank import LowRank, down_matrix, up_matrix
from hemaview.segmentation.unet import ADAPTED_BLOCKS

RANK = 2


class Arm(StrEnum):
    """One way of adapting; all but the last see the target's images only."""

    NONE = "no adaptation"
    LORA = "LoRA"
    CONV_LORA = "ConvLoRA"
    ADABN = "AdaBN"
    CONV_LORA_ADABN = "ConvLoRA + AdaBN"
    FULL = "full fine-tuning"
    SUPERVISED = "supervised on target labels"

    @property
    def replaces_statistics(self) -> bool:
        """Whether batch norms take the target's statistics."""
        return self in (Arm.ADABN, Arm.CONV_LORA_ADABN)

    @property
    def rate(self) -> float:
        """Adam's step size: correction factors start at zero and may go faster than a whole trained net."""
        return 1e-3 if self in (Arm.LORA, Arm.CONV_LORA, Arm.CONV_LORA_ADABN) else 1e-4


class UnfoldedLora2d(LowRank, nn.Conv2d):
    """LoRA as it is for a linear layer, on a convolution's kernel unfolded to (C_out, C_in k k): B A of rank r."""

    def __init__(self, base: nn.Conv2d, rank: int = RANK) -> None:
        super().__init__(base.in_channels, base.out_channels, base.kernel_size[0], device="meta")
        self.stride, self.padding = base.stride, base.padding
        self.weight, self.bias = base.weight, base.bias
        self.scale = 1.0
        self.a = down_matrix(rank, base.weight[0].numel(), base.weight)
        self.b = up_matrix(base.out_channels, rank, base.weight)

    def delta(self) -> Tensor:
        """B A in the shape of the kernel."""
        return (self.b @ self.a).view(self.weight.shape)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        weight = self.weight if self.merged else self.weight + self.delta()
        return torch.as_tensor(self._conv_forward(input, weight, self.bias))


@dataclass(frozen=True, eq=False)
class Prepared:
    """A copy of the source model ready for an arm, and the parameters that the arm trains."""

    model: HeadedUNet
    parameters: list[nn.Parameter]

    @property
    def trained(self) -> int:
        """How many numbers gradient descent changes; statistics are not counted."""
        return sum(p.numel() for p in self.parameters)


def prepare(source: HeadedUNet, arm: Arm, blocks: str = "init_path") -> Prepared:
    """A deep copy of ``source`` with the arm's layers in the named blocks; the source itself is never touched."""
    model = copy.deepcopy(source).requires_grad_(False).eval()
    if arm in (Arm.FULL, Arm.SUPERVISED):
        parameters = list(model.net.requires_grad_(True).parameters())
    elif arm in (Arm.LORA, Arm.CONV_LORA, Arm.CONV_LORA_ADABN):
        parameters = []
        for name in model.net.convolutions(ADAPTED_BLOCKS[blocks]):
            layer = _adapted(model.net.get_submodule(name), arm)
            parent, _, last = name.rpartition(".")
            setattr(model.net.get_submodule(parent), last, layer)
            parameters += [layer.a, layer.b]
    else:
        parameters = []
    return Prepared(model, parameters)


def _adapted(convolution: nn.Module, arm: Arm) -> UnfoldedLora2d:
    assert isinstance(convolution, nn.Conv2d)
    layer = UnfoldedLora2d(convolution) if arm is Arm.LORA else conv_lora(convolution, RANK, float(RANK))
    return layer  # type: ignore[return-value]  # both kinds have a and b
