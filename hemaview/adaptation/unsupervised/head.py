"""The early head: a small net that guesses the mask from features half way through the encoder.

It carries the gradient of the self-training loss to the early layers (Aleem et al. 2024, arXiv 2402.04964): what the
whole net answers is the label, what the early features alone give is the prediction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hemaview.segmentation.unet import ResidualUNet

DEFAULT_LEVEL = 3


class EarlyHead(nn.Module):
    """Logits (B, 1, h, w) from features (B, filters * 2**level, h, w): 3×3 to 12, to 8, to 1, with batch norm."""

    def __init__(self, level: int = DEFAULT_LEVEL, filters: int = 16) -> None:
        super().__init__()
        self.level = level
        self.layers = nn.Sequential(
            nn.Conv2d(filters * 2**level, 12, 3, padding=1),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 1, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits on the grid of the features."""
        return torch.as_tensor(self.layers(features))


class HeadedUNet(nn.Module):
    """The net and its early head as one, so that both are adapted, stored and counted together."""

    def __init__(self, net: ResidualUNet, head: EarlyHead) -> None:
        super().__init__()
        self.net = net
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """The net's own logits; the head takes no part."""
        return torch.as_tensor(self.net(x))

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Final and early logits, both (B, 1, H, W); the early ones enlarged linearly. 8 must divide H and W."""
        features = self.net.encode(x)
        early = self.head(features[self.head.level])
        return self.net.decode(features), F.interpolate(early, size=x.shape[-2:], mode="bilinear", align_corners=False)
