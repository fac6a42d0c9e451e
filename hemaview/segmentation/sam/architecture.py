"""How large a Segment Anything model is, read from the shapes of its weights, and the empty network of that size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from hemaview.segmentation.paired_decoder import PairedMaskDecoder
from hemaview.segmentation.sam_modeling import (
    ImageEncoderViT,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

_DECODER_HEADS = 8
_DECODER_DEPTH = 2
_IOU_HEAD_DEPTH = 3
_BLOCK = re.compile(r"image_encoder\.blocks\.(\d+)\.")


@dataclass(frozen=True)
class SamArchitecture:
    """The sizes that tell one Segment Anything model from another; the defaults are ViT-B at 1024 pixels."""

    image_size: int = 1024
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    window: int = 14
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    prompt_width: int = 256
    mask_channels: int = 16
    decoder_mlp: int = 2048
    iou_width: int = 256
    extra_masks: int = 3

    @property
    def grid(self) -> int:
        """Patches along a side of the image."""
        return self.image_size // self.patch

    def fits_within(self, other: SamArchitecture) -> bool:
        """Whether nothing in it is larger than in ``other``."""
        mine, theirs = vars(self), vars(other)
        return self.patch == other.patch and all(
            mine[name] <= theirs[name] for name in mine if name not in ("global_blocks", "heads", "patch")
        )

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> SamArchitecture:
        """The architecture whose parameters have these shapes.

        ``tensors`` are named as in segment-anything. Raises ``ValueError`` with a phrase that says what does not fit;
        it may be the result of a damaged file, so nothing here allocates by it.
        """
        position = _shape(tensors, "image_encoder.pos_embed", 4)
        patches = _shape(tensors, "image_encoder.patch_embed.proj.weight", 4)
        if position[0] != 1 or position[1] != position[2] or patches[2] != patches[3] or patches[1] != 3:
            raise ValueError(f"its position table has the shape {position}")
        grid, width, patch = position[1], position[3], patches[2]
        depth = 1 + max((int(m[1]) for name in tensors if (m := _BLOCK.match(name))), default=-1)
        reaches, head_widths = [], set()
        for number in range(depth):
            along, head_width = _shape(tensors, f"image_encoder.blocks.{number}.attn.rel_pos_h", 2)
            reaches.append((along + 1) // 2)
            head_widths.add(head_width)
        if depth == 0 or len(head_widths) != 1 or width % (head_width := head_widths.pop()):
            raise ValueError("its blocks do not fit one another")
        windows = {reach for reach in reaches if reach != grid}
        if len(windows) > 1:
            raise ValueError("its windows have different sizes")
        decoder = "mask_decoder.transformer.layers.0.mlp.lin1.weight"
        return cls(
            image_size=grid * patch,
            patch=patch,
            width=width,
            depth=depth,
            heads=width // head_width,
            window=windows.pop() if windows else 0,
            global_blocks=tuple(number for number, reach in enumerate(reaches) if reach == grid),
            prompt_width=_shape(tensors, "image_encoder.neck.0.weight", 4)[0],
            mask_channels=_shape(tensors, "prompt_encoder.mask_downscaling.3.weight", 4)[0],
            decoder_mlp=_shape(tensors, decoder, 2)[0],
            iou_width=_shape(tensors, "mask_decoder.iou_prediction_head.layers.0.weight", 2)[0],
            extra_masks=_shape(tensors, "mask_decoder.mask_tokens.weight", 2)[0] - 1,
        )


VIT_B = SamArchitecture()


def build_sam(architecture: SamArchitecture = VIT_B) -> Sam:
    """A network with segment-anything's own modules and names, in evaluation mode.

    Its weights are random, or without storage inside ``torch.device("meta")``. Position tables start at zero, as in
    the original. The mask decoder is the one for paired images and prompts (``PairedMaskDecoder``).
    """
    a = architecture
    net = Sam(
        image_encoder=ImageEncoderViT(
            img_size=a.image_size,
            patch_size=a.patch,
            embed_dim=a.width,
            depth=a.depth,
            num_heads=a.heads,
            out_chans=a.prompt_width,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=a.window,
            global_attn_indexes=a.global_blocks,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=a.prompt_width,
            image_embedding_size=(a.grid, a.grid),
            input_image_size=(a.image_size, a.image_size),
            mask_in_chans=a.mask_channels,
        ),
        mask_decoder=PairedMaskDecoder(
            num_multimask_outputs=a.extra_masks,
            transformer=TwoWayTransformer(
                depth=_DECODER_DEPTH, embedding_dim=a.prompt_width, mlp_dim=a.decoder_mlp, num_heads=_DECODER_HEADS
            ),
            transformer_dim=a.prompt_width,
            iou_head_depth=_IOU_HEAD_DEPTH,
            iou_head_hidden_dim=a.iou_width,
        ),
    )
    return net.eval()


def fill_sam(architecture: SamArchitecture, tensors: Mapping[str, Tensor]) -> Sam:
    """The network with ``tensors`` as its weights, taken over and not copied.

    Raises ``ValueError`` for a missing, unknown or unfitting name before anything is allocated.
    """
    with torch.device("meta"):
        net = build_sam(architecture)
    expected = net.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise ValueError(f"{name} is missing")
        if tensors[name].shape != tensor.shape:
            raise ValueError(f"{name} has the shape {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}")
    unknown = sorted(set(tensors) - set(expected))
    if unknown:
        raise ValueError(f"{unknown[0][:80]!r} is not part of it")
    net.load_state_dict(dict(tensors), assign=True)
    # HEMAVIEW never calls Sam.preprocess; its two constants are no weights and must not stay without storage.
    for constant in ("pixel_mean", "pixel_std"):
        net.register_buffer(constant, torch.zeros(3, 1, 1), persistent=False)
    return net.eval().requires_grad_(False)


def _shape(tensors: Mapping[str, Tensor], name: str, dimensions: int) -> tuple[int, ...]:
    if name not in tensors:
        raise ValueError(f"{name} is missing")
    shape = tuple(tensors[name].shape)
    if len(shape) != dimensions or 0 in shape:
        raise ValueError(f"{name} has the shape {shape}")
    return shape
