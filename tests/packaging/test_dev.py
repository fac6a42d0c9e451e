"""The one-command set-up, without network: real virtual environments, pip and displays, small wheels made here."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

DEV = Path(__file__).resolve().parents[2] / "packaging" / "dev.py"

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
def dev() -> ModuleType:
    """packaging/dev.py as a module (the folder is no package)."""
    spec = importlib.util.spec_from_file_location("hemaview_dev", DEV)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_wheel(folder: Path, name: str, version: str) -> None:
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
    make_wheel(wheels, "setuptools", "84.0")
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": wheels.as_uri(), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    return root


def installed(python: Path, name: str) -> str:
    """Version of a distribution as that interpreter sees it."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    answer = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def test_set_up_from_nothing_repeated_changed_and_failing(
    dev: ModuleType, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for version in ("2.13.0", "2.13.0+cpu", "2.14.0"):
        make_wheel(tmp_path / "wheels", "torch", version)
    monkeypatch.setattr(dev.sys, "platform", "linux")
    monkeypatch.setattr(dev, "ROOT", checkout)
    monkeypatch.setattr(dev, "answers", lambda url: False)
    monkeypatch.setattr(dev, "install_debian_packages", lambda names: True)
    monkeypatch.setattr(dev.signal, "signal", lambda number, handler: None)
    log, pins = checkout / ".venv" / "install.log", checkout / "packaging" / "constraints.txt"

    python = dev.set_up(checkout)
    assert installed(python, "torch") == "2.13.0+cpu"
    assert installed(python, "hemaview") == "1.0"
    assert "CPU build" in capfd.readouterr().out

    log.unlink()
    assert dev.set_up(checkout) == python
    assert not log.exists()
    assert capfd.readouterr().out == ""

    assert dev.set_up(checkout, "cuda") == python
    assert installed(python, "torch") == "2.13.0"
    log.unlink()
    dev.set_up(checkout)
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
    assert dev.read_stamp(checkout) == {}, "an incomplete set-up is not taken for a complete one"


def test_the_hash_covers_everything_the_packages_depend_on(dev: ModuleType, checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    seen = {dev.fingerprint(checkout, "cpu"), dev.fingerprint(checkout, "cuda")}
    for file in ("pyproject.toml", "packaging/constraints.txt", ".venv/pyvenv.cfg"):
        (checkout / file).write_text("changed")
        seen.add(dev.fingerprint(checkout, "cpu"))
    assert len(seen) == 5
    assert dev.fingerprint(checkout, "cpu") in seen


@pytest.mark.parametrize("content", ["", "not json", "[1]"])
def test_a_damaged_stamp_counts_as_none(dev: ModuleType, tmp_path: Path, content: str) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / dev.STAMP).write_text(content)
    assert dev.read_stamp(tmp_path) == {}


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
    dev: ModuleType, installed_version: str, build: str, platform: str, needed: bool
) -> None:
    assert dev.needs_torch(installed_version, "2.13.0", build, platform) is needed


def test_a_folder_that_is_no_virtual_environment_is_left_alone(dev: ModuleType, tmp_path: Path) -> None:
    keep = tmp_path / ".venv" / "thesis.txt"
    keep.parent.mkdir()
    keep.write_text("years of work")
    with pytest.raises(dev.SetupError, match="is no virtual environment"):
        dev.make_venv(tmp_path)
    assert keep.read_text() == "years of work"


