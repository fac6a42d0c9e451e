"""Embeddings on disk, for those who ask for it: a folder of bounded size below the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

SETTING = "HEMAVIEW_DISK_EMBEDDINGS"
"""Environment variable: megabytes to use on disk; unset or 0 keeps no embedding there."""
_SUFFIX = ".embedding"
_LARGEST_FILE = 64 * 1024**2


class EmbeddingStore:
    """Files named by a digest, each with a checksum of its content; the oldest go when ``limit`` bytes are passed.

    Whatever goes wrong here only costs time: an unreadable or altered file counts as absent, a full disk is no error.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    @classmethod
    def from_environment(cls) -> EmbeddingStore | None:
        """The store the user asked for in the environment, or None."""
        text = os.environ.get(SETTING, "").strip()
        if not text.isdecimal() or int(text) == 0:
            return None
        return cls(user_cache_path("hemaview", appauthor=False) / "embeddings", int(text) * 1024**2)

    def read(self, digest: str) -> Tensor | None:
        """The embedding, or None where there is none that is intact."""
        path = self._path(digest)
        try:
            if path.stat().st_size > _LARGEST_FILE:
                return None
            with safe_open(path, framework="pt") as file:
                found: Tensor = file.get_tensor("embedding")
                intact = (file.metadata() or {}).get("checksum") == _checksum(found)
        except (OSError, SafetensorError, RuntimeError, ValueError):
            return None
        if not intact or found.dtype != torch.float32:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return found

    def write(self, digest: str, embedding: Tensor) -> None:
        """Keep an embedding and remove the oldest where the bound is passed."""
        content = save({"embedding": embedding.contiguous()}, metadata={"checksum": _checksum(embedding)})
        if len(content) > min(self._limit, _LARGEST_FILE):
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                Path(name).replace(self._path(digest))
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
            self._trim()
        except OSError:
            return

    def _trim(self) -> None:
        found = []
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._limit:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}{_SUFFIX}"


def _checksum(tensor: Tensor) -> str:
    values = tensor.contiguous().numpy()
    return hashlib.sha256(f"{values.shape} {values.dtype}".encode() + values.tobytes()).hexdigest()
