"""The state of a run on disk: whole or not at all, so that a killed run goes on where it was."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from hemaview.adaptation.datasets.labelled import DataError
from hemaview.adaptation.learning.student import State
from hemaview.saving import save_atomically


@dataclass
class Progress:
    """Where a run is. ``rows`` are the lines of the table of figures; ``waited`` counts checks without a better Dice.

    The order of the data needs no entry: it follows from the step.
    """

    step: int = 0
    minutes: float = 0.0
    first_dice: float = -1.0
    best_dice: float = -1.0
    best_step: int = 0
    waited: int = 0
    ended: str = ""
    rows: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything needed to go on: ``run`` is a digest of what was asked for, so that no other run takes it over."""

    run: str
    progress: Progress
    student: State
    average: State
    best: State
    optimiser: dict[str, Any]
    random: torch.Tensor

    def save(self, path: Path) -> None:
        """Write it; ``ExportError`` on a full disk or a folder that cannot be written to."""
        content = {
            "run": self.run,
            "progress": asdict(self.progress),
            "student": self.student,
            "average": self.average,
            "best": self.best,
            "optimiser": self.optimiser,
            "random": self.random,
        }
        stream = io.BytesIO()
        torch.save(content, stream)
        save_atomically(path, stream.getbuffer(), "The state of the training")


def read_checkpoint(path: Path, run: str) -> Checkpoint | None:
    """The state in ``path``, None where there is none; ``DataError`` when it is damaged or of another run."""
    if not path.exists():
        return None
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        progress = Progress(**content.pop("progress"))
        found = Checkpoint(progress=progress, **content)
    except Exception as error:  # a damaged file raises whatever its reader stumbles over
        raise DataError(f"The state of the training in {path} cannot be read; choose a new folder.") from error
    if found.run != run:
        raise DataError(
            f"The folder {path.parent} holds a run with other settings or other scans; choose a new folder."
        )
    return found
