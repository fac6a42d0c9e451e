"""The wheel carries what the program needs beside its modules."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SHOW_RESOURCES = """
import sys
sys.path.insert(0, sys.argv[1])
from hemaview.resources import resource_path
for kind in ("models", "assets", "docs"):
    folder = resource_path(kind)
    print(folder.is_relative_to(sys.argv[1]), *sorted(path.name for path in folder.iterdir()))
"""


def test_models_assets_guide_and_licence_are_inside_and_found(tmp_path: Path) -> None:
    # A copy, because setuptools writes its build folder beside pyproject.toml.
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("hemaview", "assets", "docs", "models"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path]
    subprocess.run([*command, source], check=True, capture_output=True, cwd=tmp_path)

    (wheel,) = tmp_path.glob("hemaview-*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(installed)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "packaging/"))]
    answer = subprocess.run(
        [sys.executable, "-I", "-c", SHOW_RESOURCES, installed],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    models, assets, docs = (line.split() for line in answer.stdout.splitlines())
    assert models[0] == assets[0] == docs[0] == "True"
    assert "registry.toml" in models
    assert {"icons", "sample"} <= set(assets)
    assert "guide" in docs
