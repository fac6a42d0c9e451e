"""A model whose every weight was trained, as a registry entry of its own beside the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from hemaview.adaptation.datasets.labelled import DataError
from hemaview.adaptation.learning.student import Student
from hemaview.adaptation.training import save_weights
from hemaview.case.headless import make_folder
from hemaview.saving import save_atomically
from hemaview.segmentation.registry import ModelRecord


def write_model(folder: Path, base: ModelRecord, students: Mapping[str, Student], trained_on: str) -> Path:
    """Write weights, card and ``registry.toml`` into ``folder``; returns the registry's path.

    ``load_engine(f"{base.name}-full", registry=...)`` opens the model. Networks that did not learn are copied. Raises
    ``DataError`` for a base whose files are no safetensors: those would have to be pickled.
    """
    if any(not file.path.endswith(".safetensors") for file in base.files):
        raise DataError(f"{base.title} is too large to be trained as a whole here; choose lora or decoder.")
    make_folder(folder)
    entries = []
    for file in base.files:
        path = folder / f"{file.role}.safetensors"
        if file.role in students:
            metadata = {"role": file.role, "data": trained_on, "base": base.fingerprint}
            save_weights(students[file.role].net, path, metadata)
        else:
            save_atomically(path, base.read_file(file.role), "The model")
        content = path.read_bytes()
        entries.append((file.role, path.name, hashlib.sha256(content).hexdigest(), len(content)))
    card = f"# {base.title}, trained further as a whole\n\nTrained on {trained_on}.\n"
    save_atomically(folder / "MODEL_CARD.md", card.encode("utf-8"), "The model's card")
    lines = [
        "[[model]]",
        f"name = {json.dumps(base.name + '-full')}",
        f"title = {json.dumps(base.title + ', trained further')}",
        f"engine = {json.dumps(base.engine)}",
        f"licence = {json.dumps(base.licence)}",
        f"origin = {json.dumps('trained by hemaview train from ' + base.name)}",
        f"trained_on = {json.dumps(trained_on + '; before that: ' + base.trained_on)}",
        'card = "MODEL_CARD.md"',
    ]
    for role, name, sha256, size in entries:
        lines += [
            "",
            "[[model.file]]",
            f"role = {json.dumps(role)}",
            f"path = {json.dumps(name)}",
            f'sha256 = "{sha256}"',
            f"bytes = {size}",
        ]
    registry = folder / "registry.toml"
    save_atomically(registry, ("\n".join(lines) + "\n").encode("utf-8"), "The model's entry")
    return registry
