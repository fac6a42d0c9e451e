"""Image embeddings that are already known, so that a second box on a slice costs the decoder only."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import astuple, dataclass

import numpy as np
from torch import Tensor

from hemaview.imaging import Volume
from hemaview.segmentation.sam.embedding_store import EmbeddingStore
from hemaview.segmentation.sam.stopping import stop_point

MEMORY_LIMIT = 256 * 1024**2
"""Bytes; one slice of ViT-B takes 4 MB."""


@dataclass(frozen=True)
class EmbeddingKey:
    """Everything an embedding depends on; no part of it tells whose scan it is.

    ``scan`` is the ``scan_fingerprint``, ``axis`` the voxel axis the slice lies across (0 = i, 1 = j, 2 = k),
    ``model`` the hash of the weights with that of a merged adapter, ``window`` how values became greys.
    """

    scan: str
    axis: int
    index: int
    model: str
    window: str

    @property
    def digest(self) -> str:
        """A file name: SHA-256 over all parts."""
        return hashlib.sha256("\0".join(str(part) for part in astuple(self)).encode()).hexdigest()


@dataclass(frozen=True)
class CacheCounts:
    """How often an embedding was found in memory, on disk, or not at all, since the cache was made."""

    hits: int = 0
    disk_hits: int = 0
    misses: int = 0


class EmbeddingCache:
    """Embeddings on the CPU, least recently used first out; safe to use from several threads.

    ``limit`` is in bytes of tensors. ``store`` keeps embeddings on disk as well; None, the default, keeps them nowhere.
    """

    def __init__(self, limit: int = MEMORY_LIMIT, store: EmbeddingStore | None = None) -> None:
        self._limit = limit
        self._store = store
        self._lock = threading.Lock()
        self._held: OrderedDict[EmbeddingKey, Tensor] = OrderedDict()
        self._bytes = 0
        self._counts = CacheCounts()

    @property
    def counts(self) -> CacheCounts:
        """Hits and misses so far."""
        return self._counts

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors held in memory."""
        return self._bytes

    def __contains__(self, key: EmbeddingKey) -> bool:
        """Whether it is in memory; counts neither as a hit nor as a miss."""
        with self._lock:
            return key in self._held

    def get(self, key: EmbeddingKey) -> Tensor | None:
        """The embedding, or None; not to be changed."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                self._count(hits=1)
                return found
        stored = self._store.read(key.digest) if self._store is not None else None
        if stored is not None:
            self._hold(key, stored)
        with self._lock:
            self._count(disk_hits=stored is not None, misses=stored is None)
        return stored

    def put(self, key: EmbeddingKey, embedding: Tensor) -> None:
        """Keep an embedding; one larger than the whole bound is not held in memory."""
        self._hold(key, embedding)
        if self._store is not None:
            self._store.write(key.digest, embedding)

    def clear(self) -> None:
        """Forget what is in memory."""
        with self._lock:
            self._held.clear()
            self._bytes = 0

    def _hold(self, key: EmbeddingKey, embedding: Tensor) -> None:
        size = embedding.nbytes
        with self._lock:
            before = self._held.pop(key, None)
            self._bytes -= 0 if before is None else before.nbytes
            if size > self._limit:
                return
            self._held[key] = embedding
            self._bytes += size
            while self._bytes > self._limit:
                _, dropped = self._held.popitem(last=False)
                self._bytes -= dropped.nbytes

    def _count(self, hits: int = 0, disk_hits: int = 0, misses: int = 0) -> None:
        now = self._counts
        self._counts = CacheCounts(now.hits + hits, now.disk_hits + disk_hits, now.misses + misses)


def scan_fingerprint(volume: Volume) -> str:
    """A hash of a scan's voxels, shape, type, modality and unit; geometry does not change an embedding."""
    kind = f"{volume.modality} {volume.is_hounsfield}"
    found = hashlib.blake2b(f"{volume.array.shape} {volume.array.dtype} {kind}".encode(), digest_size=32)
    for picture in volume.array:
        stop_point()
        found.update(np.ascontiguousarray(picture).data)
    return found.hexdigest()
