"""Which engines there are: the list in ``models/registry.toml``, checked file by file before use.

A new engine is one module below ``hemaview.segmentation`` whose class has ``from_record``, and one
``[[model]]`` entry in the registry.
"""

from __future__ import annotations

import hashlib
import importlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from hemaview.errors import ModelError
from hemaview.resources import resource_path
from hemaview.segmentation.contract import Segmenter

DEFAULT_ENGINE = "compact"
_REPAIR = "reinstall HEMAVIEW or restore it"


@dataclass(frozen=True)
class ModelFile:
    """One file of a model: its ``role`` in the engine, path below the models folder, SHA-256 and size in bytes."""

    role: str
    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class ModelRecord:
    """One entry of the registry.

    ``engine`` is "module:Class" below ``hemaview.segmentation``; ``folder`` is where the registry lies and
    the paths of ``files`` and ``card`` begin.
    """

    name: str
    title: str
    engine: str
    files: tuple[ModelFile, ...]
    licence: str
    origin: str
    trained_on: str
    card: str
    folder: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 that stands for the whole model: the file's own, or that of all files' hashes in a row."""
        if len(self.files) == 1:
            return self.files[0].sha256
        return hashlib.sha256("".join(file.sha256 for file in self.files).encode()).hexdigest()

    @property
    def card_path(self) -> Path:
        """Where the model card lies."""
        return self.folder / self.card

    def read_file(self, role: str) -> bytes:
        """The bytes of the file with ``role`` after its SHA-256 was checked; ``ModelError`` otherwise."""
        file = next((f for f in self.files if f.role == role), None)
        if file is None:
            raise ModelError(f'The model "{self.name}" lists no file for its part "{role}"; reinstall HEMAVIEW.')
        shown = f"{self.folder.name}/{file.path}"
        try:
            content = (self.folder / file.path).read_bytes()
        except FileNotFoundError:
            raise ModelError(f"The model file {shown} is missing; {_REPAIR}.") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ModelError(f"The model file {shown} cannot be read ({reason}); {_REPAIR}.") from error
        found = hashlib.sha256(content).hexdigest()
        if found != file.sha256.lower():
            raise ModelError(
                f"The model file {shown} has changed (expected {file.size} bytes with SHA-256 {file.sha256[:12]}…, "
                f"found {len(content)} bytes with {found[:12]}…); {_REPAIR}."
            )
        return content


class EngineClass(Protocol):
    """What the registry asks of an engine's class."""

    def from_record(self, record: ModelRecord) -> Segmenter:
        """Build the engine from the checked files of its registry entry."""
        ...


def model_records(registry: Path | None = None) -> tuple[ModelRecord, ...]:
    """All entries of ``registry`` (default: the shipped one) in its order; ``ModelError`` when it is unusable."""
    path = registry or resource_path("models", "registry.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        records = tuple(_record(entry, path.parent) for entry in content.get("model", []))
    except FileNotFoundError:
        raise ModelError(f"The list of models {path.parent.name}/{path.name} is missing; {_REPAIR}.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The list of models {path.parent.name}/{path.name} is damaged; {_REPAIR}.") from error
    return records


def available_engines(registry: Path | None = None) -> tuple[str, ...]:
    """Names that ``load_engine`` takes, the default first."""
    return tuple(sorted((r.name for r in model_records(registry)), key=lambda name: name != DEFAULT_ENGINE))


def load_engine(name: str = DEFAULT_ENGINE, *, registry: Path | None = None) -> Segmenter:
    """Build the engine ``name``; torch is imported here and not before.

    Raises ``ModelError`` for an unknown name (it lists the known ones) and for a missing or altered file.
    """
    record = next((r for r in model_records(registry) if r.name == name), None)
    if record is None:
        known = ", ".join(available_engines(registry)) or "none"
        raise ModelError(f'There is no engine called "{name}"; choose one of: {known}.')
    module, _, attribute = record.engine.partition(":")
    if not module.startswith("hemaview.segmentation."):
        raise ModelError(f'The model "{name}" names an engine outside HEMAVIEW ({record.engine}); {_REPAIR}.')
    try:
        engine_class = cast(EngineClass, getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise ModelError(f'The engine of the model "{name}" cannot be loaded ({error}); reinstall HEMAVIEW.') from error
    return engine_class.from_record(record)


def _record(entry: Mapping[str, Any], folder: Path) -> ModelRecord:
    files = tuple(ModelFile(str(f["role"]), str(f["path"]), str(f["sha256"]), int(f["bytes"])) for f in entry["file"])
    return ModelRecord(
        name=str(entry["name"]),
        title=str(entry["title"]),
        engine=str(entry["engine"]),
        files=files,
        licence=str(entry["licence"]),
        origin=str(entry["origin"]),
        trained_on=str(entry["trained_on"]),
        card=str(entry["card"]),
        folder=folder,
    )
