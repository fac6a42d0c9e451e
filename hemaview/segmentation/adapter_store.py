"""The adapters on this computer: small files that fit a model to other scans, in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hemaview.errors import ExportError, ModelError
from hemaview.saving import save_atomically
from hemaview.segmentation.adapters.card import AdapterCard, read_card
from hemaview.segmentation.model_files import ModelRecord, user_models_folder
from hemaview.segmentation.registry import model_records

SUFFIX = ".safetensors"
_LARGEST = 2 * 1024**3


@dataclass(frozen=True)
class StoredAdapter:
    """An adapter file; ``card`` is None and ``problem`` a sentence where it cannot be used."""

    path: Path
    card: AdapterCard | None
    problem: str = ""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return self.path.stem

    @property
    def title(self) -> str:
        """What it is called in the window."""
        return self.card.title if self.card is not None else self.name

    @property
    def is_worse(self) -> bool:
        """Whether it was worse than its base model on the cases held out when it was trained."""
        return self.card is not None and self.card.figures.get("verdict", 0.0) < 0

    def fits(self, record: ModelRecord) -> bool:
        """Whether it was made for exactly this model; reads the model's file where its SHA-256 is not known."""
        if self.card is None:
            return False
        fingerprint = record.fingerprint
        if not fingerprint:
            return self.card.base_name == record.name
        return self.card.base_sha256.lower() == fingerprint.lower()


class AdapterStore:
    """The folder ``adapters`` in the user's models folder; nothing is held, every call looks at the disk."""

    @property
    def folder(self) -> Path:
        """Where adapters lie; it need not exist."""
        return user_models_folder() / "adapters"

    def adapters(self) -> tuple[StoredAdapter, ...]:
        """Every adapter, by name; one that cannot be used is listed with the reason."""
        try:
            paths = sorted(p for p in self.folder.iterdir() if p.suffix == SUFFIX and not p.name.startswith("."))
        except OSError:
            return ()
        return tuple(look_at(path) for path in paths)

    def find(self, name: str) -> Path:
        """The adapter called ``name``, or the adapter file of that path; ``ModelError`` when there is neither."""
        known = {adapter.name: adapter.path for adapter in self.adapters()}
        if name in known:
            return known[name]
        path = Path(name)
        if path.is_file():
            return path.absolute()
        names = ", ".join(known) or "none is installed"
        raise ModelError(f'There is no adapter called "{name}" and no such file; known adapters: {names}.')

    def add(self, path: Path, *, records: Sequence[ModelRecord] | None = None) -> StoredAdapter:
        """Copy an adapter into the folder after checking that its base model is one of ``records`` (default: all).

        Raises ``ModelError`` for what is no adapter or a damaged one, for an unknown base, and where the folder cannot
        be written.
        """
        found = look_at(path)
        if found.card is None:
            raise ModelError(found.problem)
        records = model_records() if records is None else records
        if not any(found.fits(record) for record in records):
            raise ModelError(_wrong_base(path, found.card, records))
        try:
            if path.stat().st_size > _LARGEST:
                raise ModelError(f"{path.name} is too large for an adapter; add the file that training wrote.")
            # Imported here because it loads torch.
            from hemaview.segmentation.adapters.adapter_file import read_adapter

            read_adapter(path)
            content = path.read_bytes()
            self.folder.mkdir(parents=True, exist_ok=True)
            target = self._place(path, content)
            save_atomically(target, content, "The adapter")
        except ExportError as error:
            raise ModelError(str(error)) from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ModelError(f"The adapter could not be copied to {self.folder} ({reason}); check the disk.") from error
        return look_at(target)

    def remove(self, name: str) -> None:
        """Delete an adapter; the model it belongs to stays."""
        path = self.folder / f"{name}{SUFFIX}"
        if path.parent != self.folder or not path.is_file():
            names = ", ".join(adapter.name for adapter in self.adapters()) or "none is installed"
            raise ModelError(f'There is no adapter called "{name}"; known adapters: {names}.')
        try:
            path.unlink()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ModelError(f"The adapter {path} cannot be removed ({reason}); close it elsewhere.") from error

    def _place(self, path: Path, content: bytes) -> Path:
        """Where to put a new adapter: under its own name, unless another adapter has that."""
        stem = path.stem
        number = 2
        target = self.folder / f"{stem}{SUFFIX}"
        while target.exists() and target.read_bytes() != content:
            target = self.folder / f"{stem}_{number}{SUFFIX}"
            number += 1
        return target


def look_at(path: Path) -> StoredAdapter:
    """An adapter file and its card, read from the header only."""
    try:
        return StoredAdapter(path, read_card(path))
    except ModelError as error:
        return StoredAdapter(path, None, str(error))


def _wrong_base(path: Path, card: AdapterCard, records: Sequence[ModelRecord]) -> str:
    same_name = next((record for record in records if record.name == card.base_name), None)
    if same_name is None:
        return f'{path.name} was made for the model "{card.base_name}", which is not here; add that model first.'
    return (
        f"{path.name} was made for another version of {same_name.title} ({card.base_sha256[:12]}…) and would give "
        "wrong answers with this one; train it again."
    )
