"""One model of the registry and its files on the disk, each checked against its hash before it is used."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hemaview.errors import ModelError
from hemaview.segmentation.contract import CancelToken

REPAIR = "reinstall HEMAVIEW or restore it"
_BLOCK = 1024**2

Progress = Callable[[int, int], None]
"""Called with the bytes that are done and the bytes there are."""


def user_models_folder() -> Path:
    """Where models that do not come with the program lie: ``HEMAVIEW_MODELS`` or the user's data folder."""
    named = os.environ.get("HEMAVIEW_MODELS")
    if named:
        return Path(named).absolute()
    import platformdirs

    return Path(platformdirs.user_data_path("hemaview", appauthor=False)) / "models"


@dataclass(frozen=True)
class Digests:
    """What identifies a file's content; ``size`` in bytes, hashes as lower-case hexadecimal."""

    sha256: str
    md5: str
    size: int


@dataclass(frozen=True)
class ModelFile:
    """One file of a model: its ``role`` in the engine, path below the models folder, hashes and size in bytes.

    An origin that states no SHA-256 leaves it empty; the ``md5`` it does state is checked then. ``url`` is where
    the file can be downloaded from, empty where it cannot.
    """

    role: str
    path: str
    sha256: str
    size: int
    url: str = ""
    md5: str = ""

    def is_content(self, found: Digests) -> bool:
        """Whether a file with these digests is this one."""
        if found.size != self.size:
            return False
        sha256, md5 = self.sha256.lower(), self.md5.lower()
        return (not sha256 or sha256 == found.sha256) and (not md5 or md5 == found.md5)


@dataclass(frozen=True)
class ModelRecord:
    """One entry of the registry.

    ``engine`` is "module:Class" below ``hemaview.segmentation``. ``folder`` is where the registry lies and the
    path of ``card`` begins; a ``bundled`` model's files lie there too, those of others in ``user_folder``. ``added``
    tells that the user put the model there, so that the program vouches for nothing but its hash.
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
    bundled: bool = True
    added: bool = False
    user_folder: Path = Path()
    attribution: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def is_installed(self) -> bool:
        """Whether every file is there in its full size; the content is checked before it is used, not here."""
        return all(_size(self.file_path(file)) == file.size for file in self.files)

    @property
    def fingerprint(self) -> str:
        """SHA-256 that stands for the whole model: the file's own, or that of all files' hashes in a row.

        Where the registry states no SHA-256 the file is read for it; empty as long as the file is not there.
        """
        hashes = [file.sha256.lower() or self._found_sha256(file) for file in self.files]
        if not all(hashes):
            return ""
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()

    @property
    def card_path(self) -> Path:
        """Where the model card lies."""
        return self.folder / self.card

    def file(self, role: str) -> ModelFile:
        """The entry of the file with ``role``; ``ModelError`` when there is none."""
        found = next((f for f in self.files if f.role == role), None)
        if found is None:
            raise ModelError(f'The model "{self.name}" lists no file for its part "{role}"; reinstall HEMAVIEW.')
        return found

    def file_path(self, file: ModelFile) -> Path:
        """Where a file of this model belongs, whether it is there or not."""
        return (self.folder if self.bundled else self.user_folder) / file.path

    def require_files(self) -> None:
        """Raise ``ModelError`` for the first file that is not there, before anything heavy is loaded for it."""
        for file in self.files:
            if _size(self.file_path(file)) < 0:
                raise self._unreadable(file, FileNotFoundError())

    def read_file(self, role: str) -> bytes:
        """The bytes of the file with ``role`` after its hash was checked; ``ModelError`` otherwise."""
        file = self.file(role)
        try:
            content = self.file_path(file).read_bytes()
        except OSError as error:
            raise self._unreadable(file, error) from error
        self._check(file, digests_of_bytes(content))
        return content

    def checked_path(self, role: str, *, progress: Progress | None = None, cancel: CancelToken | None = None) -> Path:
        """Where the file with ``role`` lies after its hash was checked, for files too large to be held in memory.

        Raises ``ModelError`` for a missing or altered file and ``Cancelled``.
        """
        file = self.file(role)
        path = self.file_path(file)
        try:
            found = digests_of(path, progress=progress, cancel=cancel)
        except OSError as error:
            raise self._unreadable(file, error) from error
        self._check(file, found)
        return path

    def _check(self, file: ModelFile, found: Digests) -> None:
        if file.is_content(found):
            return
        wanted = f"SHA-256 {file.sha256[:12]}…" if file.sha256 else f"MD5 {file.md5[:12]}…"
        got = found.sha256 if file.sha256 else found.md5
        raise ModelError(
            f"The model file {self._shown(file)} has changed (expected {file.size} bytes with {wanted}, "
            f"found {found.size} bytes with {got[:12]}…); {self._repair}."
        )

    def _unreadable(self, file: ModelFile, error: OSError) -> ModelError:
        if not isinstance(error, FileNotFoundError):
            reason = error.strerror or type(error).__name__
            return ModelError(f"The model file {self._shown(file)} cannot be read ({reason}); {self._repair}.")
        if self.bundled:
            return ModelError(f"The model file {self._shown(file)} is missing; {REPAIR}.")
        if self.added:
            return ModelError(
                f'The file of the added model "{self.name}" is no longer in {self.user_folder}; '
                f"add it again or remove the model ('hemaview models remove {self.name}')."
            )
        return ModelError(
            f"{self.title} is not on this computer; download it ('hemaview models download {self.name}', or in the "
            "window Tools > Models and adapters) or add its file ('hemaview models add FILE')."
        )

    def _shown(self, file: ModelFile) -> str:
        return f"{self.folder.name if self.bundled else self.user_folder.name}/{file.path}"

    @property
    def _repair(self) -> str:
        if self.bundled:
            return REPAIR
        return f"remove it ('hemaview models remove {self.name}') and {'add' if self.added else 'download'} it again"

    def _found_sha256(self, file: ModelFile) -> str:
        try:
            path = self.file_path(file)
            state = path.stat()
            return _known_sha256(path, state.st_size, state.st_mtime_ns)
        except OSError:
            return ""


def digests_of(path: Path, *, progress: Progress | None = None, cancel: CancelToken | None = None) -> Digests:
    """Digests of a file, read in blocks; raises ``OSError`` and ``Cancelled``."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    done = 0
    with path.open("rb") as stream:
        total = os.fstat(stream.fileno()).st_size
        while block := stream.read(_BLOCK):
            if cancel is not None:
                cancel.raise_if_cancelled()
            sha256.update(block)
            md5.update(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
    return Digests(sha256.hexdigest(), md5.hexdigest(), done)


def digests_of_bytes(content: bytes) -> Digests:
    """Digests of bytes in memory."""
    md5 = hashlib.md5(content, usedforsecurity=False)
    return Digests(hashlib.sha256(content).hexdigest(), md5.hexdigest(), len(content))


@lru_cache(maxsize=16)
def _known_sha256(path: Path, size: int, changed_ns: int) -> str:
    """SHA-256 of a file as it was at this size and time; for names, never instead of a check."""
    return digests_of(path).sha256


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
