"""What a run leaves behind, file by file; each appears whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hemaview.adaptation.datasets.labelled import DataError
from hemaview.adaptation.learning.loop import COLUMNS
from hemaview.case.headless import make_folder
from hemaview.saving import save_atomically


@dataclass(frozen=True)
class RunFolder:
    """The files of one run below ``path``."""

    path: Path

    @property
    def config(self) -> Path:
        """What was asked for."""
        return self.path / "config.json"

    @property
    def splits(self) -> Path:
        """Which patient is in which part."""
        return self.path / "splits.json"

    @property
    def metrics(self) -> Path:
        """Loss and validation Dice."""
        return self.path / "metrics.csv"

    @property
    def curves(self) -> Path:
        """The picture of the run."""
        return self.path / "curves.png"

    @property
    def cases(self) -> Path:
        """Every held-out scan before and after, and the verdict."""
        return self.path / "cases.json"

    @property
    def adapter(self) -> Path:
        """The result."""
        return self.path / "adapter.safetensors"

    @property
    def before(self) -> Path:
        """The base on the held-out scans, kept so that a resumed run need not ask again."""
        return self.path / "before.json"

    @property
    def model(self) -> Path:
        """The result of the method "full"."""
        return self.path / "model"

    @property
    def prepared(self) -> Path:
        """Pieces of the scans as the network sees them; deleted at the end."""
        return self.path / "prepared"

    def checkpoint(self, role: str) -> Path:
        """The state of one network's training."""
        return self.path / f"checkpoint-{role}.pt"

    def open(self, config: Mapping[str, Any]) -> None:
        """Make the folder, or go on in it; ``DataError`` when it holds a run with another ``config``."""
        make_folder(self.path)
        text = _json(config)
        if self.config.exists():
            try:
                found = json.loads(self.config.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                found = None
            if found != json.loads(text):
                raise DataError(f"The folder {self.path} holds a run with other settings; choose a new folder.")
            return
        save_atomically(self.config, text.encode("utf-8"), "The settings of the run")

    def write_json(self, path: Path, content: Mapping[str, Any], what: str) -> None:
        """Write one JSON file."""
        save_atomically(path, _json(content).encode("utf-8"), what)

    def write_metrics(self, tables: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """``metrics.csv``: a row per look at the validation scans, of every network that learned."""
        stream = io.StringIO(newline="")
        writer = csv.writer(stream)
        writer.writerow(("network", *COLUMNS))
        for role, rows in tables.items():
            for row in rows:
                writer.writerow((role, int(row[0]), *(f"{value:.6g}" for value in row[1:])))
        save_atomically(self.metrics, stream.getvalue().encode("utf-8"), "The table of the training")


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
