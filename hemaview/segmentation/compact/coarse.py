"""The coarse network: a 3D U-Net that finds where in a box the lesion is and where it begins and ends."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _double_conv(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv3d(channels, outputs, 3, padding=1, bias=False),
            nn.InstanceNorm3d(outputs, affine=True),
            nn.LeakyReLU(0.1, inplace=True),
        ]
    return nn.Sequential(*layers)


CHANNELS = 3
"""What the network sees of a crop: the normalised image, the box, the evidence."""


class CoarseNet(nn.Module):
    """(B, 3, 24, 48, 48) image, box and evidence to (B, 24, 48, 48) logits; about 1.3 M parameters.

    The evidence lies between -1 and 1: 1 where a user said that there is lesion, -1 where they said that there is
    none, 0 where nothing is known. A crop without the third channel is taken as one about which nothing is known.

    Each 2 x 2 block of a plane is folded into channels at the entrance and unfolded at the exit, so that the network
    works on 24 x 24 x 24 cells without losing the plane's detail: 2.5 times faster on a CPU than full-size planes.
    """

    def __init__(self, channels: tuple[int, ...] = (24, 48, 72, 72)) -> None:
        super().__init__()
        levels = range(len(channels))
        self.down = nn.ModuleList(
            _double_conv(4 * CHANNELS if i == 0 else channels[i - 1], channels[i]) for i in levels
        )
        self.up = nn.ModuleList(_double_conv(channels[i] + channels[i + 1], channels[i]) for i in reversed(levels[:-1]))
        self.head = nn.Conv3d(channels[0], 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits on the crop's grid."""
        if x.shape[1] < CHANNELS:
            x = F.pad(x, (0, 0, 0, 0, 0, 0, 0, CHANNELS - x.shape[1]))
        x = _fold(x)
        skips: list[Tensor] = []
        for block in self.down[:-1]:
            x = block(x)
            skips.append(x)
            x = F.max_pool3d(x, 2)
        x = self.down[-1](x)
        for block in self.up:
            skip = skips.pop()
            x = F.interpolate(x, size=skip.shape[2:], mode="trilinear", align_corners=False)
            x = block(torch.cat([x, skip], dim=1))
        return _unfold(self.head(x))


def with_evidence(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network that saw no evidence, for one that does and answers the same while nothing is known."""
    name = "down.0.0.weight"
    padded = dict(tensors)
    if name in padded:
        missing = 4 * CHANNELS - padded[name].shape[1]
        padded[name] = F.pad(padded[name], (0, 0, 0, 0, 0, 0, 0, max(0, missing)))
    return padded


def _fold(x: Tensor) -> Tensor:
    batch, channels, depth, rows, columns = x.shape
    cells = x.reshape(batch, channels, depth, rows // 2, 2, columns // 2, 2).permute(0, 1, 4, 6, 2, 3, 5)
    return cells.reshape(batch, 4 * channels, depth, rows // 2, columns // 2)


def _unfold(x: Tensor) -> Tensor:
    batch, _, depth, rows, columns = x.shape
    cells = x.reshape(batch, 2, 2, depth, rows, columns).permute(0, 3, 4, 1, 5, 2)
    return cells.reshape(batch, depth, 2 * rows, 2 * columns)
