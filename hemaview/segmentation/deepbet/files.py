"""Where deepbet's two network files lie, and whether they are the ones that were published."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from hemaview.errors import ModelError

BOX_MODEL, MODEL = "data/models/bbox_model.pt", "data/models/model.pt"

_SHA256 = {
    BOX_MODEL: "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    MODEL: "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}
"""Of deepbet 1.0.2. The files are programs in TorchScript, so none but these is run."""


def is_installed() -> bool:
    """Whether the wheel ``deepbet`` is installed with its network files."""
    return all(_path(name) is not None for name in _SHA256)


def checked_path(name: str) -> Path:
    """The file, ``BOX_MODEL`` or ``MODEL``; ``ModelError`` when it is missing or not the published one."""
    path = _path(name)
    if path is None:
        raise ModelError("deepbet is not installed; install it with 'pip install --no-deps deepbet==1.0.2'.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != _SHA256[name]:
        raise ModelError(f"deepbet's file {path.name} is not the published one; install deepbet==1.0.2 again.")
    return path


def _path(name: str) -> Path | None:
    # The wheel puts its files into a top-level folder "data", so they are found by its own list of files.
    try:
        files = metadata.files("deepbet") or ()
    except metadata.PackageNotFoundError:
        return None
    found = next((Path(str(file.locate())) for file in files if str(file) == name), None)
    return found if found is not None and found.is_file() else None
