"""The residual U-Net in which convolutional low-rank adapters were first shown to carry a change of scanner.

Layout after Shirokikh et al. 2020 (arXiv 2008.07357) as used by Aleem et al. 2024 (arXiv 2402.04964): every block holds
residual blocks with pre-activation (batch norm, ReLU, convolution; twice), the resolution halves by a strided 2×2
convolution and doubles by a transposed one, and a skip is added after a 1×1 convolution. With 16 filters, one
input and one output channel it has 2,434,771 parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hemaview.segmentation.unet.padding import padded_call

LEVELS = 4
"""Resolutions, from full to an eighth."""

ADAPTED_BLOCKS: dict[str, tuple[str, ...]] = {
    "init_path": ("init_path",),
    "to_down1": ("init_path", "down1"),
    "to_down2": ("init_path", "down1", "down2"),
    "with_up": ("init_path", "down1", "down2", "up3", "up2", "up1"),
}
"""The published choices of blocks whose convolutions are adapted, from the first block only to both halves."""


class PreActivation(nn.Module):
    """Batch norm, ReLU, then a convolution that keeps the image's size."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H, W)."""
        return torch.as_tensor(self.conv(torch.relu(self.norm(x))))


class ResidualBlock(nn.Module):
    """Two pre-activated convolutions of one width, added to what comes in."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.first = PreActivation(channels, channels, kernel, bias=False)
        self.second = PreActivation(channels, channels, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return x + torch.as_tensor(self.second(self.first(x)))


def _residual_blocks(channels: int) -> list[nn.Module]:
    return [ResidualBlock(channels) for _ in range(3)]


def _down(inputs: int) -> nn.Sequential:
    halve = nn.Conv2d(inputs, 2 * inputs, 2, stride=2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(inputs), halve, nn.ReLU(), *_residual_blocks(2 * inputs))


def _up(inputs: int) -> nn.Sequential:
    double = nn.ConvTranspose2d(inputs, inputs // 2, 2, stride=2, bias=False)
    return nn.Sequential(*_residual_blocks(inputs), nn.BatchNorm2d(inputs), double, nn.ReLU())


class ResidualUNet(nn.Module):
    """Logits (B, outputs, H, W) of slices (B, inputs, H, W); sides that 8 does not divide are padded within.

    Blocks are named as in the published adapter counts: ``init_path``, ``down1`` to ``down3``, ``up3`` to ``up1``,
    ``out_path`` and the skips ``shortcut0`` to ``shortcut2``.
    """

    def __init__(self, inputs: int = 1, outputs: int = 1, filters: int = 16) -> None:
        super().__init__()
        n = filters
        self.filters = filters
        first = nn.Conv2d(inputs, n, 3, padding=1, bias=False)
        self.init_path = nn.Sequential(first, nn.ReLU(), *_residual_blocks(n))
        self.down1, self.down2, self.down3 = _down(n), _down(2 * n), _down(4 * n)
        self.shortcut0, self.shortcut1, self.shortcut2 = (nn.Conv2d(c, c, 1) for c in (n, 2 * n, 4 * n))
        self.up3, self.up2, self.up1 = _up(8 * n), _up(4 * n), _up(2 * n)
        # The norm after the last convolution is part of the published net: it learns the scale of the logits.
        self.out_path = nn.Sequential(
            ResidualBlock(n, kernel=1), PreActivation(n, outputs, 1, bias=True), nn.BatchNorm2d(outputs)
        )

    def encode(self, x: Tensor) -> list[Tensor]:
        """Features of the encoder from full resolution to an eighth; level n has ``filters * 2**n`` channels."""
        features = [torch.as_tensor(self.init_path(x))]
        for down in (self.down1, self.down2, self.down3):
            features.append(torch.as_tensor(down(features[-1])))
        return features

    def decode(self, features: list[Tensor]) -> Tensor:
        """Logits at full resolution from what ``encode`` returned."""
        x = self.up3(features[3]) + self.shortcut2(features[2])
        x = self.up2(x) + self.shortcut1(features[1])
        x = self.up1(x) + self.shortcut0(features[0])
        return torch.as_tensor(self.out_path(x))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        return padded_call(x, 2 ** (LEVELS - 1), lambda image: self.decode(self.encode(image)))

    def convolutions(self, blocks: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the ordinary convolutions within ``blocks``; transposed ones are not among the adapted sites."""
        return tuple(
            f"{block}.{name}"
            for block in blocks
            for name, module in self.get_submodule(block).named_modules()
            if isinstance(module, nn.Conv2d)
        )
