"""What an adapter says about itself, and reading it from the file's header without loading torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hemaview.errors import ModelError
from hemaview.segmentation.adapters.config import AdapterConfig

FORMAT_VERSION = "1"
VERSION_KEY = "hemaview_adapter"
"""The entry of a safetensors header's metadata that makes the file an adapter; its value is the format's version."""
CARD_KEY = "card"
LARGEST_HEADER = 4 * 2**20
"""Bytes; a real header has some ten thousand."""
_LONGEST_LINE = 200
_LONGEST_TEXT = 4000
_MOST_FIGURES = 200


@dataclass(frozen=True)
class AdapterCard:
    """What an adapter is for, what it learned from and how good it was.

    ``base_sha256`` is ``ModelRecord.fingerprint`` of the model it was made for and fits no other. ``figures`` are
    numbers by name, for example "dice_after". ``created`` is ISO 8601, ``program`` names what wrote the file. Raises
    ``ModelError`` for text that is empty, too long or more than a line, and for figures that are not numbers.
    """

    title: str
    base_name: str
    base_sha256: str
    config: AdapterConfig
    trained_on: str
    figures: Mapping[str, float]
    created: str
    program: str

    def __post_init__(self) -> None:
        for name, text in (("title", self.title), ("base_name", self.base_name), ("program", self.program)):
            _check_line(name, text, _LONGEST_LINE)
        _check_line("trained_on", self.trained_on, _LONGEST_TEXT)
        if len(self.base_sha256) != 64 or set(self.base_sha256.lower()) - set("0123456789abcdef"):
            raise ModelError("The adapter's base_sha256 must be the 64 hexadecimal digits of its base model's hash.")
        try:
            datetime.fromisoformat(self.created)
        except ValueError:
            raise ModelError("The adapter's created must be a date as in 2026-11-22T20:00:00.") from None
        for name, figure in self.figures.items():
            _check_line("figure", name, _LONGEST_LINE)
            if isinstance(figure, bool) or not isinstance(figure, int | float) or not math.isfinite(figure):
                raise ModelError(f"The adapter's figure {name} must be a finite number.")
        if len(self.figures) > _MOST_FIGURES:
            raise ModelError(f"An adapter's card holds at most {_MOST_FIGURES} figures; leave some out.")

    def to_metadata(self) -> dict[str, str]:
        """The metadata of the safetensors header."""
        card = {**vars(self), "config": self.config.to_json(), "figures": dict(self.figures)}
        return {VERSION_KEY: FORMAT_VERSION, CARD_KEY: json.dumps(card, allow_nan=False, ensure_ascii=False)}


def read_card(path: Path) -> AdapterCard:
    """The card of the adapter at ``path``; reads the header only.

    Raises ``ModelError`` for a file that is missing, no adapter, of an unknown version or with a damaged card. The
    tensors are not looked at: ``read_adapter`` does that.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            size = int.from_bytes(start, "little")
            header = stream.read(size) if 0 < size <= LARGEST_HEADER else b""
    except OSError as error:
        raise unreadable(path, error) from error
    return parse_card(start + header, path)


def parse_card(content: bytes, path: Path) -> AdapterCard:
    """The card in a file's first bytes; ``path`` is for the sentence only. Raises as ``read_card``."""
    size = int.from_bytes(content[:8], "little")
    foreign = ModelError(
        f'The file "{path.name}" is not an adapter of HEMAVIEW; choose one that was made with "hemaview train".'
    )
    if not 0 < size <= min(LARGEST_HEADER, len(content) - 8):
        raise foreign
    try:
        header = json.loads(content[8 : 8 + size])
        metadata = header["__metadata__"]
        version, card = metadata[VERSION_KEY], metadata.get(CARD_KEY)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise foreign from None
    if version != FORMAT_VERSION:
        raise ModelError(
            f'The adapter "{path.name}" has a format that this version of HEMAVIEW does not know; update HEMAVIEW.'
        )
    try:
        return _card(json.loads(card))
    except (ModelError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f'The card of the adapter "{path.name}" is damaged; make or fetch the file again.') from error


def unreadable(path: Path, error: OSError) -> ModelError:
    """The sentence for a file that cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return ModelError(f'The adapter "{path.name}" is missing; choose another one.')
    reason = error.strerror or type(error).__name__
    return ModelError(f'The adapter "{path.name}" cannot be read ({reason}); choose another one.')


def _card(content: Mapping[str, Any]) -> AdapterCard:
    texts = ("title", "base_name", "base_sha256", "trained_on", "created", "program")
    if set(content) != {*texts, "config", "figures"} or not all(isinstance(content[name], str) for name in texts):
        raise ValueError("unknown entries")
    if not isinstance(content["figures"], dict):
        raise TypeError("figures")
    return AdapterCard(
        **{name: content[name] for name in texts},
        config=AdapterConfig.from_json(content["config"]),
        figures=content["figures"],
    )


def _check_line(name: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest or not text.isprintable():
        raise ModelError(f"The adapter's {name} must be one line of text with at most {longest} characters.")
