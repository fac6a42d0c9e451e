"""Whether recent cases are told by their files' names, remembered from one start to the next."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from hemaview.errors import ExportError
from hemaview.saving import save_atomically

_log = logging.getLogger(__name__)

CHOICE_NAME = "start-page.json"
"""The file beside the cases that keeps the choice."""

_KEY = "file_names"


def read_names_choice(folder: Path) -> bool:
    """The choice kept in ``folder``; no names where there is none or it cannot be read."""
    try:
        return json.loads((folder / CHOICE_NAME).read_text(encoding="utf-8"))[_KEY] is True
    except (OSError, ValueError, KeyError, TypeError):
        return False


def keep_names_choice(folder: Path, with_names: bool) -> None:
    """Remember the choice; a folder that cannot be written forgets it at the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_atomically(folder / CHOICE_NAME, json.dumps({_KEY: with_names}).encode(), "The choice of names")
    except (ExportError, OSError):
        _log.warning("the choice of names cannot be kept")
