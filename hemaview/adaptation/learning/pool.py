"""All questions of a run, cut once and kept on disk, and the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from hemaview.adaptation.datasets.labelled import DataError, LabelledScan
from hemaview.adaptation.learning.questions import Question, Trainee
from hemaview.case.records import fingerprint
from hemaview.saving import save_atomically

MOST_BYTES = 1 << 30
"""A pool takes at most about this much memory; more scans then give fewer questions each."""
_MOST_PER_SCAN, _LEAST_PER_SCAN = 48, 4


@dataclass(frozen=True, eq=False)
class Pool:
    """Questions as stacked tensors (N, ...), numbers above 1 MB in half precision; ``scan`` (N,) counts the scans."""

    tensors: dict[str, Tensor]
    scan: Tensor

    def __len__(self) -> int:
        return len(self.scan)

    def question(self, index: int) -> Question:
        """Question ``index`` in single precision."""
        return {name: _whole(tensor[index]) for name, tensor in self.tensors.items()}

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> Question:
        """Several questions, stacked."""
        chosen = torch.as_tensor(np.asarray(indices, dtype=np.int64))
        return {name: _whole(tensor[chosen]) for name, tensor in self.tensors.items()}


def questions_per_scan(scans: int, bytes_each: int) -> int:
    """How many questions each of ``scans`` scans gives when one takes ``bytes_each`` bytes."""
    return int(np.clip(MOST_BYTES // max(1, scans * bytes_each), _LEAST_PER_SCAN, _MOST_PER_SCAN))


def cut_pool(
    trainee: Trainee,
    scans: Sequence[LabelledScan],
    folder: Path,
    name: str,
    *,
    seed: int,
    share: tuple[int, int] = (0, 1),
    most: int = _MOST_PER_SCAN,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Read this process's share of ``scans`` and put their questions into ``folder``, one file per scan.

    ``share`` is (number, count) of processes that divide the scans. A file that is already there is kept, so that a
    broken-off run goes on where it was; the same seed gives the same questions whoever cuts them.
    """
    _make(folder)
    own = list(enumerate(scans))[share[0] :: share[1]]
    for done, (number, scan) in enumerate(own):
        report(done, len(own))
        path = _path(folder, name, number)
        if path.exists():
            continue
        volume, mask = scan.load()
        rng = np.random.default_rng((seed, number, len(name)))
        first = trainee.questions(volume, mask, np.random.default_rng(0), 2)
        each = sum(tensor.numel() * 2 for tensor in first[0].values()) if first else 1
        questions = trainee.questions(volume, mask, rng, min(most, questions_per_scan(len(scans), each)))
        if not questions:
            raise DataError(f"The lesion of {scan.case} is too small to learn from; leave this scan out.")
        stacked = {key: _half(torch.stack([q[key] for q in questions])) for key in questions[0]}
        metadata = {"patient": scan.patient, "digest": fingerprint(volume)}
        save_atomically(path, save(stacked, metadata), "A part of the training data")
    report(len(own), len(own))


def open_pool(scans: Sequence[LabelledScan], folder: Path, name: str) -> Pool:
    """Every scan's questions in the order of ``scans``; ``DataError`` when a file of ``cut_pool`` is not there."""
    parts: list[dict[str, Tensor]] = []
    numbers: list[int] = []
    for number in range(len(scans)):
        path = _path(folder, name, number)
        try:
            part = load_file(path)
        except (OSError, SafetensorError) as error:
            raise DataError(f"The prepared training data in {folder} are damaged; delete that folder.") from error
        parts.append(part)
        numbers += [number] * len(next(iter(part.values())))
    tensors = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
    return Pool(tensors, torch.tensor(numbers))


def forget_pools(folder: Path) -> None:
    """Delete the prepared data: they hold pieces of the scans."""
    for path in folder.glob("*.safetensors"):
        path.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def order(size: int, batch: int, step: int, seed: int) -> NDArray[np.int64]:
    """Which of ``size`` questions the batch of ``step`` (from 0) holds: every question once, then all again.

    A function of its arguments alone, so that a resumed run and any number of processes see the same order.
    """
    positions = np.arange(step * batch, (step + 1) * batch)
    found = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(positions // size):
        chosen = positions // size == epoch
        found[chosen] = np.random.default_rng((seed, int(epoch))).permutation(size)[positions[chosen] % size]
    return found


def _path(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}-{number:05d}.safetensors"


def _make(folder: Path) -> None:
    from hemaview.case.headless import make_folder

    make_folder(folder)


def _half(tensor: Tensor) -> Tensor:
    small = tensor[0].numel() < 64
    return tensor.half() if tensor.is_floating_point() and not small else tensor.contiguous()


def _whole(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
