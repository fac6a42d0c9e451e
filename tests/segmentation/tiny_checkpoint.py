"""A checkpoint of a tiny SAM of random numbers, for tests of what happens to files."""

from __future__ import annotations

from pathlib import Path

import torch

from hemaview.segmentation.sam.architecture import SamArchitecture, build_sam

TINY_SAM = SamArchitecture(
    image_size=64,
    width=32,
    depth=2,
    heads=2,
    window=3,
    global_blocks=(1,),
    prompt_width=32,
    decoder_mlp=64,
    iou_width=32,
)
"""64 px, two blocks, one of them with windows that need padding."""


def write_checkpoint(path: Path, seed: int = 0) -> Path:
    """Write the weights in the form MedSAM is published in."""
    torch.manual_seed(seed)
    torch.save(build_sam(TINY_SAM).state_dict(), path)
    return path
