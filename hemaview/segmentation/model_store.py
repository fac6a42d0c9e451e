"""The models on this computer: which there are, adding a file, fetching, checking and removing one."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock

from hemaview.errors import ExportError, ModelError
from hemaview.saving import save_atomically
from hemaview.segmentation.contract import CancelToken
from hemaview.segmentation.download import arrived_bytes, discard_part, download
from hemaview.segmentation.model_files import Digests, ModelFile, ModelRecord, Progress, user_models_folder
from hemaview.segmentation.registry import ADDED_NAME, added_records, model_records

_ADDED_FOLDER = "added"
_UNKNOWN = ("", "unknown")
_NOT_STATED = "not stated; added by hand"
_BLOCK = 1024**2


class ModelState(StrEnum):
    """Whether a model can be used: ``DAMAGED`` means that a file is there, but not in its full size."""

    BUNDLED = "comes with HEMAVIEW"
    INSTALLED = "installed"
    ADDED = "added by you"
    PARTIAL = "partly downloaded"
    MISSING = "not installed"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class StoredModel:
    """A model and what is there of it; ``arrived`` counts the bytes of an unfinished download."""

    record: ModelRecord
    state: ModelState
    arrived: int = 0

    @property
    def is_usable(self) -> bool:
        """Whether every file is there."""
        return self.state in (ModelState.BUNDLED, ModelState.INSTALLED, ModelState.ADDED)

    @property
    def can_download(self) -> bool:
        """Whether its origin is known and something is missing."""
        return not self.is_usable and not self.record.bundled and all(file.url for file in self.record.files)

    @property
    def can_remove(self) -> bool:
        """Whether it takes up room that the user may want back."""
        return not self.record.bundled and self.state is not ModelState.MISSING

    @property
    def folder(self) -> Path:
        """Where its files lie or belong."""
        return self.record.file_path(self.record.files[0]).parent


class ModelStore:
    """The models of ``registry`` (default: the shipped one) and those in the user's models folder.

    Nothing is held: every call looks at the disk, so that a window and a command line beside it agree. Only
    ``download`` touches the network. Everything raises ``ModelError`` with one sentence.
    """

    def __init__(self, registry: Path | None = None) -> None:
        self._registry = registry

    @property
    def folder(self) -> Path:
        """The user's models folder; it need not exist."""
        return user_models_folder()

    @property
    def problem(self) -> str:
        """What is wrong with the list of added models; empty when nothing is."""
        try:
            added_records(self.folder)
        except ModelError as error:
            return str(error)
        return ""

    def models(self) -> tuple[StoredModel, ...]:
        """Every model, the bundled one first; looks at sizes, reads no file."""
        return tuple(_look_at(record) for record in model_records(self._registry))

    def model(self, name: str) -> StoredModel:
        """The model called ``name``; ``ModelError`` with the known names when there is none."""
        models = self.models()
        for model in models:
            if model.record.name == name:
                return model
        known = ", ".join(m.record.name for m in models) or "none"
        raise ModelError(f'There is no model called "{name}"; choose one of: {known}.')

    def verify(self, name: str, *, progress: Progress | None = None, cancel: CancelToken | None = None) -> None:
        """Read every file of a model and compare its hash; ``ModelError`` for one that is missing or altered."""
        record = self.model(name).record
        for file in record.files:
            record.checked_path(file.role, progress=progress, cancel=cancel)

    def download(
        self, name: str, *, progress: Progress | None = None, cancel: CancelToken | None = None
    ) -> StoredModel:
        """Fetch what is missing of a model from its origin, resuming what has arrived before."""
        model = self.model(name)
        if model.is_usable:
            return model
        if not model.can_download:
            how = "reinstall HEMAVIEW" if model.record.bundled else "add its file again"
            raise ModelError(f"{model.record.title} cannot be downloaded; {how}.")
        for file in model.record.files:
            target = model.record.file_path(file)
            if not _has_size(target, file.size):
                download(file, target, progress=progress, cancel=cancel)
        return self.model(name)

    def add_file(
        self,
        path: Path,
        *,
        title: str = "",
        trained_on: str = "",
        licence: str = "",
        progress: Progress | None = None,
        cancel: CancelToken | None = None,
    ) -> StoredModel:
        """Copy a checkpoint into the user's models folder, so that it can be used from now on.

        A file of a known model takes that model's place. Any other that fits a network of the program becomes a
        model of its own, called after the file, with what is said of it here. Refuses everything else.
        """
        # Imported here because it loads torch.
        from hemaview.segmentation.sam.checkpoint import identify_checkpoint

        path = path.absolute()
        if not path.is_file():
            raise ModelError(f"There is no file {path}; check its name.")
        try:
            found = identify_checkpoint(path)
        except OSError as error:
            raise ModelError(f"{path.name} cannot be read ({error.strerror or error}); check the file.") from error
        digests = Digests(found.sha256, found.md5, found.size)
        for model in self.models():
            for file in model.record.files:
                if not _is_same(file, digests):
                    continue
                if not model.is_usable:
                    _copy(path, model.record.file_path(file), digests, progress, cancel)
                    with suppress(OSError):
                        discard_part(model.record.file_path(file))
                return self.model(model.record.name)
        name = _free_name(path.stem, [model.record.name for model in self.models()])
        suffix = ".safetensors" if path.suffix.lower() == ".safetensors" else ".pth"
        file = ModelFile(found.role, f"{_ADDED_FOLDER}/{name}{suffix}", found.sha256, found.size)
        record = ModelRecord(
            name=name,
            title=_line(title) or found.title,
            engine=found.engine,
            files=(file,),
            licence=_line(licence) or (_NOT_STATED if found.licence in _UNKNOWN else found.licence),
            origin=f"{path.name}, added on {datetime.now(UTC):%Y-%m-%d}",
            trained_on=_line(trained_on) or (_NOT_STATED if found.trained_on in _UNKNOWN else found.trained_on),
            card="",
            folder=self.folder,
            bundled=False,
            added=True,
            user_folder=self.folder,
        )
        _copy(path, record.file_path(file), digests, progress, cancel)
        try:
            self._change_added(lambda records: (*records, record))
        except ModelError:
            with suppress(OSError):
                record.file_path(file).unlink()
            raise
        return self.model(name)

    def remove(self, name: str) -> None:
        """Delete the files of a model that did not come with the program; an unfinished download goes too."""
        model = self.model(name)
        if model.record.bundled:
            raise ModelError(f"{model.record.title} comes with HEMAVIEW and cannot be removed.")
        if not model.can_remove and not model.record.added:
            raise ModelError(f"{model.record.title} is not on this computer, so there is nothing to remove.")
        try:
            for file in model.record.files:
                target = model.record.file_path(file)
                target.unlink(missing_ok=True)
                discard_part(target)
        except OSError as error:
            raise ModelError(_folder_sentence(self.folder, error)) from error
        if model.record.added:
            self._change_added(lambda records: tuple(r for r in records if r.name != name))

    def _change_added(self, change: Any) -> None:
        """Write the list of added models anew; another window that does the same waits for its turn."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{ADDED_NAME}.lock"):
                records = change(added_records(self.folder))
                text = tomli_w.dumps({"model": [_entry(record) for record in records]})
                save_atomically(self.folder / ADDED_NAME, text.encode("utf-8"), "The list of added models")
        except ExportError as error:
            raise ModelError(str(error)) from error
        except OSError as error:
            raise ModelError(_folder_sentence(self.folder, error)) from error


def _look_at(record: ModelRecord) -> StoredModel:
    paths = [record.file_path(file) for file in record.files]
    if record.is_installed:
        state = ModelState.BUNDLED if record.bundled else ModelState.ADDED if record.added else ModelState.INSTALLED
        return StoredModel(record, state)
    arrived = sum(arrived_bytes(path) for path in paths)
    if record.bundled or record.added or any(path.exists() for path in paths):
        return StoredModel(record, ModelState.DAMAGED, arrived)
    return StoredModel(record, ModelState.PARTIAL if arrived else ModelState.MISSING, arrived)


def _is_same(file: ModelFile, found: Digests) -> bool:
    return bool(file.sha256 or file.md5) and file.is_content(found)


def _copy(source: Path, target: Path, expected: Digests, progress: Progress | None, cancel: CancelToken | None) -> None:
    """Copy a file so that ``target`` is the whole of it or is not there."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    sha256, done = hashlib.sha256(), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with source.open("rb") as stream, part.open("wb") as out:
                while block := stream.read(_BLOCK):
                    if cancel is not None:
                        cancel.raise_if_cancelled()
                    out.write(block)
                    sha256.update(block)
                    done += len(block)
                    if progress is not None:
                        progress(done, expected.size)
                out.flush()
                os.fsync(out.fileno())
            if sha256.hexdigest() != expected.sha256:
                raise ModelError(f"{source.name} changed while it was copied; add it again when it is complete.")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(_folder_sentence(target.parent, error)) from error


def _entry(record: ModelRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "title": record.title,
        "engine": record.engine,
        "licence": record.licence,
        "origin": record.origin,
        "trained_on": record.trained_on,
        "file": [{"role": f.role, "path": f.path, "sha256": f.sha256, "bytes": f.size} for f in record.files],
    }


def _free_name(stem: str, taken: Iterable[str]) -> str:
    """A name that can be typed, made from the file's own."""
    base = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[:40] or "model"
    taken = set(taken)
    number, name = 2, base
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name


def _line(text: str) -> str:
    """What a person typed, on one line."""
    return " ".join(text.split())[:200]


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _folder_sentence(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk with {folder} is full; free some space or name another folder in HEMAVIEW_MODELS."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"The folder {folder} cannot be changed; name another one in HEMAVIEW_MODELS."
    return f"The files in {folder} could not be changed ({error.strerror or error}); check the disk."
