"""packaging/ as modules, and a small project that installs itself without network."""

from __future__ import annotations

import base64
import hashlib
import importlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"

# A project that builds itself, so that its editable install fetches nothing.
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "hemaview"
version = "1.0"
"""
BACKEND = """
import zipfile
from pathlib import Path

EXTRAS = "Provides-Extra: train\\nProvides-Extra: dev\\nRequires-Dist: torch\\n"


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "hemaview-1.0-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        info = "hemaview-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: hemaview\\nVersion: 1.0\\n" + EXTRAS)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("hemaview_editable.py", f"FOLDER = {str(Path.cwd())!r}\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """packaging/dev.py as a module; the folder is no package, and its modules import one another by bare name."""
    monkeypatch.syspath_prepend(PACKAGING)
    return importlib.import_module("dev")


@pytest.fixture
def environment(dev: ModuleType) -> ModuleType:
    """packaging/environment.py."""
    return importlib.import_module("environment")


@pytest.fixture
def screen(dev: ModuleType) -> ModuleType:
    """packaging/screen.py."""
    return importlib.import_module("screen")


def write_wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel with one empty module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": b"",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for path, data in files.items()
    )
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, data in files.items():
            wheel.writestr(path, data)
        wheel.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project in a folder with spaces and an umlaut, and an offline index of wheels beside it."""
    root = tmp_path / "my scans ü" / "hema view"
    (root / "packaging").mkdir(parents=True)
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "backend.py").write_text(BACKEND)
    (root / "packaging" / "constraints.txt").write_text("torch==2.13.0\n")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "setuptools", "84.0")
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": wheels.as_uri(), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    return root


@pytest.fixture
def add_to_index(checkout: Path, tmp_path: Path) -> Callable[[str, str], None]:
    """Put a wheel of that name and version into the offline index of ``checkout``."""
    return lambda name, version: write_wheel(tmp_path / "wheels", name, version)
