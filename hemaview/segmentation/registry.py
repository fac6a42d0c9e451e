"""Which engines there are: the list in ``models/registry.toml``, checked file by file before use.

A new engine is one module below ``hemaview.segmentation`` whose class has ``from_record``, and one
``[[model]]`` entry in the registry. Files that do not come with the program lie in the user's models folder, and
checkpoints that the user added have their entries there, in ``added.toml``.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, cast

from hemaview.errors import ModelError
from hemaview.resources import resource_path
from hemaview.segmentation.contract import Segmenter
from hemaview.segmentation.model_files import REPAIR, ModelFile, ModelRecord, user_models_folder

__all__ = [
    "ADDED_NAME",
    "DEFAULT_ENGINE",
    "EngineClass",
    "ModelFile",
    "ModelRecord",
    "added_records",
    "available_engines",
    "load_engine",
    "model_records",
    "user_models_folder",
]

DEFAULT_ENGINE = "compact"
ADDED_NAME = "added.toml"

_log = logging.getLogger(__name__)


class EngineClass(Protocol):
    """What the registry asks of an engine's class."""

    def from_record(self, record: ModelRecord, *, adapter: Path | None = None) -> Segmenter:
        """Build the engine from the checked files of its registry entry, with the adapter file merged in."""
        ...


def model_records(registry: Path | None = None) -> tuple[ModelRecord, ...]:
    """All entries of ``registry`` (default: the shipped one) in its order, then those the user added.

    Raises ``ModelError`` when the registry is unusable. A damaged list of added models is passed over, so that the
    shipped ones stay usable; ``added_records`` says what is wrong with it.
    """
    path = registry or resource_path("models", "registry.toml")
    folder = user_models_folder()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        shipped = tuple(_record(entry, path.parent, folder) for entry in content.get("model", []))
    except FileNotFoundError:
        raise ModelError(f"The list of models {path.parent.name}/{path.name} is missing; {REPAIR}.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The list of models {path.parent.name}/{path.name} is damaged; {REPAIR}.") from error
    try:
        added = added_records(folder)
    except ModelError as error:
        _log.warning("%s", error)
        added = ()
    taken = {record.name for record in shipped}
    return (*shipped, *(record for record in added if record.name not in taken))


def added_records(folder: Path | None = None) -> tuple[ModelRecord, ...]:
    """What the user added, from ``added.toml`` in ``folder``; ``ModelError`` when that list cannot be used."""
    folder = folder or user_models_folder()
    path = folder / ADDED_NAME
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return tuple(_record(entry, folder, folder, added=True) for entry in content.get("model", []))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The list of added models {path} is damaged; delete it and add the files again.") from error


def available_engines(registry: Path | None = None) -> tuple[str, ...]:
    """Names that ``load_engine`` takes, the default first."""
    return tuple(sorted((r.name for r in model_records(registry)), key=lambda name: name != DEFAULT_ENGINE))


def load_engine(name: str = DEFAULT_ENGINE, *, adapter: Path | None = None, registry: Path | None = None) -> Segmenter:
    """Build the engine ``name``, with the weights of ``adapter`` merged in; torch is imported here and not before.

    Raises ``ModelError`` for an unknown name (it lists the known ones), for a missing or altered file, and for an
    adapter that was made for another model.
    """
    record = next((r for r in model_records(registry) if r.name == name), None)
    if record is None:
        known = ", ".join(available_engines(registry)) or "none"
        raise ModelError(f'There is no engine called "{name}"; choose one of: {known}.')
    record.require_files()
    module, _, attribute = record.engine.partition(":")
    if not module.startswith("hemaview.segmentation."):
        raise ModelError(f'The model "{name}" names an engine outside HEMAVIEW ({record.engine}); {REPAIR}.')
    try:
        engine_class = cast(EngineClass, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise ModelError(f'The engine of the model "{name}" cannot be loaded ({error}); reinstall HEMAVIEW.') from error
    if adapter is None:
        return engine_class.from_record(record)
    if "adapter" not in inspect.signature(engine_class.from_record).parameters:
        raise ModelError(f"{record.title} takes no adapters; use it without one.")
    return engine_class.from_record(record, adapter=adapter)


def _record(entry: Mapping[str, Any], folder: Path, user_folder: Path, *, added: bool = False) -> ModelRecord:
    return ModelRecord(
        name=str(entry["name"]),
        title=str(entry["title"]),
        engine=str(entry["engine"]),
        files=tuple(_file(file) for file in entry["file"]),
        licence=str(entry["licence"]),
        origin=str(entry["origin"]),
        trained_on=str(entry["trained_on"]),
        card="" if added else str(entry["card"]),
        folder=folder,
        bundled=not added and bool(entry.get("bundled", True)),
        added=added,
        user_folder=user_folder,
        attribution=str(entry.get("attribution", "")),
    )


def _file(entry: Mapping[str, Any]) -> ModelFile:
    path = str(entry["path"])
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path or ":" in path:
        raise ValueError(f"the path {path} leaves the models folder")
    file = ModelFile(
        role=str(entry["role"]),
        path=path,
        sha256=str(entry.get("sha256", "")),
        size=int(entry["bytes"]),
        url=str(entry.get("url", "")),
        md5=str(entry.get("md5", "")),
    )
    if len(file.sha256) != 64 and len(file.md5) != 32:
        raise ValueError(f"the file {path} has no hash to be checked against")
    return file
