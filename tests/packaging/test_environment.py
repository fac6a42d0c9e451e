"""Which Python, which packages, and when an installed set-up counts as current."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest


def test_the_hash_covers_everything_the_packages_depend_on(environment: ModuleType, checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    seen = {environment.fingerprint(checkout, "cpu"), environment.fingerprint(checkout, "cuda")}
    for file in ("pyproject.toml", "packaging/constraints.txt", ".venv/pyvenv.cfg"):
        (checkout / file).write_text("changed")
        seen.add(environment.fingerprint(checkout, "cpu"))
    assert len(seen) == 5
    assert environment.fingerprint(checkout, "cpu") in seen


@pytest.mark.parametrize("content", ["", "not json", "[1]"])
def test_a_damaged_stamp_counts_as_none(environment: ModuleType, tmp_path: Path, content: str) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / environment.STAMP).write_text(content)
    assert environment.read_stamp(tmp_path) == {}


@pytest.mark.parametrize(
    ("installed_version", "build", "platform", "needed"),
    [
        ("", "cpu", "linux", True),
        ("2.12.0+cpu", "cpu", "linux", True),
        ("2.13.0+cpu", "cpu", "linux", False),
        ("2.13.0", "cpu", "linux", True),
        ("2.13.0", "cpu", "darwin", False),
        ("2.13.0", "cpu", "win32", False),
        ("2.13.0", "cuda", "linux", False),
        ("2.13.0+cpu", "cuda", "linux", True),
        ("2.13.0+cu130", "cuda", "win32", False),
        ("2.13.0", "cuda", "win32", True),
    ],
)
def test_which_installed_torch_is_kept(
    environment: ModuleType, installed_version: str, build: str, platform: str, needed: bool
) -> None:
    assert environment.needs_torch(installed_version, "2.13.0", build, platform) is needed


def test_a_folder_that_is_no_virtual_environment_is_left_alone(environment: ModuleType, tmp_path: Path) -> None:
    keep = tmp_path / ".venv" / "thesis.txt"
    keep.parent.mkdir()
    keep.write_text("years of work")
    with pytest.raises(environment.SetupError, match="is no virtual environment"):
        environment.make_venv(tmp_path)
    assert keep.read_text() == "years of work"


def test_a_full_disk_is_said_before_anything_is_written(
    environment: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = environment.shutil.disk_usage(checkout)._replace(free=10**9)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(environment.SetupError, match=r"needs about 4 GB .* has 1\.0 GB free"):
        environment.set_up(checkout)
    assert not (checkout / ".venv").exists()


def test_no_suitable_python_is_said_with_the_versions(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "python_candidates", lambda: [["/does/not/exist"], ["true"]])
    with pytest.raises(environment.SetupError, match=r"needs 64-bit CPython 3\.11 to 3\.13"):
        environment.find_python()


def test_the_running_python_is_taken_first(environment: ModuleType) -> None:
    assert environment.find_python() == [sys.executable]


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("NewConnectionError: Failed to establish\nERROR: No matching distribution found for x", "did not answer"),
        ("ERROR: No matching distribution found for x", "no wheel for this machine"),
        ("ERROR: something else", "last lines of pip's log"),
    ],
)
def test_pip_failures_are_told_apart(environment: ModuleType, output: str, cause: str) -> None:
    assert cause in environment.explain(output)


def test_a_failing_pip_leaves_the_old_stamp_invalid(
    environment: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "pyvenv.cfg").write_text("")
    (checkout / ".venv" / environment.STAMP).write_text(json.dumps({"fingerprint": "old", "build": "cpu"}))

    def fail(root: Path) -> None:
        raise environment.SetupError("stopped here")

    monkeypatch.setattr(environment, "make_venv", fail)
    with pytest.raises(environment.SetupError, match="stopped here"):
        environment.set_up(checkout)
    assert environment.read_stamp(checkout) == {}
