"""The training loop shared by both networks: AdamW, cosine decay on wall time, moving average, checkpoints."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

_WARM_UP_STEPS = 150
_AVERAGE_DECAY = 0.998


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train; ``checkpoint`` is the state to resume from, ``weights`` the finished file."""

    minutes: float
    learning_rate: float
    checkpoint: Path
    weights: Path
    metadata: Mapping[str, str]
    weight_decay: float = 0.02
    report_minutes: float = 2.5


def soft_dice(probability: Tensor, target: Tensor) -> Tensor:
    """1 - Dice per item over all further dimensions."""
    dims = tuple(range(1, probability.ndim))
    overlap = (probability * target).sum(dims)
    return 1 - (2 * overlap + 1) / (probability.sum(dims) + target.sum(dims) + 1)


def coarse_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Dice, cross-entropy, a penalty on the volume's error (heavier where it is too large), and where the lesion ends.

    The ends count along each axis: the highest logit of every plane is compared with whether the plane holds lesion.
    """
    probability = logits.sigmoid()
    dims = tuple(range(1, target.ndim))
    ratio = ((probability.sum(dims) + 50) / (target.sum(dims) + 50)).log()
    volume = 0.1 * ratio.abs() + 0.1 * ratio.clamp_min(0)
    entropy = F.binary_cross_entropy_with_logits(logits, target)
    ends = torch.zeros(())
    for axis in dims:
        others = tuple(dim for dim in dims if dim != axis)
        held = (target.amax(others) > 0.5).to(logits.dtype)
        ends = ends + F.binary_cross_entropy_with_logits(logits.amax(others), held)
    return soft_dice(probability, target).mean() + entropy + volume.mean() + 0.1 * ends


def fine_loss(logits: Tensor, estimate: Tensor, target: Tensor) -> Tensor:
    """Dice, cross-entropy and the squared error of the estimated IoU."""
    with torch.no_grad():
        mask, truth = logits > 0, target > 0.5
        union = (mask | truth).sum((1, 2, 3)).clamp_min(1)
        iou = (mask & truth).sum((1, 2, 3)) / union
    entropy = F.binary_cross_entropy_with_logits(logits, target)
    return soft_dice(logits.sigmoid(), target).mean() + entropy + 0.2 * F.mse_loss(estimate, iou)


def train(
    net: nn.Module,
    plan: Plan,
    step_loss: Callable[[nn.Module], Tensor],
    score: Callable[[nn.Module], float],
    report: Callable[[str], None] = print,
) -> nn.Module:
    """Train ``net`` for ``plan.minutes`` of wall time, going on where a checkpoint of the same plan left off.

    ``step_loss`` draws a batch and returns its loss; ``score`` gives the held-out Dice of the averaged weights, which
    are written to ``plan.weights`` at every report, so that the file can be tried while training goes on.
    """
    average = copy.deepcopy(net).eval()
    optimiser = torch.optim.AdamW(net.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    spent, step = 0.0, 0
    if plan.checkpoint.exists():
        state = torch.load(plan.checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        spent, step = float(state["minutes"]), int(state["step"])
        report(f"resumed at {spent:.1f} of {plan.minutes:.1f} min")
    running, since_report = 0.0, spent
    mark = time.monotonic()
    while spent < plan.minutes:
        net.train()
        rate = plan.learning_rate * _schedule(step, spent / plan.minutes)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = step_loss(net)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        _average_into(average, net, min(_AVERAGE_DECAY, (step + 1) / (step + 20)))
        running = 0.98 * running + 0.02 * loss.item()
        now = time.monotonic()
        spent += (now - mark) / 60
        mark = now
        if spent - since_report >= plan.report_minutes or spent >= plan.minutes:
            since_report = spent
            dice = score(average)
            line = {
                "minutes": round(spent, 2),
                "step": step,
                "loss": round(running / (1 - 0.98**step), 4),
                "held_out_dice": round(dice, 4),
            }
            report(json.dumps(line))
            save_weights(average, plan.weights, {**plan.metadata, "steps": str(step), "minutes": f"{spent:.1f}"})
            _save_checkpoint(plan.checkpoint, net, average, optimiser, spent, step)
            mark = time.monotonic()
    return average


def _schedule(step: int, share: float) -> float:
    decay = 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * min(share, 1.0)))))
    return min(1.0, (step + 1) / _WARM_UP_STEPS) * (0.02 + 0.98 * decay)


@torch.no_grad()
def _average_into(average: nn.Module, net: nn.Module, decay: float) -> None:
    for kept, new in zip(_tensors(average), _tensors(net), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def _tensors(net: nn.Module) -> Iterable[Tensor]:
    return net.state_dict().values()


def save_weights(net: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write float16 safetensors with ``metadata`` in the header; the file appears whole or not at all."""
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in net.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    save_file(tensors, unfinished, metadata=dict(metadata))
    unfinished.chmod(0o644)
    unfinished.replace(path)


def _save_checkpoint(
    path: Path, net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, minutes: float, step: int
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    torch.save(
        {
            "net": net.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "minutes": minutes,
            "step": step,
        },
        unfinished,
    )
    unfinished.replace(path)
