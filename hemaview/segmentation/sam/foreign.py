"""Telling a person what a file is that HEMAVIEW cannot use as a SAM ViT-B checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

_SIGNS = (
    ("vision_encoder.", "is MedSAM or SAM in the layout of Hugging Face transformers"),
    ("shared_image_embedding.", "is MedSAM or SAM in the layout of Hugging Face transformers"),
    ("image_encoder.patch_embed.seq.", "is LiteMedSAM (or another TinyViT model), which is a different network"),
    ("image_encoder.layers.", "is LiteMedSAM (or another TinyViT model), which is a different network"),
    ("image_encoder.trunk.", "is SAM 2, which is a different network"),
    ("sam_mask_decoder.", "is SAM 2, which is a different network"),
)
_ADAPTER_SIGNS = ("lora_", "w_a_", "w_b_", "linear_a_", "linear_b_")
_LARGER = {1024: "ViT-L", 1280: "ViT-H"}
_NOTHING_OF_SAM = "holds no Segment Anything model"


def describe(content: Mapping) -> str | None:
    """What a state dict of another program is, as the end of a sentence; None where it may be a SAM ViT."""
    names = [name.removeprefix("module.") for name in content if isinstance(name, str)]
    for sign, text in _SIGNS:
        if any(name.startswith(sign) for name in names):
            return text
    if any(sign in name for name in names for sign in _ADAPTER_SIGNS):
        return "holds an adapter of another program and not a whole model"
    width = _width(content)
    if width in _LARGER:
        return f"is SAM {_LARGER[width]}, and HEMAVIEW runs the size ViT-B only"
    if not any(name.startswith("image_encoder.") for name in names):
        parts = {name.split(".")[0] for name in names}
        if parts & {"mask_decoder", "prompt_encoder"}:
            return "holds only a part of a Segment Anything model, without its image encoder"
        if {"optimizer", "state", "param_groups"} & parts:
            return "holds the state of an optimiser and no model"
        return _NOTHING_OF_SAM
    return None


def _width(content: Mapping) -> int:
    for prefix in ("", "module."):
        shape = tuple(getattr(content.get(f"{prefix}image_encoder.pos_embed"), "shape", ()))
        if len(shape) == 4:
            return int(shape[-1])
    return 0
