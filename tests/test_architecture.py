"""What holds for the whole package: what may load what, and when. The import contracts are in pyproject.toml."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hemaview
from hemaview.resources import resource_path

PACKAGE = Path(hemaview.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

QT = {"PySide6", "shiboken6", "superqt", "pyvistaqt", "qtpy"}
HEAVY = QT | {"torch", "vtkmodules", "pyvista", "sklearn", "SimpleITK", "segment_anything"}

LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded_by(*modules: str) -> set[str]:
    """Top-level packages that are loaded after importing these modules in a fresh interpreter."""
    answer = subprocess.run([sys.executable, "-c", LOADED, *modules], capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout))


def parse(path: Path) -> ast.Module:
    """Syntax tree of a source file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    """Dotted name of a source file."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    assert not HEAVY & loaded_by("hemaview.cli")


def test_the_core_needs_neither_qt_nor_torch_to_load() -> None:
    core = ["hemaview.case.case", "hemaview.segmentation", "hemaview.segmentation.registry", "hemaview.imaging.reading"]
    assert not (QT | {"torch"}) & loaded_by(*core, "hemaview.volumetry", "hemaview.surface")


def test_the_window_loads_before_torch_and_the_dicom_libraries() -> None:
    assert not {"torch", "segment_anything", "pydicom", "msgspec"} & loaded_by("hemaview.gui.main_window")


def unsafe(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and reason of code that runs what a file says, or hides every failure."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.partition(".")[0] for alias in node.names} | {getattr(node, "module", None)}
            if names & {"pickle", "dill", "joblib", "shelve", "marshal"}:
                yield node.lineno, "unpickling runs code from a file"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("eval", "exec", "os.system", "yaml.load"):
                yield node.lineno, called
            if called == "torch.load" and "weights_only=True" not in ast.unparse(node):
                yield node.lineno, "torch.load without weights_only=True runs code from a file"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "a bare except hides even Ctrl+C"


def test_no_unsafe_code() -> None:
    found = [f"{module_name(path)}:{line}: {why}" for path in SOURCES for line, why in unsafe(parse(path))]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    assert [module_name(path) for path in SOURCES if not ast.get_docstring(parse(path)) and parse(path).body] == []


def test_the_checkout_finds_its_models_and_assets() -> None:
    assert resource_path("models", "registry.toml").is_file()
    assert any(resource_path("assets", "icons").glob("*.svg"))


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not {path.stem for path in SOURCES} & {"utils", "util", "helpers", "helper", "misc", "common", "manager"}
