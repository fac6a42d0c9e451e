"""Choosing a device, and going down the ladder when its memory is full."""

import pytest
import torch
from torch import nn

from hemaview.errors import ModelError
from hemaview.segmentation.device import ComputeDevice, MemoryLadder, choose_device, is_out_of_memory, use_threads

FULL = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "mps": RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)."),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
    "python": MemoryError(),
}
# A device that exists everywhere and is not the CPU: its tensors have no memory at all.
CARD = ComputeDevice("meta", 1)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    monkeypatch.delenv("HEMAVIEW_DEVICE", raising=False)
    monkeypatch.delenv("HEMAVIEW_THREADS", raising=False)


def test_settings_come_from_argument_environment_or_the_computer(monkeypatch):
    assert choose_device("cpu").name == "cpu"
    monkeypatch.setenv("HEMAVIEW_DEVICE", " CPU ")
    monkeypatch.setenv("HEMAVIEW_THREADS", "3")
    found = choose_device()
    assert (found.name, found.threads, found.note) == ("cpu", 3, "")
    assert found.title == "CPU, 3 threads"
    assert choose_device(threads=1).title == "CPU"


def test_auto_takes_the_card_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device().name == "cuda"
    assert choose_device("cuda:0").name == "cuda:0"
    missing = choose_device("cuda:1")
    assert missing.is_cpu
    assert "cuda:1" in missing.note


def test_a_card_that_is_not_there_is_replaced_with_a_note(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = choose_device("cuda")
    assert found.is_cpu
    assert "no usable device cuda" in found.note


@pytest.mark.parametrize("setting", ["gpu", "cuda:x", "cuda:-1", "cpu0", "vulkan"])
def test_an_unknown_device_is_refused(setting):
    with pytest.raises(ModelError, match="HEMAVIEW_DEVICE"):
        choose_device(setting)


@pytest.mark.parametrize("count", ["0", "-2", "two", "1.5", "100000"])
def test_a_number_of_threads_that_is_none_is_refused(count, monkeypatch):
    monkeypatch.setenv("HEMAVIEW_THREADS", count)
    with pytest.raises(ModelError, match="HEMAVIEW_THREADS"):
        choose_device()


def test_threads_are_set_for_torch():
    before = torch.get_num_threads()
    try:
        use_threads(before + 1)
        assert torch.get_num_threads() == before + 1
    finally:
        use_threads(before)


@pytest.mark.parametrize("kind", FULL)
def test_every_kind_of_full_memory_is_known(kind):
    assert is_out_of_memory(FULL[kind])


def test_other_errors_are_not_taken_for_full_memory():
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


class Narrow:
    """Work whose memory holds ``fits`` items at a time on the card; on the processor any number."""

    def __init__(self, net, fits, error=FULL["cuda"]):
        self.net, self.fits, self.error = net, fits, error
        self.groups = []

    def __call__(self, group):
        where = next(self.net.parameters()).device.type
        self.groups.append((where, len(group)))
        if where == "meta" and len(group) > self.fits:
            raise self.error
        return [10 * item for item in group]


@pytest.mark.parametrize("kind", FULL)
def test_smaller_groups_come_first(kind):
    net = nn.Linear(2, 2)
    ladder = MemoryLadder([net], CARD, 4)
    work = Narrow(net, 1, FULL[kind])
    assert ladder.run(work, range(5)) == [0, 10, 20, 30, 40]
    assert work.groups == [("meta", 4), ("meta", 2)] + [("meta", 1)] * 5
    assert ladder.batch == 1
    (note,) = ladder.take_notes()
    assert "smaller groups" in note
    assert ladder.take_notes() == ()


def test_what_was_done_is_not_done_again():
    net = nn.Linear(2, 2)
    ladder = MemoryLadder([net], CARD, 2)
    calls = []

    def work(group):
        calls.append(list(group))
        if len(calls) == 2:
            raise FULL["cuda"]
        return list(group)

    assert ladder.run(work, range(4)) == [0, 1, 2, 3]
    assert calls == [[0, 1], [2, 3], [2], [3]]


def test_other_failures_pass_through():
    ladder = MemoryLadder([nn.Linear(2, 2)], CARD, 4)

    def work(group):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        ladder.run(work, [1])
    assert ladder.batch == 4


def test_a_full_processor_is_one_sentence():
    ladder = MemoryLadder([nn.Linear(2, 2)], ComputeDevice("cpu", 1), 2)

    def work(group):
        raise FULL["cpu"]

    with pytest.raises(ModelError, match="not enough memory"):
        ladder.run(work, [1, 2])


def test_the_note_of_a_missing_card_is_passed_on():
    ladder = MemoryLadder([nn.Linear(2, 2)], choose_device("cuda:9"), 1)
    assert ladder.take_notes()[0].startswith("There is no usable device cuda:9")
