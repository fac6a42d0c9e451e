"""Where a network runs: which device, how many threads, and what happens when its memory is full.

Two settings of the environment override the choice: ``HEMAVIEW_DEVICE`` (auto, cpu, cuda, cuda:1, mps) and
``HEMAVIEW_THREADS`` (a number).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import nn

from hemaview.errors import ModelError

DEVICE_SETTING = "HEMAVIEW_DEVICE"
THREADS_SETTING = "HEMAVIEW_THREADS"
_MOST_THREADS = 64
_ON_CPU = "The graphics card's memory is full, so the model now runs on the processor, which is slower."
_SMALLER = "The graphics card's memory is short, so the slices are computed in smaller groups."
_NO_MEMORY = "There is not enough memory for this model; close other programs or choose the compact model."
_FULL = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class ComputeDevice:
    """A device of torch, the threads to use on a CPU, and a sentence where it is not what was asked for."""

    name: str
    threads: int
    note: str = ""

    @property
    def torch_device(self) -> torch.device:
        """What tensors and modules are moved to."""
        return torch.device(self.name)

    @property
    def is_cpu(self) -> bool:
        """Whether the processor computes."""
        return self.name == "cpu"

    @property
    def title(self) -> str:
        """For the status line and the report: "CPU, 2 threads", "CUDA (card's name)", "Apple GPU"."""
        if self.is_cpu:
            return "CPU" if self.threads == 1 else f"CPU, {self.threads} threads"
        if self.name.startswith("cuda"):
            return f"CUDA ({torch.cuda.get_device_name(self.torch_device)})"
        return "Apple GPU" if self.name == "mps" else self.name

    def on_cpu(self) -> ComputeDevice:
        """The processor of the same computer."""
        return replace(self, name="cpu", note=_ON_CPU)


def choose_device(setting: str | None = None, threads: int | None = None) -> ComputeDevice:
    """The fastest device there is, or the one asked for in ``setting`` or in the environment.

    A graphics card that was asked for and is not there is replaced by the processor, with a note. Raises
    ``ModelError`` for a setting that names no device or no number of threads.
    """
    count = _threads() if threads is None else threads
    wanted = (setting or os.environ.get(DEVICE_SETTING) or "auto").strip().lower()
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,2})?", wanted):
        raise ModelError(f'There is no device called "{wanted[:40]}"; set {DEVICE_SETTING} to auto, cpu, cuda or mps.')
    if wanted == "auto":
        found = next((name for name in ("cuda", "mps") if _is_there(name)), "cpu")
        return ComputeDevice(found, count)
    if wanted != "cpu" and not _is_there(wanted):
        note = f"There is no usable device {wanted} on this computer, so the model runs on the processor."
        return ComputeDevice("cpu", count, note)
    return ComputeDevice(wanted, count)


def use_threads(count: int) -> None:
    """Let torch use ``count`` threads for what this thread computes."""
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch failed for want of memory, on any of its devices."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and _FULL.search(str(error)) is not None


class MemoryLadder:
    """Runs work in groups that fit into the device's memory: smaller groups first, then the processor.

    ``modules`` are moved to ``device`` at once. ``batch`` is the number of items to try together; what was found not
    to fit is remembered. ``notes`` collects one sentence for each step down.
    """

    def __init__(self, modules: Sequence[nn.Module], device: ComputeDevice, batch: int) -> None:
        self._modules = tuple(modules)
        self.device = device
        self.batch = max(1, batch)
        self.notes: list[str] = [device.note] if device.note else []
        try:
            self._move()
        except RuntimeError as error:
            self._step_down(error)

    def run(self, work: Callable[[Sequence[Item]], list[Answer]], items: Sequence[Item]) -> list[Answer]:
        """``work`` of all items, in order. ``work`` may be called again for items whose group did not fit.

        Raises ``ModelError`` where even one item does not fit into the processor's memory.
        """
        found: list[Answer] = []
        while len(found) < len(items):
            try:
                found += work(items[len(found) : len(found) + self.batch])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                failure: BaseException = error
            else:
                continue
            # Outside the except clause, which would keep the failed work's tensors alive.
            self._step_down(failure.with_traceback(None))
        return found

    def take_notes(self) -> tuple[str, ...]:
        """The sentences since the last call."""
        notes = tuple(self.notes)
        self.notes.clear()
        return notes

    def _step_down(self, error: BaseException) -> None:
        if not is_out_of_memory(error):
            raise error
        _release(self.device)
        if self.batch > 1:
            self.batch = (self.batch + 1) // 2
            if not self.device.is_cpu and _SMALLER not in self.notes:
                self.notes.append(_SMALLER)
        elif not self.device.is_cpu:
            self.device = self.device.on_cpu()
            self.notes.append(self.device.note)
            self._move()
        else:
            raise ModelError(_NO_MEMORY) from error

    def _move(self) -> None:
        for module in self._modules:
            module.to(self.device.torch_device)


def _is_there(name: str) -> bool:
    if name == "mps":
        return torch.backends.mps.is_available()
    index = int(name.partition(":")[2] or 0)
    return torch.cuda.is_available() and index < torch.cuda.device_count()


def _threads() -> int:
    text = os.environ.get(THREADS_SETTING, "").strip()
    if not text:
        return torch.get_num_threads()
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_THREADS:
        raise ModelError(f'"{text[:40]}" is no number of threads; set {THREADS_SETTING} to 1 to {_MOST_THREADS}.')
    return int(text)


def _release(device: ComputeDevice) -> None:
    """Hand memory that torch keeps for later back to the device."""
    if device.name.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device.name == "mps":
        torch.mps.empty_cache()
