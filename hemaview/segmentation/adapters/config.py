"""Which parts an adapter has and where they go: plain data, no torch, so that a window can show it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from hemaview.errors import ModelError

FUSED_QKV = ("*qkv",)
"""Fused query-key-value projections: the image encoders of Segment Anything and of the compact model."""
DECODER_ATTENTION = ("*.q_proj", "*.v_proj")
"""Query and value projections of Segment Anything's mask decoder."""
ALL_CONVOLUTIONS = ("*",)
NOT_WORTH_IT = ("*patch_embed*", "*mask_downscaling*")
"""Left out of ConvLoRA: in a 16 x 16 patch embedding it is two thirds as large as the layer, and the convolutions of
the mask prompt see no scan."""
_LARGEST_RANK = 512
_MOST_PATTERNS = 64
_LONGEST_PATTERN = 200


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank corrections of linear layers whose dotted names fit one of the ``targets`` ("*" stands for anything).

    A target whose name ends in "qkv" is taken as fused: queries and values are corrected, keys are not. ``alpha`` is
    divided by the rank, or by its root when ``rank_stabilised``. Raises ``ModelError`` for numbers out of range.
    """

    rank: int = 4
    alpha: float = 4.0
    rank_stabilised: bool = False
    targets: tuple[str, ...] = FUSED_QKV
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_rank(self.rank, self.alpha)
        _check_patterns(self.targets)
        if not 0 <= self.dropout < 1:
            raise ModelError(f"The dropout of a LoRA layer must be at least 0 and less than 1, not {self.dropout}.")

    def hits(self, name: str) -> bool:
        """Whether a layer of this name is a target."""
        return any(fnmatchcase(name, pattern) for pattern in self.targets)


@dataclass(frozen=True)
class ConvLoraConfig:
    """Low-rank corrections of convolutions that fit one of ``targets`` and none of ``skip``; see ``LoraConfig``."""

    rank: int = 2
    alpha: float = 2.0
    targets: tuple[str, ...] = ALL_CONVOLUTIONS
    skip: tuple[str, ...] = NOT_WORTH_IT

    def __post_init__(self) -> None:
        _check_rank(self.rank, self.alpha)
        _check_patterns(self.targets + self.skip)

    def hits(self, name: str) -> bool:
        """Whether a layer of this name is a target."""
        if any(fnmatchcase(name, pattern) for pattern in self.skip):
            return False
        return any(fnmatchcase(name, pattern) for pattern in self.targets)


@dataclass(frozen=True)
class AdapterConfig:
    """The parts of an adapter; ``ModelError`` when it has none.

    ``adabn``: batch statistics of the target scans. ``refinement``: a small head on the mask decoder's output.
    ``decoder``: the whole mask decoder; low-rank corrections inside it are then left out.
    """

    lora: LoraConfig | None = field(default_factory=LoraConfig)
    conv_lora: ConvLoraConfig | None = None
    adabn: bool = False
    refinement: bool = False
    decoder: bool = False

    def __post_init__(self) -> None:
        if not (self.lora or self.conv_lora or self.adabn or self.refinement or self.decoder):
            raise ModelError("An adapter needs at least one part; choose LoRA, ConvLoRA, AdaBN, refinement or decoder.")

    def to_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return {
            "lora": None if self.lora is None else {**vars(self.lora), "targets": list(self.lora.targets)},
            "conv_lora": None
            if self.conv_lora is None
            else {
                **vars(self.conv_lora),
                "targets": list(self.conv_lora.targets),
                "skip": list(self.conv_lora.skip),
            },
            "adabn": self.adabn,
            "refinement": self.refinement,
            "decoder": self.decoder,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> AdapterConfig:
        """Read ``to_json``'s answer; ``ModelError`` or one of Python's value errors for anything else."""
        lora, conv = content["lora"], content["conv_lora"]
        flags = {name: content[name] for name in ("adabn", "refinement", "decoder")}
        if set(content) != {"lora", "conv_lora", *flags} or not all(type(flag) is bool for flag in flags.values()):
            raise ValueError("unknown parts")
        return cls(
            lora=None if lora is None else LoraConfig(**_typed(lora)),
            conv_lora=None if conv is None else ConvLoraConfig(**_typed(conv)),
            **flags,
        )


def _typed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a config, each of the type it has to have."""
    typed: dict[str, Any] = {}
    for name, value in content.items():
        if name in ("targets", "skip"):
            if not isinstance(value, list):
                raise TypeError(name)
            typed[name] = tuple(value)
        elif name == "rank_stabilised":
            if type(value) is not bool:
                raise TypeError(name)
            typed[name] = value
        else:
            if type(value) not in ((int,) if name == "rank" else (int, float)):
                raise TypeError(name)
            typed[name] = value
    return typed


def _check_rank(rank: int, alpha: float) -> None:
    if not 1 <= rank <= _LARGEST_RANK:
        raise ModelError(f"The rank of an adapter must be from 1 to {_LARGEST_RANK}, not {rank}.")
    if not (math.isfinite(alpha) and alpha > 0):
        raise ModelError(f"The alpha of an adapter must be a number greater than 0, not {alpha}.")


def _check_patterns(patterns: tuple[str, ...]) -> None:
    if len(patterns) > _MOST_PATTERNS or any(
        not isinstance(pattern, str) or not 0 < len(pattern) <= _LONGEST_PATTERN or pattern.count("*") > 8
        for pattern in patterns
    ):
        raise ModelError("The list of layers an adapter goes to is not usable; name them as in “*qkv”.")
