"""Embeddings are kept within bounds, found again, and never mixed up."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from hemaview.imaging import Geometry, Modality, Volume
from hemaview.segmentation.sam.embedding_cache import CacheCounts, EmbeddingCache, EmbeddingKey, scan_fingerprint
from hemaview.segmentation.sam.embedding_store import EmbeddingStore

KEY = EmbeddingKey("scan", 2, 0, "model", "window")
SIZE = 4 * 100


def key(number):
    return replace(KEY, index=number)


def embedding(number):
    return torch.full((1, 4, 5, 5), float(number))


def test_an_embedding_is_found_again_and_counted():
    cache = EmbeddingCache()
    assert cache.get(KEY) is None
    cache.put(KEY, embedding(1))
    assert torch.equal(cache.get(KEY), embedding(1))
    assert cache.counts == CacheCounts(hits=1, misses=1)
    assert KEY in cache
    assert cache.counts == CacheCounts(hits=1, misses=1)


@pytest.mark.parametrize(
    "other",
    [{"scan": "other"}, {"axis": 1}, {"index": 1}, {"model": "model with adapter"}, {"window": "other"}],
)
def test_nothing_else_than_the_same_question_finds_it(other):
    cache = EmbeddingCache()
    cache.put(KEY, embedding(1))
    assert cache.get(replace(KEY, **other)) is None
    assert replace(KEY, **other).digest != KEY.digest


def test_the_least_recently_used_go_first():
    cache = EmbeddingCache(limit=3 * SIZE)
    for number in range(3):
        cache.put(key(number), embedding(number))
    cache.get(key(0))
    cache.put(key(3), embedding(3))
    assert [key(n) in cache for n in range(4)] == [True, False, True, True]
    assert cache.nbytes == 3 * SIZE


def test_an_embedding_put_twice_counts_once():
    cache = EmbeddingCache(limit=3 * SIZE)
    cache.put(KEY, embedding(1))
    cache.put(KEY, embedding(2))
    assert cache.nbytes == SIZE
    assert torch.equal(cache.get(KEY), embedding(2))
    cache.clear()
    assert cache.nbytes == 0
    assert cache.get(KEY) is None


def test_one_larger_than_the_bound_is_not_held():
    cache = EmbeddingCache(limit=SIZE - 1)
    cache.put(KEY, embedding(1))
    assert cache.nbytes == 0
    assert KEY not in cache


def test_many_threads_keep_it_within_bounds():
    cache = EmbeddingCache(limit=5 * SIZE)
    wrong = []

    def work(seed):
        numbers = np.random.default_rng(seed).integers(0, 12, 300)
        for number in numbers.tolist():
            found = cache.get(key(number))
            if found is None:
                cache.put(key(number), embedding(number))
            elif not torch.equal(found, embedding(number)):
                wrong.append(number)
            if cache.nbytes > 6 * SIZE:
                wrong.append("bound")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    counts = cache.counts
    assert counts.hits + counts.misses == 6 * 300
    assert cache.nbytes <= 5 * SIZE


def test_fingerprint_is_of_the_voxels_and_not_of_the_name(scan):
    same = Volume(scan.array.copy(), Geometry(scan.geometry.size, (2.0, 2.0, 2.0)), name="Another Name")
    assert scan_fingerprint(same) == scan_fingerprint(scan)
    changed = scan.array.copy()
    changed[3, 3, 3] += 1
    assert scan_fingerprint(Volume(changed, scan.geometry)) != scan_fingerprint(scan)
    assert scan_fingerprint(replace(scan, modality=Modality.CT)) != scan_fingerprint(scan)


@pytest.fixture
def store(tmp_path):
    return EmbeddingStore(tmp_path / "cache" / "embeddings", 10_000)


def test_nothing_is_written_unless_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for value in ("", "0", "yes", "-5"):
        monkeypatch.setenv("HEMAVIEW_DISK_EMBEDDINGS", value)
        assert EmbeddingStore.from_environment() is None
    monkeypatch.delenv("HEMAVIEW_DISK_EMBEDDINGS")
    assert EmbeddingStore.from_environment() is None
    cache = EmbeddingCache()
    cache.put(KEY, embedding(1))
    assert list(tmp_path.rglob("*")) == []


def test_on_disk_it_outlives_the_program(store):
    EmbeddingCache(store=store).put(KEY, embedding(7))
    later = EmbeddingCache(store=store)
    assert torch.equal(later.get(KEY), embedding(7))
    assert later.counts == CacheCounts(disk_hits=1)
    later.get(KEY)
    assert later.counts == CacheCounts(hits=1, disk_hits=1)


def test_file_names_tell_nothing(store, tmp_path):
    secret = replace(KEY, scan="DOE^JANE 1970", window="case 12")
    store.write(secret.digest, embedding(1))
    (path,) = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert path.stem == secret.digest
    assert b"JANE" not in path.read_bytes()
    if os.name == "posix":
        assert path.parent.stat().st_mode & 0o077 == 0
        assert path.stat().st_mode & 0o077 == 0


def test_disk_space_is_bounded_and_the_oldest_go(tmp_path):
    store = EmbeddingStore(tmp_path, 3000)
    for number in range(12):
        store.write(key(number).digest, embedding(number))
        file = tmp_path / f"{key(number).digest}.embedding"
        os.utime(file, (number, number))
    total = sum(p.stat().st_size for p in tmp_path.iterdir())
    assert total <= 3000
    assert store.read(key(0).digest) is None
    assert torch.equal(store.read(key(11).digest), embedding(11))


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "other"])
def test_a_damaged_file_counts_as_absent(damage, store, tmp_path):
    store.write(KEY.digest, embedding(3))
    (path,) = [p for p in tmp_path.rglob("*") if p.is_file()]
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[-3] ^= 1
    path.write_bytes({"cut": content[:-7], "empty": b"", "other": b"\x80\x02}q\x00."}.get(damage, content))
    cache = EmbeddingCache(store=store)
    assert cache.get(KEY) is None
    cache.put(KEY, embedding(3))
    assert torch.equal(store.read(KEY.digest), embedding(3))


def test_a_disk_that_refuses_costs_nothing_but_time(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = EmbeddingCache(store=EmbeddingStore(tmp_path / "file" / "folder", 10_000))
    cache.put(KEY, embedding(1))
    assert torch.equal(cache.get(KEY), embedding(1))
