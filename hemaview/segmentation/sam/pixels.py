"""Between a slice's pixels and the network's square: boxes and points go in, the mask comes back.

A rectangle in HEMAVIEW is held by faces: voxel n covers n - 0.5 to n + 0.5. MedSAM's boxes hold the first and the
last pixel, both inside (``x_max`` is an index, not an index + 1). The network's square has the slice stretched to it
in both directions, so columns and rows scale on their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Rectangle = tuple[float, float, float, float]
"""Faces i0, j0, i1, j1 in voxel units."""


def inclusive_box(rectangle: Rectangle) -> Rectangle:
    """First and last pixel x_min, y_min, x_max, y_max of what the faces hold; a sliver becomes its middle."""
    i0, j0, i1, j1 = rectangle
    x_min, x_max = _pixels(i0, i1)
    y_min, y_max = _pixels(j0, j1)
    return x_min, y_min, x_max, y_max


def scale_boxes(boxes: Sequence[Rectangle], width: int, height: int, size: int) -> Tensor:
    """Boxes of first and last pixels, ``box / [W, H, W, H] * size`` as in MedSAM: (B, 4) float32."""
    found = torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4)
    return (found / torch.tensor([width, height, width, height]) * size).float()


def scale_points(points: Sequence[tuple[float, float]], width: int, height: int, size: int) -> Tensor:
    """Pixel positions (i, j) on the network's square, scaled as boxes are: (N, 2) float32."""
    found = torch.tensor(points, dtype=torch.float64).reshape(-1, 2)
    return (found / torch.tensor([width, height]) * size).float()


def slice_probability(logits: Tensor, height: int, width: int) -> Tensor:
    """Logits (B, 1, h, w) as probabilities (B, H, W) of a slice's pixels, to be cut above one half.

    Sigmoid first and bilinear after it, as in MedSAM; segment-anything's own predictor enlarges logits in two steps,
    which gives other pixels at the border.
    """
    enlarged = F.interpolate(logits.float().sigmoid(), (height, width), mode="bilinear", align_corners=False)
    return enlarged[:, 0]


def _pixels(lower: float, upper: float) -> tuple[float, float]:
    first, last = lower + 0.5, upper - 0.5
    return (first, last) if last >= first else ((lower + upper) / 2, (lower + upper) / 2)
