"""The plain U-Net, small enough for two cores: 16 to 256 channels, about 1.94 million parameters."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from hemaview.segmentation.unet.padding import padded_call

WIDTHS = (16, 32, 64, 128, 256)
"""Channels per level; the published net has 64 to 1024 and 31.03 million parameters."""


def _double(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (inputs, outputs):
        layers += [nn.Conv2d(source, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class PlainUNet(nn.Module):
    """Logits (B, outputs, H, W) of slices (B, inputs, H, W); sides that 16 does not divide are padded within.

    Two 3×3 convolutions with batch norm and ReLU per level, max-pooling down, transposed 2×2 convolutions up, skips
    joined as channels (Ronneberger et al. 2015, with padding and batch norm).
    """

    def __init__(self, inputs: int = 1, outputs: int = 1, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            _double(source, width) for source, width in zip((inputs, *widths), widths, strict=False)
        )
        turned = list(reversed(widths))
        self.upward = nn.ModuleList(nn.ConvTranspose2d(deep, width, 2, stride=2) for deep, width in pairwise(turned))
        self.decoder = nn.ModuleList(_double(2 * width, width) for width in turned[1:])
        self.head = nn.Conv2d(widths[0], outputs, 1)

    def encode(self, x: Tensor) -> list[Tensor]:
        """Features of the encoder from full resolution down."""
        features: list[Tensor] = []
        for level in self.encoder:
            x = level(torch.max_pool2d(x, 2) if features else x)
            features.append(x)
        return features

    def decode(self, features: list[Tensor]) -> Tensor:
        """Logits at full resolution from what ``encode`` returned."""
        x = features[-1]
        for up, level, skip in zip(self.upward, self.decoder, reversed(features[:-1]), strict=True):
            x = level(torch.cat([skip, up(x)], dim=1))
        return torch.as_tensor(self.head(x))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch."""
        return padded_call(x, 2 ** (len(self.encoder) - 1), lambda image: self.decode(self.encode(image)))
