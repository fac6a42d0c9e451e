"""The source model: a residual U-Net trained on labelled slices of one scanner, then its early head."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hemaview.adaptation.unsupervised.batches import crops_in_turn, labelled_crops
from hemaview.adaptation.unsupervised.head import EarlyHead, HeadedUNet
from hemaview.adaptation.unsupervised.slices import SliceSet
from hemaview.segmentation.adapters.adabn import adapt_batch_norm
from hemaview.segmentation.unet import ResidualUNet

Report = Callable[[str], None]


def supervised_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross-entropy plus 1 - Dice of the batch, from sums."""
    probability = torch.sigmoid(logits)
    dice = (2 * (probability * truth).sum() + 1) / (probability.sum() + truth.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, truth) + 1 - dice


def train_source(seed: int, slices: SliceSet, *, filters: int, steps: int, batch: int, report: Report) -> ResidualUNet:
    """A net trained for ``steps`` on labelled crops, frozen and ready for use.

    Its statistics are taken anew at the end as ``AdaBN`` takes the target's: same crops, same formula, so that the
    two differ by the scanner alone.
    """
    torch.manual_seed(seed)
    net = new_net(filters)
    rng = np.random.default_rng((seed, 1))
    _start_sparse(net)
    fit(net, list(net.parameters()), rng, slices, steps=steps, batch=batch, rate=2e-3, report=report)
    adapt_batch_norm(net, crops_in_turn(rng, slices, batch, 1))
    return net.requires_grad_(False).eval()


def train_head(seed: int, net: ResidualUNet, slices: SliceSet, *, level: int, steps: int, batch: int) -> HeadedUNet:
    """``net`` with an early head trained for ``steps`` on its frozen features; the net stays as it was."""
    torch.manual_seed(seed)
    model = new_headed(net, level)
    rng = np.random.default_rng((seed, 5))
    model.head.train()
    optimiser = torch.optim.Adam(model.head.parameters(), lr=3e-3)
    for _ in range(steps):
        images, truth = labelled_crops(rng, slices, batch)
        with torch.no_grad():
            features = net.encode(images)[level]
        early = F.interpolate(model.head(features), size=images.shape[-2:], mode="bilinear", align_corners=False)
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(early, truth).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimiser.step()
    adapt_batch_norm(
        model.head, crops_in_turn(rng, slices, batch, 1), forward=lambda crops: model.head(net.encode(crops)[level])
    )
    return model.requires_grad_(False).eval()


def new_net(filters: int) -> ResidualUNet:
    """An untrained net for slices with a box."""
    net = ResidualUNet(2, filters=filters)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # not in torch's types


def new_headed(net: ResidualUNet, level: int) -> HeadedUNet:
    """``net`` with an untrained early head on its features of ``level``."""
    return HeadedUNet(net, EarlyHead(level, net.filters))


def _start_sparse(net: ResidualUNet) -> None:
    """Let the last batch norm begin with logits of a rare foreground; from 0 ± 1 it takes thousands of steps."""
    last = net.out_path[-1]
    assert isinstance(last, nn.BatchNorm2d)
    with torch.no_grad():
        last.weight.fill_(2.0)
        last.bias.fill_(-2.0)


def fit(
    net: nn.Module,
    parameters: list[nn.Parameter],
    rng: np.random.Generator,
    slices: SliceSet,
    *,
    steps: int,
    batch: int,
    rate: float,
    report: Report,
) -> None:
    """Train ``parameters`` on labelled crops with Adam and a one-cycle rate up to ``rate``; batch norms train along."""
    net.train()
    optimiser = torch.optim.Adam(parameters, lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=steps)
    running = 0.0
    for step in range(steps):
        images, truth = labelled_crops(rng, slices, batch)
        loss = supervised_loss(net(images), truth)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimiser.step()
        schedule.step()
        running = loss.item() if step == 0 else 0.95 * running + 0.05 * loss.item()
        if (step + 1) % 50 == 0:
            report(f"step {step + 1} of {steps}, loss {running:.3f}")
    net.eval()
