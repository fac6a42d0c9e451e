"""The fine network: a small Segment Anything model that draws a lesion's edge in one slice from a box."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hemaview.segmentation.compact.crops import FINE_SIZE
from hemaview.segmentation.compact.encoder import TinyEncoder
from hemaview.segmentation.paired_decoder import PairedMaskDecoder
from hemaview.segmentation.sam_modeling import PromptEncoder, TwoWayTransformer

PROMPT_LOGIT_LIMIT = 8.0
"""Logits of the mask prompt are clamped to plus or minus this value."""


Points = tuple[Tensor, Tensor]
"""Coordinates (B, N, 2) as x, y in crop pixels (centres at integers) and labels (B, N): 1 lesion, 0 not, -1 none."""


class TinySam(nn.Module):
    """Promptable 2D segmentation of a 96 px crop round a box; about 1.7 M parameters.

    ``encode`` takes (B, 1, 96, 96) normalised crops, ``decode`` an embedding, boxes (B, 4) as x0, y0, x1, y1 in
    crop pixels (centres at integers, faces at halves) and optionally a mask prompt, which is (B, 1, 96, 96) logits of
    an earlier estimate, and points in segment-anything's convention. The answer is (B, 1, 96, 96) logits and the (B,)
    estimated IoU of the mask.
    """

    def __init__(self, size: int = FINE_SIZE, width: int = 128) -> None:
        super().__init__()
        self.size = size
        self.image_encoder = TinyEncoder(size, width)
        self.prompt_encoder = PromptEncoder(
            embed_dim=width,
            image_embedding_size=(size // 4, size // 4),
            input_image_size=(size, size),
            mask_in_chans=8,
        )
        self.mask_decoder = PairedMaskDecoder(
            num_multimask_outputs=0,
            transformer=TwoWayTransformer(depth=2, embedding_dim=width, mlp_dim=4 * width, num_heads=8),
            transformer_dim=width,
            iou_head_depth=3,
            iou_head_hidden_dim=width,
        )

    def encode(self, crops: Tensor) -> Tensor:
        """Embedding (B, width, 24, 24) of normalised crops (B, 1, 96, 96)."""
        return torch.as_tensor(self.image_encoder(crops))

    def decode(
        self, embedding: Tensor, boxes: Tensor, mask_prompt: Tensor | None = None, points: Points | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, 1, 96, 96) and estimated IoU (B,) for one box and its points per embedding."""
        if mask_prompt is not None:
            mask_prompt = mask_prompt.clamp(-PROMPT_LOGIT_LIMIT, PROMPT_LOGIT_LIMIT)
        sparse, dense = self.prompt_encoder(points=points, boxes=boxes, masks=mask_prompt)
        logits, iou = self.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        return logits, iou[:, 0]

    def forward(
        self, crops: Tensor, boxes: Tensor, mask_prompt: Tensor | None = None, points: Points | None = None
    ) -> tuple[Tensor, Tensor]:
        """``decode`` of ``encode``."""
        return self.decode(self.encode(crops), boxes, mask_prompt, points)