def test_a_full_disk_is_said_before_anything_is_written(
    dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = dev.shutil.disk_usage(checkout)._replace(free=10**9)
    monkeypatch.setattr(dev.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(dev.SetupError, match=r"needs about 4 GB .* has 1\.0 GB free"):
        dev.set_up(checkout)
    assert not (checkout / ".venv").exists()


def test_no_suitable_python_is_said_with_the_versions(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "python_candidates", lambda: [["/does/not/exist"], ["true"]])
    with pytest.raises(dev.SetupError, match=r"needs 64-bit CPython 3\.11 to 3\.13"):
        dev.find_python()


def test_the_running_python_is_taken_first(dev: ModuleType) -> None:
    assert dev.find_python() == [sys.executable]


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system whose dpkg knows three packages; apt-get and sudo write down how they were called."""
    tools = tmp_path / "bin"
    tools.mkdir()
    known = r"printf 'xvfb installed\nlibglib2.0-0t64 installed\nxauth config-files\n'; exit 1"
    calls = tmp_path / "calls"
    scripts = {"dpkg-query": known, "apt-get": f'echo "$0 $*" >> {calls}', "sudo": "exit 1", "env": 'shift; "$@"'}
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    return calls


@pytest.mark.skipif(os.name == "nt", reason="Debian's tools are shell scripts here")
class TestDebianPackages:
    NAMES = ("xvfb", "xauth", "libglib2.0-0", "libgl1")

    def test_only_the_missing_ones_count(self, dev: ModuleType, debian: Path) -> None:
        assert dev.missing_debian_packages(list(self.NAMES)) == ["xauth", "libgl1"]

    def test_root_installs_them(self, dev: ModuleType, debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dev.os, "geteuid", lambda: 0)
        assert dev.install_debian_packages(list(self.NAMES))
        (line,) = debian.read_text().splitlines()
        assert line.endswith("install -y --no-install-recommends xauth libgl1")

    def test_anybody_else_is_told_the_line_to_run(
        self, dev: ModuleType, debian: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(dev.os, "geteuid", lambda: 1000)
        assert not dev.install_debian_packages(list(self.NAMES))
        assert "sudo apt-get install -y --no-install-recommends xauth libgl1" in capsys.readouterr().out
        assert not debian.exists()

    def test_a_failing_apt_is_tried_after_an_update_and_then_said(
        self, dev: ModuleType, debian: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        apt = debian.parent / "bin" / "apt-get"
        apt.write_text(f'#!/bin/sh\necho "$*" >> {debian}\necho E: no such package\nexit 100\n')
        monkeypatch.setattr(dev.os, "geteuid", lambda: 0)
        assert not dev.install_debian_packages(list(self.NAMES))
        verbs = [next(word for word in line.split() if word in ("install", "update")) for line in debian.open()]
        assert verbs == ["install", "update", "install"]
        said = capsys.readouterr().out
        assert "E: no such package" in said
        assert "sudo apt-get install" in said

    def test_other_systems_are_left_alone(
        self, dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert not dev.install_debian_packages(list(self.NAMES))
        assert capsys.readouterr().out == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="virtual displays are for Linux")
class TestVirtualDisplays:
    def test_each_has_a_number_of_its_own_and_ends_with_the_block(self, dev: ModuleType) -> None:
        with dev.VirtualDisplays(2) as displays:
            first, second = displays.names
            assert first != second
            servers = list(displays._servers)
            assert [server.poll() for server in servers] == [None, None]
        assert all(server.returncode is not None for server in servers)

    def test_they_end_when_the_block_fails(self, dev: ModuleType) -> None:
        displays = dev.VirtualDisplays(1)
        with pytest.raises(KeyboardInterrupt), displays:
            raise KeyboardInterrupt
        assert displays._servers[0].returncode is not None

    def test_without_xvfb_the_tests_do_not_run_without_a_screen(
        self, dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(dev.SetupError, match="need the virtual display Xvfb"):
            dev.VirtualDisplays(1).__enter__()


def test_a_debugger_or_a_number_of_workers_given_by_hand_is_respected(dev: ModuleType) -> None:
    assert dev.workers(["--pdb"]) == dev.workers(["-n", "3"]) == dev.workers(["--numprocesses=3"]) == 1
    assert 1 <= dev.workers(["-k", "name", "--new-first"]) <= 4


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("NewConnectionError: Failed to establish\nERROR: No matching distribution found for x", "did not answer"),
        ("ERROR: No matching distribution found for x", "no wheel for this machine"),
        ("ERROR: something else", "last lines of pip's log"),
    ],
)
def test_pip_failures_are_told_apart(dev: ModuleType, output: str, cause: str) -> None:
    assert cause in dev.explain(output)


@pytest.mark.parametrize("arguments", [["dance"], []])
def test_an_unknown_command_lists_the_known_ones(arguments: list[str]) -> None:
    answer = subprocess.run([sys.executable, DEV, *arguments], capture_output=True, text=True)
    assert answer.returncode == 2
    assert "demo,test,run,lint,bench,setup" in answer.stderr.replace(" ", "")


def test_the_table_needs_scans_and_says_how_to_name_them(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEMAVIEW_SHARED", str(tmp_path / "nowhere"))
    with pytest.raises(dev.SetupError, match="by --data FOLDER"):
        dev.bench([], None)


def test_a_failing_pip_leaves_the_old_stamp_invalid(
    dev: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "pyvenv.cfg").write_text("")
    (checkout / ".venv" / dev.STAMP).write_text(json.dumps({"fingerprint": "old", "build": "cpu"}))

    def fail(root: Path) -> None:
        raise dev.SetupError("stopped here")

    monkeypatch.setattr(dev, "make_venv", fail)
    with pytest.raises(dev.SetupError, match="stopped here"):
        dev.set_up(checkout)
    assert dev.read_stamp(checkout) == {}
