"""segment-anything's mask decoder for as many images as prompts, as MedSAM and the compact model are run."""

from __future__ import annotations

import torch
from torch import Tensor

from hemaview.segmentation.sam_modeling import MaskDecoder


class PairedMaskDecoder(MaskDecoder):
    """Same parameters as ``MaskDecoder``; image embedding n belongs to prompt n, or one embedding to all prompts.

    The original repeats every embedding for every prompt. Only the single-mask token is answered: neither model
    trains or uses another.
    """

    def predict_masks(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, 1, 4 h, 4 w) and predicted IoU (B, tokens) from embeddings (B or 1, C, h, w)."""
        batch = sparse_prompt_embeddings.shape[0]
        tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).unsqueeze(0).expand(batch, -1, -1)
        tokens = torch.cat((tokens, sparse_prompt_embeddings), dim=1)
        source = image_embeddings.expand(batch, -1, -1, -1) + dense_prompt_embeddings
        _, width, rows, columns = source.shape
        decoded, source = self.transformer(source, image_pe.expand(batch, -1, -1, -1), tokens)
        upscaled = self.output_upscaling(source.transpose(1, 2).reshape(batch, width, rows, columns))
        kernel = self.output_hypernetworks_mlps[0](decoded[:, 1]).unsqueeze(1)
        masks = (kernel @ upscaled.flatten(2)).view(batch, 1, *upscaled.shape[2:])
        return masks, self.iou_prediction_head(decoded[:, 0])
