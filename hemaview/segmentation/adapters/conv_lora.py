"""Low-rank adaptation of convolutions: W' = W0 + (alpha / r) view(B A), one convolution with W'.

ConvLoRA of Aleem et al., "ConvLoRA and AdaBN based domain adaptation via self-training", ISBI 2024, arXiv 2402.04964.
Not to be confused with Conv-LoRA of Zhong et al. (ICLR 2024, arXiv 2401.17868), which puts a mixture of small
convolutions into the bottleneck of *linear* layers, depends on its input and cannot be merged; that one is not here.

``view`` reads the product's memory as a kernel, so with kernel size k the correction has rank r k^2 at most in the
unfolding (first weight axis) x (all the others).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hemaview.errors import ModelError
from hemaview.segmentation.adapters.low_rank import LowRank, down_matrix, up_matrix

Convolution = nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d


class _ConvLowRank(LowRank):
    """What the three have in common: ``weight`` (n_first, n_second, k, ...) is corrected by view(B A).

    In two dimensions A is (r k, n_second k) and B is (n_first k, r k). n_second already counts one group only.
    """

    a: nn.Parameter
    b: nn.Parameter

    def _adapt(self, base: Convolution, rank: int, alpha: float) -> None:
        """Share the weight and bias of ``base`` and add A and B."""
        size = square_kernel(base)
        self.weight, self.bias = base.weight, base.bias
        self.scale = alpha / rank
        first, second, *kernel = base.weight.shape
        # Beyond two dimensions the further kernel axes go to A, so that B A still has as many entries as the kernel.
        self.a = down_matrix(rank * size, second * size ** (len(kernel) - 1), base.weight)
        self.b = up_matrix(first * size, rank * size, base.weight)

    def delta(self) -> Tensor:
        """(alpha / r) view(B A), in the shape of the kernel."""
        return self.scale * (self.b @ self.a).view(self.weight.shape)

    def _adapted(self) -> Tensor:
        return self.weight if self.merged else self.weight + self.delta()


class ConvLoRA2d(_ConvLowRank, nn.Conv2d):
    """A 2D convolution with its low-rank correction: A (r k, C_in k / groups), B (C_out k, r k).

    Takes over ``base``'s own weight and bias; ``ModelError`` for a kernel that is not square.
    """

    def __init__(self, base: nn.Conv2d, rank: int = 2, alpha: float = 2.0) -> None:
        super().__init__(**_shape(base))
        self._adapt(base, rank, alpha)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        return torch.as_tensor(self._conv_forward(input, self._adapted(), self.bias))


class ConvLoRATranspose2d(_ConvLowRank, nn.ConvTranspose2d):
    """A transposed 2D convolution with its low-rank correction: A (r k, C_out k / groups), B (C_in k, r k).

    The kernel of a transposed convolution begins with the input channels, so A and B change places with them.
    """

    def __init__(self, base: nn.ConvTranspose2d, rank: int = 2, alpha: float = 2.0) -> None:
        super().__init__(**_shape(base))
        self._adapt(base, rank, alpha)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, C_in, H, W) to (B, C_out, H', W')."""
        stride, padding = list(self.stride), list(cast(tuple[int, ...], self.padding))
        extra = self._output_padding(
            input, output_size, stride, padding, list(self.kernel_size), 2, list(self.dilation)
        )
        return F.conv_transpose2d(
            input, self._adapted(), self.bias, self.stride, tuple(padding), tuple(extra), self.groups, self.dilation
        )


class ConvLoRA3d(_ConvLowRank, nn.Conv3d):
    """A 3D convolution with a low-rank correction: A (r k, C_in k^2 / groups), B (C_out k, r k).

    Not in the paper: the same idea with the third kernel axis given to A. r k^2 (k C_in / groups + C_out) parameters;
    with k = 1 it is ConvLoRA2d's.
    """

    def __init__(self, base: nn.Conv3d, rank: int = 2, alpha: float = 2.0) -> None:
        super().__init__(**_shape(base))
        self._adapt(base, rank, alpha)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C_in, D, H, W) to (B, C_out, D', H', W')."""
        return torch.as_tensor(self._conv_forward(input, self._adapted(), self.bias))


def square_kernel(base: Convolution) -> int:
    """The kernel's size along every axis; ``ModelError`` when the axes differ."""
    sizes = set(base.kernel_size)
    if len(sizes) != 1:
        shown = " x ".join(str(size) for size in base.kernel_size)
        raise ModelError(f"ConvLoRA needs a kernel as wide as it is high, not {shown}; leave this layer out.")
    return int(sizes.pop())


def conv_lora(base: Convolution, rank: int = 2, alpha: float = 2.0) -> ConvLoRA2d | ConvLoRATranspose2d | ConvLoRA3d:
    """The layer that adapts ``base``."""
    if isinstance(base, nn.ConvTranspose2d):
        return ConvLoRATranspose2d(base, rank, alpha)
    if isinstance(base, nn.Conv3d):
        return ConvLoRA3d(base, rank, alpha)
    return ConvLoRA2d(base, rank, alpha)


def _shape(base: Convolution) -> dict[str, Any]:
    """What a convolution of the same shape is built from; its own weights would be thrown away, so they get none."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    shape = {name: getattr(base, name) for name in names}
    if isinstance(base, nn.ConvTranspose2d):
        shape["output_padding"] = base.output_padding
    return {**shape, "device": "meta"}
