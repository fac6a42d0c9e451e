"""The loop: one process or many, resumable, ending early when the validation scans say so."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from hemaview.adaptation.learning.checkpoint import Checkpoint, Progress, read_checkpoint
from hemaview.adaptation.learning.pool import Pool, order
from hemaview.adaptation.learning.questions import Batch, Trainee
from hemaview.adaptation.learning.student import State, Student

COLUMNS = ("step", "minutes", "learning_rate", "loss", "validation_dice")
"""What a row of figures holds; one row per look at the validation scans."""
_CHECK_BATCH = 16


@dataclass(frozen=True)
class Plan:
    """How to learn. The run ends at ``steps`` or ``minutes`` (of this run's own time), whichever comes first.

    ``batch`` counts over all processes. ``average`` is the share that the moving average of the weights keeps per
    step, 0 for none; the average is what is checked and kept.
    """

    learning_rate: float
    steps: int | None = 400
    minutes: float | None = None
    batch: int = 16
    weight_decay: float = 0.01
    warm_up: int = 20
    clip: float = 1.0
    check_every: int = 25
    patience: int = 8
    average: float = 0.9
    seed: int = 0


@dataclass(frozen=True)
class Report:
    """How far the loop is: ``share`` of its time from 0 to 1, the last loss, the last validation Dice."""

    step: int
    share: float
    loss: float
    dice: float


class _Objective(nn.Module):
    """The loss as a module, because gradients of several processes are joined in a module's forward pass."""

    def __init__(self, net: nn.Module, trainee: Trainee) -> None:
        super().__init__()
        self.net = net
        self._trainee = trainee

    def forward(self, batch: Batch) -> Tensor:
        return self._trainee.loss(self.net, batch)


class Loop:
    """One network learning. ``run`` goes on from ``checkpoint`` where that file is there, and keeps it up to date.

    ``digest`` tells runs apart. ``stop`` is asked at every step. After ``run`` the student carries the best weights
    that were found, those of the start included.
    """

    def __init__(
        self,
        fabric: Fabric,
        student: Student,
        trainee: Trainee,
        pools: tuple[Pool, Pool],
        plan: Plan,
        checkpoint: Path,
        digest: str,
        *,
        report: Callable[[Report], None] = lambda report: None,
        checked: Callable[[Progress], None] = lambda progress: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._fabric = fabric
        self._student = student
        self._trainee = trainee
        self._train, self._validation = pools
        self._plan = plan
        self._path = checkpoint
        self._digest = digest
        self._report = report
        self._checked = checked
        self._stop = stop
        self._parameters = student.named_parameters()
        self._optimiser: torch.optim.Optimizer = torch.optim.AdamW(
            list(self._parameters.values()), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        self._module, self._stepper = fabric.setup(_Objective(student.net, trainee), self._optimiser)
        self.progress = Progress()
        self._average: State = {}
        self._best: State = {}
        self._losses: list[float] = []

    def run(self) -> Progress:
        """Learn until the plan ends, validation stops rising, or ``stop`` says so (``ended`` is then "stopped")."""
        self._resume()
        self._fabric.barrier()
        if self.progress.step == 0 and not self.progress.rows:
            self._check(0.0)
        mark = time.monotonic()
        while not self.progress.ended:
            share, stop = self._agree(self._share(), self._stop())
            if stop:
                self.progress.ended = "stopped"
                break
            if share >= 1 or self.progress.waited >= self._plan.patience:
                self.progress.ended = "early" if share < 1 else "planned"
                break
            self._step(share)
            self.progress.step += 1
            now = time.monotonic()
            self.progress.minutes += (now - mark) / 60
            mark = now
            if self.progress.step % self._plan.check_every == 0:
                self._check(share)
                mark = time.monotonic()
        if self.progress.ended == "planned" and self.progress.step % self._plan.check_every:
            self._check(1.0)
        if self.progress.ended == "stopped":
            # The file must tell a run that was stopped from one that has come to its end.
            self._save(ended="")
        else:
            self._save(ended=self.progress.ended)
        self._student.load(self._best)
        self._student.eval()
        return self.progress

    def _step(self, share: float) -> None:
        plan, fabric = self._plan, self._fabric
        self._student.train()
        rate = plan.learning_rate * rate_factor(self.progress.step, share, plan.warm_up)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss = self._module(self._batch(self.progress.step))
        self._stepper.zero_grad()
        fabric.backward(loss)
        if plan.clip > 0:
            fabric.clip_gradients(self._module, self._stepper, max_norm=plan.clip)
        self._stepper.step()
        with torch.no_grad():
            keep = min(plan.average, (self.progress.step + 1) / (self.progress.step + 10))
            for name, parameter in self._parameters.items():
                self._average[name].lerp_(parameter.detach().to(self._average[name]), 1 - keep)
        self._losses.append(float(loss.detach()))
        self._report(Report(self.progress.step + 1, share, self._losses[-1], self._last_dice()))

    def _batch(self, step: int) -> dict[str, Tensor]:
        """This process's part of the batch. Which questions, and how they are varied, follows from the step alone."""
        plan, fabric = self._plan, self._fabric
        indices = order(len(self._train), plan.batch, step, plan.seed)
        mine = range(fabric.global_rank, plan.batch, fabric.world_size)
        questions = []
        for position in mine:
            rng = np.random.default_rng((plan.seed, step, position))
            questions.append(self._trainee.varied(self._train.question(int(indices[position])), rng))
        batch = {name: torch.stack([question[name] for question in questions]) for name in questions[0]}
        return {name: tensor.to(fabric.device) for name, tensor in batch.items()}

    def _check(self, share: float) -> None:
        """Dice of the averaged weights on the validation scans; keeps them where they are the best so far."""
        own = self._student.state()
        self._student.load({**own, **{name: tensor.cpu() for name, tensor in self._average.items()}})
        dice = self._validation_dice()
        progress = self.progress
        if progress.first_dice < 0:
            progress.first_dice = dice
        if dice > progress.best_dice:
            progress.best_dice, progress.best_step, progress.waited = dice, progress.step, 0
            self._best = self._student.state()
        else:
            progress.waited += 1
        self._student.load(own)
        rate = self._plan.learning_rate * rate_factor(progress.step, share, self._plan.warm_up)
        progress.rows.append([progress.step, round(progress.minutes, 4), rate, self._mean_loss(), dice])
        self._save()
        if self._fabric.is_global_zero:
            self._checked(progress)

    def _validation_dice(self) -> float:
        """Mean over all questions, each process asking its share."""
        fabric, pool = self._fabric, self._validation
        self._student.eval()
        mine = list(range(fabric.global_rank, len(pool), fabric.world_size))
        total = torch.zeros(2, dtype=torch.float64, device=fabric.device)
        with torch.inference_mode():
            for start in range(0, len(mine), _CHECK_BATCH):
                batch = pool.batch(mine[start : start + _CHECK_BATCH])
                answers = self._trainee.dice(
                    self._student.net, {name: tensor.to(fabric.device) for name, tensor in batch.items()}
                )
                total += torch.stack([answers.double().sum(), torch.tensor(float(len(answers))).to(total)])
        total = _summed(fabric, total)
        return float(total[0] / total[1].clamp_min(1))

    def _mean_loss(self) -> float:
        losses, self._losses = self._losses, []
        if not losses:
            return math.nan
        total = _summed(self._fabric, torch.tensor([sum(losses), float(len(losses))], dtype=torch.float64))
        return float(total[0] / total[1])

    def _last_dice(self) -> float:
        return self.progress.rows[-1][-1] if self.progress.rows else math.nan

    def _share(self) -> float:
        plan, progress = self._plan, self.progress
        shares = [0.0]
        if plan.steps is not None:
            shares.append(progress.step / max(1, plan.steps))
        if plan.minutes is not None:
            shares.append(progress.minutes / max(1e-6, plan.minutes))
        return max(shares)

    def _agree(self, share: float, stop: bool) -> tuple[float, bool]:
        """The first process's clock, and whether any process was asked to stop: the same answer in all of them."""
        fabric = self._fabric
        if fabric.world_size == 1:
            return share, stop
        told = torch.tensor([share if fabric.is_global_zero else 0.0, float(stop)], dtype=torch.float64)
        told = _summed(fabric, told.to(fabric.device))
        return float(told[0]), bool(told[1] > 0)

    def _resume(self) -> None:
        found = read_checkpoint(self._path, self._digest)
        if found is None:
            self._average = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
            self._best = self._student.state()
            return
        self.progress = found.progress
        self._student.load(found.student)
        self._optimiser.load_state_dict(found.optimiser)
        self._average = {name: found.average[name].to(p.device) for name, p in self._parameters.items()}
        self._best = found.best
        torch.set_rng_state(found.random)

    def _save(self, ended: str = "") -> None:
        if self._fabric.is_global_zero:
            before, self.progress.ended = self.progress.ended, ended
            Checkpoint(
                run=self._digest,
                progress=self.progress,
                student=self._student.state(),
                average={name: tensor.cpu() for name, tensor in self._average.items()},
                best=self._best,
                optimiser=_on_cpu(self._optimiser.state_dict()),
                random=torch.get_rng_state(),
            ).save(self._path)
            self.progress.ended = before
        self._fabric.barrier()


def rate_factor(step: int, share: float, warm_up: int) -> float:
    """Linear warm-up, then half a cosine from 1 to 0.02 over the run."""
    decay = 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    return min(1.0, (step + 1) / max(1, warm_up)) * (0.02 + 0.98 * decay)


def _summed(fabric: Fabric, values: Tensor) -> Tensor:
    if fabric.world_size == 1:
        return values
    return torch.as_tensor(fabric.all_reduce(values.to(fabric.device), reduce_op="sum"))


def _on_cpu(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        return {key: _on_cpu(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_on_cpu(value) for value in state]
    return state
