"""segment-anything's network parts, imported without torchvision.

``import segment_anything`` pulls in torchvision through its automatic mask generator, which HEMAVIEW does not use.
A bare package object with the right search path lets ``segment_anything.modeling`` import on its own.
"""

from __future__ import annotations

import importlib.util
import sys
import types

from hemaview.errors import ModelError


def _prepare_package() -> None:
    if "segment_anything" in sys.modules:
        return
    spec = importlib.util.find_spec("segment_anything")
    if spec is None or spec.submodule_search_locations is None:
        raise ModelError("The package segment-anything is missing; install HEMAVIEW again.")
    package = types.ModuleType("segment_anything")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules["segment_anything"] = package


_prepare_package()

from segment_anything.modeling import (  # noqa: E402 - the package object must exist first
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)
from segment_anything.modeling.image_encoder import (  # noqa: E402
    Attention,
    Block,
    get_rel_pos,
    window_partition,
    window_unpartition,
)

__all__ = [
    "Attention",
    "Block",
    "ImageEncoderViT",
    "MaskDecoder",
    "PromptEncoder",
    "Sam",
    "TwoWayTransformer",
    "get_rel_pos",
    "window_partition",
    "window_unpartition",
]
