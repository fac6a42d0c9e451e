"""The compact model's image encoder: residual convolutions with two transformer blocks at the middle scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_norm_relu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm_relu(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return F.relu(x + self.second(self.first(x)))


class AttentionBlock(nn.Module):
    """Pre-norm self-attention and MLP on (B, tokens, width)."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, tokens, width) to the same shape."""
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm_attention(x)).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)
        x = x + self.project(attended.transpose(1, 2).reshape(batch, tokens, width))
        return torch.as_tensor(x + self.mlp(self.norm_mlp(x)))


class TinyEncoder(nn.Module):
    """(B, 1, size, size) grey crop to a (B, width, size / 4, size / 4) embedding."""

    def __init__(self, size: int, width: int, channels: tuple[int, int, int, int] = (20, 40, 80, 128)) -> None:
        super().__init__()
        c1, c2, c3, c4 = channels
        self.stage1 = nn.Sequential(conv_norm_relu(1, c1, 2), ResidualBlock(c1))
        self.stage2 = nn.Sequential(conv_norm_relu(c1, c2, 2), ResidualBlock(c2))
        self.stage3 = nn.Sequential(conv_norm_relu(c2, c3, 2), ResidualBlock(c3))
        self.stage4 = nn.Sequential(conv_norm_relu(c3, c4, 2), ResidualBlock(c4))
        self.lateral2 = nn.Conv2d(c2, width, 1)
        self.lateral3 = nn.Conv2d(c3, width, 1)
        self.lateral4 = nn.Conv2d(c4, width, 1)
        self.position = nn.Parameter(torch.zeros(1, (size // 8) ** 2, width))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.attention = nn.ModuleList(AttentionBlock(width) for _ in range(2))
        self.out = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Embed a batch of crops."""
        half = self.stage1(x)
        quarter = self.stage2(half)
        eighth = self.stage3(quarter)
        sixteenth = self.stage4(eighth)
        middle = self.lateral3(eighth) + _double(self.lateral4(sixteenth))
        batch, width, rows, columns = middle.shape
        tokens = middle.flatten(2).transpose(1, 2) + self.position
        for block in self.attention:
            tokens = block(tokens)
        middle = tokens.transpose(1, 2).reshape(batch, width, rows, columns)
        return torch.as_tensor(self.out(self.lateral2(quarter) + _double(middle)))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
