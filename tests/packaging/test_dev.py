"""The commands of packaging/dev.py, and a whole set-up without network: real venv, real pip, small wheels."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def installed(python: Path, name: str) -> str:
    """Version of a distribution as that interpreter sees it."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    answer = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def test_set_up_from_nothing_repeated_changed_and_failing(
    dev: ModuleType,
    environment: ModuleType,
    checkout: Path,
    add_to_index: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for version in ("2.13.0", "2.13.0+cpu", "2.14.0"):
        add_to_index("torch", version)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(dev, "ROOT", checkout)
    monkeypatch.setattr(environment, "answers", lambda url: False)
    monkeypatch.setattr(dev, "install_debian_packages", lambda names: True)
    monkeypatch.setattr(dev.signal, "signal", lambda number, handler: None)
    log, pins = checkout / ".venv" / "install.log", checkout / "packaging" / "constraints.txt"

    python = environment.set_up(checkout)
    assert installed(python, "torch") == "2.13.0+cpu"
    assert installed(python, "hemaview") == "1.0"
    assert "CPU build" in capfd.readouterr().out

    log.unlink()
    assert environment.set_up(checkout) == python
    assert not log.exists()
    assert capfd.readouterr().out == ""

    assert environment.set_up(checkout, "cuda") == python
    assert installed(python, "torch") == "2.13.0"
    log.unlink()
    environment.set_up(checkout)
    assert not log.exists(), "a later command without --cuda keeps the CUDA build"

    pins.write_text("torch==2.14.0\n")
    assert dev.main(["--cpu", "setup"]) == 0
    assert installed(python, "torch") == "2.14.0"
    assert "No CPU build can be reached" in capfd.readouterr().out

    pins.write_text("torch==2.15.0\n")
    assert dev.main(["setup"]) == 1
    error = capfd.readouterr().err
    assert error.startswith("dev.py: torch could not be installed: the package index has no wheel")
    assert f"The whole log: {log}" in error
    assert "No matching distribution found for torch" in error
    assert environment.read_stamp(checkout) == {}, "an incomplete set-up is not taken for a complete one"


def test_the_program_runs_from_the_folder_that_holds_the_checkout(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hemaview" / "hemaview").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dev, "set_up", lambda root, wanted: Path(sys.executable))
    monkeypatch.setattr(dev, "install_debian_packages", lambda names: True)
    assert dev.run(["--version"], None) == 0
    assert capfd.readouterr().out.startswith("HEMAVIEW ")


def test_a_debugger_or_a_number_of_workers_given_by_hand_is_respected(dev: ModuleType) -> None:
    assert dev.workers(["--pdb"]) == dev.workers(["-n", "3"]) == dev.workers(["--numprocesses=3"]) == 1
    assert 1 <= dev.workers(["-k", "name", "--new-first"]) <= 4


@pytest.mark.parametrize("arguments", [["dance"], []])
def test_an_unknown_command_lists_the_known_ones(dev: ModuleType, arguments: list[str]) -> None:
    answer = subprocess.run([sys.executable, dev.__file__, *arguments], capture_output=True, text=True)
    assert answer.returncode == 2
    assert "demo,test,run,lint,bench,guide,setup" in answer.stderr.replace(" ", "")


def test_the_table_needs_scans_and_says_how_to_name_them(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEMAVIEW_SHARED", str(tmp_path / "nowhere"))
    with pytest.raises(dev.SetupError, match="by --data FOLDER"):
        dev.bench([], None)
