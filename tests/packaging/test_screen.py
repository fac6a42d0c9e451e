"""Debian's packages and the virtual displays."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest


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

    def test_only_the_missing_ones_count(self, screen: ModuleType, debian: Path) -> None:
        assert screen.missing_debian_packages(list(self.NAMES)) == ["xauth", "libgl1"]

    def test_root_installs_them(self, screen: ModuleType, debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(screen.os, "geteuid", lambda: 0)
        assert screen.install_debian_packages(list(self.NAMES))
        (line,) = debian.read_text().splitlines()
        assert line.endswith("install -y --no-install-recommends xauth libgl1")

    def test_anybody_else_is_told_the_line_to_run(
        self, screen: ModuleType, debian: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(screen.os, "geteuid", lambda: 1000)
        assert not screen.install_debian_packages(list(self.NAMES))
        assert "sudo apt-get install -y --no-install-recommends xauth libgl1" in capsys.readouterr().out
        assert not debian.exists()

    def test_a_failing_apt_is_tried_after_an_update_and_then_said(
        self, screen: ModuleType, debian: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        apt = debian.parent / "bin" / "apt-get"
        apt.write_text(f'#!/bin/sh\necho "$*" >> {debian}\necho E: no such package\nexit 100\n')
        monkeypatch.setattr(screen.os, "geteuid", lambda: 0)
        assert not screen.install_debian_packages(list(self.NAMES))
        verbs = [next(word for word in line.split() if word in ("install", "update")) for line in debian.open()]
        assert verbs == ["install", "update", "install"]
        said = capsys.readouterr().out
        assert "E: no such package" in said
        assert "sudo apt-get install" in said

    def test_other_systems_are_left_alone(
        self, screen: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert not screen.install_debian_packages(list(self.NAMES))
        assert capsys.readouterr().out == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="virtual displays are for Linux")
class TestVirtualDisplays:
    def test_each_has_a_number_of_its_own_and_ends_with_the_block(self, screen: ModuleType) -> None:
        with screen.VirtualDisplays(2) as displays:
            first, second = displays.names
            assert first != second
            servers = list(displays._servers)
            assert [server.poll() for server in servers] == [None, None]
        assert all(server.returncode is not None for server in servers)

    def test_they_end_when_the_block_fails(self, screen: ModuleType) -> None:
        displays = screen.VirtualDisplays(1)
        with pytest.raises(KeyboardInterrupt), displays:
            raise KeyboardInterrupt
        assert displays._servers[0].returncode is not None

    def test_without_xvfb_the_tests_do_not_run_without_a_screen(
        self, screen: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(screen.SetupError, match="need the virtual display Xvfb"):
            screen.VirtualDisplays(1).__enter__()
