"""Which model and adapter answer, remembered from one start to the next."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hemaview.errors import ExportError
from hemaview.saving import save_atomically
from hemaview.segmentation.contract import Segmenter
from hemaview.segmentation.registry import DEFAULT_ENGINE, load_engine

_log = logging.getLogger(__name__)

CHOICE_NAME = "engine.json"
"""The file beside the cases that keeps the choice."""


@dataclass(frozen=True)
class EngineChoice:
    """A model by its name in the registry, and the file of the adapter that goes into it."""

    name: str = DEFAULT_ENGINE
    adapter: Path | None = None


EngineSource = Callable[[EngineChoice], Segmenter]
"""Builds the engine of a choice; ``ModelError`` when it is missing or damaged."""


def load_choice(choice: EngineChoice) -> Segmenter:
    """The engine of a choice from the registry."""
    return load_engine(choice.name, adapter=choice.adapter)


def read_choice(folder: Path) -> EngineChoice:
    """The choice kept in ``folder``; the bundled model where there is none or it cannot be read."""
    try:
        data = json.loads((folder / CHOICE_NAME).read_text(encoding="utf-8"))
        adapter = data["adapter"]
        return EngineChoice(str(data["name"]), None if adapter is None else Path(str(adapter)))
    except FileNotFoundError:
        return EngineChoice()
    except (OSError, ValueError, KeyError, TypeError):
        _log.warning("the choice of model in %s cannot be read", CHOICE_NAME)
        return EngineChoice()


def keep_choice(folder: Path, choice: EngineChoice) -> None:
    """Remember a choice; a folder that cannot be written forgets it at the end."""
    adapter = None if choice.adapter is None else str(choice.adapter)
    text = json.dumps({"name": choice.name, "adapter": adapter}, indent=2) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_atomically(folder / CHOICE_NAME, text.encode("utf-8"), "The choice of model")
    except (ExportError, OSError):
        _log.warning("the choice of model cannot be kept")
