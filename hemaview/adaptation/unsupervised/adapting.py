"""One adaptation: self-training from the net's own sure answers, with target statistics or without."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hemaview.adaptation.unsupervised.arms import Arm, prepare
from hemaview.adaptation.unsupervised.batches import crops_in_turn, unlabelled_crops
from hemaview.adaptation.unsupervised.head import HeadedUNet
from hemaview.adaptation.unsupervised.pseudo_labels import pseudo_labels, self_training_loss, soft_agreement
from hemaview.adaptation.unsupervised.slices import SliceSet
from hemaview.adaptation.unsupervised.source import Report, fit
from hemaview.segmentation.adapters.adabn import adapt_batch_norm

_PATIENCE = 2


@dataclass(frozen=True)
class AdaptationPlan:
    """How long to adapt. ``check_every`` steps the consistency on held-out images decides whether to go on."""

    steps: int = 30
    supervised_steps: int = 60
    batch: int = 16
    check_every: int = 10
    statistics_passes: int = 1
    blocks: str = "init_path"


@dataclass(frozen=True, eq=False)
class Adapted:
    """The fitted model, what it cost, and the consistency at every check (first entry: before any step)."""

    model: HeadedUNet
    trained: int
    seconds: float
    consistency: tuple[float, ...]
    kept_step: int


def adapt(
    source: HeadedUNet, arm: Arm, target: SliceSet, held_out: SliceSet, plan: AdaptationPlan, seed: int, report: Report
) -> Adapted:
    """Fit a copy of ``source`` to ``target``; ``held_out`` images of the same scanner decide when to stop.

    Only ``Arm.SUPERVISED`` reads the truth of ``target``; nothing reads that of ``held_out``. Source statistics and
    weights stay as they were. ``seconds`` is processor time.
    """
    started = time.process_time()
    torch.manual_seed(seed)
    rng = np.random.default_rng((seed, 2))
    prepared = prepare(source, arm, plan.blocks)
    model, consistency, kept = prepared.model, [], 0
    if arm.replaces_statistics:
        _take_statistics(model, target, plan, seed)
    if arm is Arm.SUPERVISED:
        kept = plan.supervised_steps
        fit(model.net, prepared.parameters, rng, target, steps=kept, batch=plan.batch, rate=1e-3, report=report)
        _take_statistics(model, target, plan, seed)
    elif prepared.parameters:
        probe = _probe(held_out, seed)
        first = _check(model, *probe)
        consistency.append(first.agreement)
        best, state, waited = first.agreement, copy.deepcopy(model.state_dict()), 0
        optimiser = torch.optim.Adam(prepared.parameters, lr=arm.rate)
        for step in range(1, plan.steps + 1):
            final, early = model.both(unlabelled_crops(rng, target, plan.batch))
            optimiser.zero_grad()
            self_training_loss(early, pseudo_labels(final)).backward()  # type: ignore[no-untyped-call]  # untyped in torch
            optimiser.step()
            if step % plan.check_every:
                continue
            if arm.replaces_statistics:
                _take_statistics(model, target, plan, seed)
            checked = _check(model, *probe)
            consistency.append(checked.agreement)
            if checked.agreement >= best and first.as_large(checked):
                best, kept, waited, state = checked.agreement, step, 0, copy.deepcopy(model.state_dict())
            else:
                waited += 1
            if waited == _PATIENCE:
                break
        model.load_state_dict(state)
    report(f"{arm.value}: kept step {kept}, consistency {' '.join(f'{c:.3f}' for c in consistency) or '-'}")
    return Adapted(model.eval(), prepared.trained, time.process_time() - started, tuple(consistency), kept)


def _take_statistics(model: HeadedUNet, target: SliceSet, plan: AdaptationPlan, seed: int) -> None:
    crops = crops_in_turn(np.random.default_rng((seed, 3)), target, plan.batch, plan.statistics_passes)
    adapt_batch_norm(model, crops, forward=model.both)


def _probe(held_out: SliceSet, seed: int, most: int = 32) -> tuple[Tensor, Tensor]:
    """Held-out slices, and the same ones mirrored and with a little noise."""
    rng = np.random.default_rng((seed, 4))
    chosen = np.sort(rng.permutation(len(held_out))[:most])
    images = held_out.images[torch.from_numpy(chosen)]
    noise = torch.from_numpy(rng.standard_normal(images.shape, dtype=np.float32)) * 0.02
    noise[:, 1:] = 0  # the box is not an image
    return images, (images + noise * (images > 0)).flip(-1)


@dataclass(frozen=True)
class _Check:
    """Agreement of the answers to held-out slices and to their mirrored, noisier copies; share of lesion found."""

    agreement: float
    lesion: float

    def as_large(self, other: _Check) -> bool:
        """Whether the other finds between half and twice as much: a net that calls everything lesion agrees too."""
        return 0.5 * self.lesion <= other.lesion <= 2 * self.lesion


@torch.no_grad()
def _check(model: HeadedUNet, images: Tensor, changed: Tensor) -> _Check:
    probability = torch.sigmoid(model(images))
    other = torch.sigmoid(model(changed)).flip(-1)
    return _Check(soft_agreement(probability, other), float(probability.mean()))
