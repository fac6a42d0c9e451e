"""The order of questions, and pieces of scans on disk."""

import numpy as np
import pytest
import torch

from hemaview.adaptation.datasets import DataError, LabelledScan
from hemaview.adaptation.learning.pool import cut_pool, forget_pools, open_pool, order, questions_per_scan
from hemaview.imaging import Geometry, LabelMap, Volume


class Counting:
    """Asks about random numbers and counts how often a scan was cut."""

    role = "toy"

    def __init__(self):
        self.cut = 0

    def questions(self, volume, mask, rng, count):
        self.cut += count > 2
        return [{"x": torch.from_numpy(rng.standard_normal(100).astype(np.float32))} for _ in range(count)]


def _scan(number):
    geometry = Geometry((4, 4, 2), (1.0, 1.0, 1.0))
    volume = Volume(np.full(geometry.shape, number, dtype=np.int16), geometry)
    return LabelledScan(f"p{number}", f"c{number}", "", "", lambda: (volume, LabelMap(volume.array >= 0, geometry)))


def test_every_question_is_asked_once_before_any_is_asked_again():
    asked = np.concatenate([order(10, 4, step, 3) for step in range(10)])
    for epoch in range(4):
        assert sorted(asked[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert (asked[:10] != asked[10:20]).any()
    assert (order(10, 4, 7, 3) == asked[28:32]).all()
    assert sorted(order(3, 7, 0, 1)[:3]) == [0, 1, 2]


def test_processes_cut_their_shares_and_all_see_the_same(tmp_path):
    scans = [_scan(number) for number in range(5)]
    one, other, alone = Counting(), Counting(), Counting()
    cut_pool(one, scans, tmp_path / "two", "train", seed=1, share=(0, 2), most=6)
    cut_pool(other, scans, tmp_path / "two", "train", seed=1, share=(1, 2), most=6)
    cut_pool(alone, scans, tmp_path / "one", "train", seed=1, most=6)
    assert (one.cut, other.cut, alone.cut) == (3, 2, 5)
    together, single = (open_pool(scans, tmp_path / name, "train") for name in ("two", "one"))
    assert len(together) == 30
    assert together.scan.tolist() == sorted([0, 1, 2, 3, 4] * 6)
    assert torch.equal(together.tensors["x"], single.tensors["x"])
    assert together.batch([3, 29])["x"].dtype == torch.float32


def test_what_was_cut_is_not_cut_again_and_goes_at_the_end(tmp_path):
    scans = [_scan(number) for number in range(3)]
    trainee = Counting()
    cut_pool(trainee, scans[:2], tmp_path / "x", "train", seed=1, most=4)
    cut_pool(trainee, scans, tmp_path / "x", "train", seed=1, most=4)
    assert trainee.cut == 3
    next((tmp_path / "x").iterdir()).write_bytes(b"nothing")
    with pytest.raises(DataError, match="damaged"):
        open_pool(scans, tmp_path / "x", "train")
    forget_pools(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_many_large_questions_stay_within_memory():
    assert questions_per_scan(10, 1000) == questions_per_scan(1, 1)
    assert questions_per_scan(100, 2 << 20) < 10
    assert questions_per_scan(100_000, 2 << 20) >= 1
