"""Low-rank adaptation of linear layers (LoRA): h = W0 x + s B A x with W0 frozen.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, arXiv 2106.09685. s is alpha / r, or
alpha / sqrt(r) when rank-stabilised (Kalajdzievski 2023, arXiv 2312.03732). On Segment Anything's fused projection the
correction goes to queries and values only, as in SAMed (Zhang and Liu 2023, arXiv 2304.13785).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hemaview.segmentation.adapters.low_rank import LowRank, down_matrix, up_matrix


def lora_scale(rank: int, alpha: float, rank_stabilised: bool) -> float:
    """The factor s of the correction."""
    return alpha / math.sqrt(rank) if rank_stabilised else alpha / rank


class LoraLinear(LowRank, nn.Linear):
    """``base`` with a correction of rank r: A (r, inputs), B (outputs, r).

    Weight and bias are ``base``'s own objects. ``dropout`` falls on the correction's input and only in training mode.
    """

    def __init__(self, base: nn.Linear, rank: int, scale: float, dropout: float = 0.0) -> None:
        super().__init__(base.in_features, base.out_features, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.scale = scale
        self.dropout = nn.Dropout(dropout)
        self.a = down_matrix(rank, self.in_features, base.weight)
        self.b = up_matrix(self.out_features, rank, base.weight)

    def delta(self) -> Tensor:
        """s B A, (outputs, inputs)."""
        return self.scale * (self.b @ self.a)

    def forward(self, input: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        answer = F.linear(input, self.weight, self.bias)
        if self.merged:
            return answer
        return answer + self.scale * F.linear(F.linear(self.dropout(input), self.a), self.b)


class LoraQkv(LowRank, nn.Linear):
    """A fused query-key-value projection with corrections of rank r on the query and the value columns.

    The first third of the outputs are queries, the last third values. Each has its own A (r, inputs) and
    B (outputs / 3, r); keys stay the base's.
    """

    def __init__(self, base: nn.Linear, rank: int, scale: float, dropout: float = 0.0) -> None:
        super().__init__(base.in_features, base.out_features, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.scale = scale
        self.dropout = nn.Dropout(dropout)
        self.third = self.out_features // 3
        self.a_q = down_matrix(rank, self.in_features, base.weight)
        self.b_q = up_matrix(self.third, rank, base.weight)
        self.a_v = down_matrix(rank, self.in_features, base.weight)
        self.b_v = up_matrix(self.third, rank, base.weight)

    def delta(self) -> Tensor:
        """s B A of queries, zeros for keys, s B A of values: (outputs, inputs)."""
        query, value = self.b_q @ self.a_q, self.b_v @ self.a_v
        return self.scale * torch.cat([query, torch.zeros_like(query), value])

    def forward(self, input: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        fused = F.linear(input, self.weight, self.bias)
        if self.merged:
            return fused
        query, key, value = torch.split(fused, self.third, dim=-1)
        dropped = self.dropout(input)
        # Joined anew: adding in place to parts of the fused output would overwrite what the backward pass needs.
        query = query + self.scale * F.linear(F.linear(dropped, self.a_q), self.b_q)
        value = value + self.scale * F.linear(F.linear(dropped, self.a_v), self.b_v)
        return torch.cat([query, key, value], dim=-1)
