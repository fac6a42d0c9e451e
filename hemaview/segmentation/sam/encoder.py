"""segment-anything's image encoder, computed faster and in less memory, with the same weights and the same answer.

The original builds the attention of all heads and all pairs of patches at once: 800 MB at 1024 pixels. Here the
classes of its blocks are exchanged for the two below. They keep every parameter and name, so that weights, adapters
and training do not see a difference:

- inference on a CPU takes a few rows of queries of one head at a time, small enough for the processor's cache, and
  skips the empty patches that pad the windows, whose keys and values are known without computing them;
- training, CUDA and MPS use torch's fused attention with the position table as its additive mask.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from hemaview.segmentation.sam.stopping import stop_point
from hemaview.segmentation.sam_modeling import (
    Attention,
    Block,
    ImageEncoderViT,
    get_rel_pos,
    window_partition,
    window_unpartition,
)

_SCORES_AT_ONCE = 512 * 1024
"""Attention scores computed at a time on a CPU: 2 MB in float32."""
_FUSED_SCORES_AT_ONCE = 256 * 1024**2
"""Attention scores whose position table is built at a time elsewhere: one picture at 1024 pixels."""
_TOKENS_AT_ONCE = 512
"""Patches that pass the linear layers at a time on a CPU: about 50 ms of one core in ViT-B, so that a stop is seen."""


class FastAttention(Attention):
    """``Attention`` with fused or chunked scores; same parameters, same result."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        batch, rows, columns, width = x.shape
        tokens = rows * columns
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, -1)
        together = max(1, _FUSED_SCORES_AT_ONCE // (self.num_heads * tokens**2))
        attended = []
        for part in torch.split(qkv, together):
            query, key, value = part.permute(2, 0, 3, 1, 4)
            bias = self._bias(query, rows, columns) if self.use_rel_pos else None
            attended.append(F.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2))
        return torch.as_tensor(self.proj(torch.cat(attended).reshape(batch, rows, columns, width)))

    def chunked(self, qkv: Tensor) -> Tensor:
        """Attention without the projections: (B, H, W, 3 C) queries, keys and values to (B, H, W, C).

        For inference on a CPU: works in place and can be stopped between chunks.
        """
        batch, rows, columns, _ = qkv.shape
        tokens = rows * columns
        # (3, heads, B, tokens, head width): one head of all windows lies together.
        query, key, value = qkv.view(batch, tokens, 3, self.num_heads, -1).permute(2, 3, 0, 1, 4)
        out = qkv.new_empty(batch, tokens, self.num_heads, query.shape[-1])
        down, across = self._tables(rows, columns)
        images = max(1, min(batch, _SCORES_AT_ONCE // tokens**2))
        lines = max(1, min(rows, _SCORES_AT_ONCE // (images * columns * tokens)))
        for head in range(self.num_heads):
            for image in range(0, batch, images):
                part = slice(image, image + images)
                q, k, v = (t[head, part].contiguous() for t in (query, key, value))
                k = (k * self.scale).transpose(1, 2)
                if self.use_rel_pos:
                    split = q.view(len(q), rows, columns, -1)
                    by_row = torch.einsum("bhwc,hkc->bhwk", split, down)[..., :, None]
                    by_column = torch.einsum("bhwc,wkc->bhwk", split, across)[..., None, :]
                for first in range(0, rows, lines):
                    stop_point()
                    chosen = slice(first * columns, (first + lines) * columns)
                    scores = q[:, chosen] @ k
                    if self.use_rel_pos:
                        grid = scores.view(len(q), -1, columns, rows, columns)
                        grid += by_row[:, first : first + lines]
                        grid += by_column[:, first : first + lines]
                    out[part, chosen, head] = scores.softmax(dim=-1) @ v
        return out.view(batch, rows, columns, -1)

    def _tables(self, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """Position vectors (query row, key row, head width) and the same for columns."""
        if not self.use_rel_pos:
            empty = self.qkv.weight.new_empty(0)
            return empty, empty
        return get_rel_pos(rows, rows, self.rel_pos_h), get_rel_pos(columns, columns, self.rel_pos_w)

    def _bias(self, query: Tensor, rows: int, columns: int) -> Tensor:
        """What position adds to the scores: (B, heads, tokens, tokens)."""
        down, across = self._tables(rows, columns)
        split = query.reshape(*query.shape[:2], rows, columns, -1)
        by_row = torch.einsum("bnhwc,hkc->bnhwk", split, down)
        by_column = torch.einsum("bnhwc,wkc->bnhwk", split, across)
        return (by_row[..., :, None] + by_column[..., None, :]).flatten(4, 5).flatten(2, 3)


class FastBlock(Block):
    """``Block`` that takes linear layers in pieces on a CPU and leaves out what pads its windows."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        stop_point()
        if torch.is_grad_enabled() or x.device.type != "cpu" or not isinstance(self.attn, FastAttention):
            return torch.as_tensor(super().forward(x))
        # The patch embedding hands over a permuted view, of which pieces could not be changed in place.
        x = torch.add(x, self._attend(x)).contiguous()
        flat = x.flatten(0, 2)
        for piece in torch.split(flat, _TOKENS_AT_ONCE):
            stop_point()
            piece += self.mlp(self.norm2(piece))
        return x

    def _attend(self, x: Tensor) -> Tensor:
        """What attention adds to every patch."""
        attention = self.attn
        if self.window_size == 0:
            qkv = _in_pieces(x, lambda piece: attention.qkv(self.norm1(piece)))
            return _in_pieces(attention.chunked(qkv), attention.proj)
        rows, columns, side = x.shape[1], x.shape[2], self.window_size
        # Padding is zeros after the norm, so its queries, keys and values are what the layer makes of one zero.
        padding = attention.qkv(x.new_zeros(1, 1, 1, x.shape[-1]))
        found = torch.empty_like(x)
        for image in range(len(x)):
            # One row of windows after the other, so that no buffer is larger than the processor's cache.
            for top in range(0, rows, side):
                stop_point()
                strip = x[image : image + 1, top : top + side]
                padded = padding.expand(1, side, columns + -columns % side, -1).clone()
                padded[:, : strip.shape[1], :columns] = attention.qkv(self.norm1(strip))
                windows, size = window_partition(padded, side)
                attended = window_unpartition(attention.chunked(windows), side, size, (strip.shape[1], columns))
                found[image, top : top + side] = attention.proj(attended)[0]
        return found


def speed_up(encoder: ImageEncoderViT) -> None:
    """Exchange the classes of the encoder's blocks, in place; weights, names and answers stay as they are."""
    for block in encoder.blocks:
        if type(block) is Block:
            block.__class__ = FastBlock
        if type(block.attn) is Attention:
            block.attn.__class__ = FastAttention


def _in_pieces(x: Tensor, layer: Callable[[Tensor], Tensor]) -> Tensor:
    """``layer`` over the last axis of (B, H, W, C), some patches at a time."""
    flat = x.flatten(0, 2)
    found: Tensor | None = None
    for first in range(0, len(flat), _TOKENS_AT_ONCE):
        stop_point()
        piece = layer(flat[first : first + _TOKENS_AT_ONCE])
        if found is None:
            found = piece.new_empty(len(flat), piece.shape[-1])
        found[first : first + len(piece)] = piece
    assert found is not None
    return found.view(*x.shape[:3], -1)
