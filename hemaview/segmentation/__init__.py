"""Engines that turn a scan and a prompt into a per-voxel probability."""

from hemaview.segmentation.contract import (
    BoxPrompt,
    CancelToken,
    EngineInfo,
    FixedSlice,
    OnSlice,
    PointPrompt,
    Prompt,
    Segmentation,
    Segmenter,
    SliceResult,
)

__all__ = [
    "BoxPrompt",
    "CancelToken",
    "EngineInfo",
    "FixedSlice",
    "OnSlice",
    "PointPrompt",
    "Prompt",
    "Segmentation",
    "Segmenter",
    "SliceResult",
]
