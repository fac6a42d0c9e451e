"""Help, version, the list of models, and the window's command where there is no screen."""

import json
import os
import subprocess
import sys

import pytest

from hemaview.segmentation.registry import model_records

SCREEN = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys\n"
        "from hemaview.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit as left:\n    assert left.code == 0\n"
        "heavy = {'numpy', 'torch', 'PySide6', 'SimpleITK', 'scipy', 'vtkmodules'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stderr == ""
    assert ran.stdout.startswith("HEMAVIEW ")


@pytest.mark.parametrize("command", [[], ["segment"], ["list"], ["deidentify"], ["prepare"], ["demo"], ["models"]])
def test_every_help_names_the_exit_codes(run, command):
    ran = run(*command, "--help")
    assert ran.code == 0
    assert "exit codes:" in ran.out


def test_models_are_listed_with_their_hash(run):
    ran = run("models")
    assert ran.code == 0
    assert ran.out.startswith("compact: ")
    listed = json.loads(run("models", "--json").out)
    assert listed[0]["name"] == "compact"
    assert len(listed[0]["sha256"]) == 64
    assert listed[0]["problems"] == []


def test_an_altered_model_is_listed_as_damaged(run, own_models):
    (own_models / model_records()[0].files[0].path).write_bytes(b"other")
    ran = run("models")
    assert ran.code == 5
    assert "damaged" in ran.out
    assert "has changed" in ran.sentence


def test_a_missing_file_for_the_window_is_told(run, tmp_path):
    ran = run(tmp_path / "none.nii.gz")
    assert ran.code == 3
    assert "none.nii.gz" in ran.sentence
    assert "no such command" in run("segmnt").sentence


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux runs without a screen")
def test_the_window_without_a_screen_says_what_works_instead():
    environment = {name: value for name, value in os.environ.items() if name not in SCREEN}
    ran = subprocess.run([sys.executable, "-m", "hemaview"], capture_output=True, text=True, env=environment)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith("hemaview: There is no screen to open a window on")
    assert "hemaview segment" in ran.stderr
