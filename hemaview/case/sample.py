"""The sample phantom that comes with the program, with the volume that was put into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hemaview.errors import ScanError
from hemaview.resources import resource_path
from hemaview.segmentation import BoxPrompt


@dataclass(frozen=True)
class Sample:
    """A synthetic head scan: where it and its true mask lie, a box round its haematoma, the true volume in mL."""

    title: str
    scan: Path
    truth: Path
    box: BoxPrompt
    true_volume_ml: float


def load_sample() -> Sample:
    """The shipped sample; ``ScanError`` when its files are missing or damaged."""
    folder = resource_path("assets", "sample")
    try:
        data = json.loads((folder / "sample.json").read_text(encoding="utf-8"))
        ax, ay, az, bx, by, bz = (float(value) for value in data["box_lps"])
        sample = Sample(
            title=str(data["title"]),
            scan=folder / data["scan"],
            truth=folder / data["truth"],
            box=BoxPrompt((ax, ay, az), (bx, by, bz)),
            true_volume_ml=float(data["true_volume_ml"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScanError("The sample phantom is missing or damaged; install HEMAVIEW again.") from error
    if not sample.scan.is_file():
        raise ScanError("The sample phantom's scan is missing; install HEMAVIEW again.")
    return sample
