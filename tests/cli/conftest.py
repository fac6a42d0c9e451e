"""A scan on disk to run the command on, and the model folder as a copy that a test may damage."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from hemaview.cli import main
from hemaview.resources import resource_path

CENTRE = np.array([-18.0, 6.0, 12.0])
RADIUS_MM = 16.0


@pytest.fixture(scope="session")
def scan(tmp_path_factory) -> Path:
    """A synthetic head with a bright ball of 17.2 mL at LPS (-18, 6, 12)."""
    size, spacing = (96, 96, 30), np.array([2.0, 2.0, 4.0])
    origin = -spacing * (np.array(size) - 1) / 2
    k, j, i = np.mgrid[0 : size[2], 0 : size[1], 0 : size[0]]
    points = np.stack([i, j, k], axis=-1) * spacing + origin
    rng = np.random.default_rng(7)
    head = np.linalg.norm(points / [80, 88, 70], axis=-1) < 1
    ball = np.linalg.norm(points - CENTRE, axis=-1) < RADIUS_MM
    values = rng.normal(20, 6, head.shape) + 380 * head + 420 * ball
    image = SimpleITK.GetImageFromArray(np.clip(values, 0, None).astype(np.int16))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(origin.tolist())
    path = tmp_path_factory.mktemp("scan") / "head.nii.gz"
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="session")
def box() -> list[str]:
    """Corners a little outside the ball, as they would be typed."""
    return [f"{value:.1f}" for value in (*(CENTRE - RADIUS_MM - 2), *(CENTRE + RADIUS_MM + 2))]


@dataclass(frozen=True)
class Ran:
    """How a run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on stderr that is no note on the scan, without the program's name."""
        lines = self.err.splitlines()
        assert all(line.startswith("hemaview: ") for line in lines)
        (line,) = [line for line in lines if not line.startswith("hemaview: note: ")]
        assert line.endswith(".")
        return line.removeprefix("hemaview: ")


@pytest.fixture
def run(capfd):
    """Run the command in this process."""

    def start(*arguments) -> Ran:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as left:
            code = left.code
        out, err = capfd.readouterr()
        return Ran(int(code), out, err)

    return start


@pytest.fixture
def own_models(tmp_path, monkeypatch) -> Path:
    """The shipped models as a copy that the program uses instead."""
    copy = tmp_path / "bundle" / "models"
    shutil.copytree(resource_path("models"), copy)
    monkeypatch.setattr(sys, "_MEIPASS", str(copy.parent), raising=False)
    return copy
