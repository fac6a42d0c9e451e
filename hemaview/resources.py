"""Where models, assets and the user guide lie: in a checkout, an installed wheel or the frozen application."""

from __future__ import annotations

import sys
from pathlib import Path

from hemaview.errors import HemaviewError

KINDS = ("models", "assets", "docs")
"""The folders that are shipped; they lie beside each other wherever they lie."""


def resource_path(kind: str, *parts: str) -> Path:
    """Path of a shipped file, for example ``resource_path("models", "registry.toml")``.

    ``kind`` is one of ``KINDS``. The frozen application carries these folders beside the program, a wheel
    inside the package, a checkout at its top level. Raises ``HemaviewError`` when the folder is missing.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown resource kind {kind!r}")
    package = Path(__file__).resolve().parent
    bundle = getattr(sys, "_MEIPASS", None)
    roots = [Path(bundle)] if bundle else []
    roots += [package / "_resources", package.parent]
    for root in roots:
        if (root / kind).is_dir():
            return (root / kind).joinpath(*parts)
    raise HemaviewError(f"HEMAVIEW's {kind} folder is missing; install the program again.")
