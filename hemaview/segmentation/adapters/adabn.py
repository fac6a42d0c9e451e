"""Adaptive batch normalisation: the statistics of the target domain in place of the source's.

Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", 2016, arXiv 1603.04779. Only the running
mean and variance change: y = gamma (x - mu_t) / sqrt(sigma_t^2 + eps) + beta with gamma and beta of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hemaview.errors import ModelError
from hemaview.segmentation.contract import CancelToken

Statistics = dict[str, Tensor]
"""Running means and variances by name, as in ``net.state_dict()``."""
_TOO_FEW = "Batch norm needs at least two values per channel; take larger batches or crops for the adaptation."
_NOT_FINITE = "The scans given for the adaptation hold values that are not numbers; leave them out and start again."
_NOTHING_SEEN = "No scan was given to adapt to; choose at least one scan of the new scanner."


@dataclass(frozen=True)
class NotApplicable:
    """The method can do nothing for this network; ``reason`` is one sentence."""

    reason: str


@dataclass(frozen=True)
class AdaBnResult:
    """What was done: batches seen, values per channel for each adapted layer, layers the data never reached."""

    batches: int
    values: Mapping[str, int]
    unreached: tuple[str, ...]


def batch_norms(net: nn.Module) -> dict[str, _BatchNorm]:
    """All batch norms of ``net`` that keep running statistics, by name."""
    return {name: m for name, m in net.named_modules() if isinstance(m, _BatchNorm) and m.running_mean is not None}


def read_statistics(net: nn.Module) -> Statistics:
    """Copies of all running means and variances."""
    found: Statistics = {}
    for name, norm in batch_norms(net).items():
        found[f"{name}.running_mean"] = _mean(norm).detach().clone()
        found[f"{name}.running_var"] = _variance(norm).detach().clone()
    return found


def write_statistics(net: nn.Module, statistics: Statistics) -> None:
    """Put running means and variances back; names and shapes are those of ``read_statistics``."""
    with torch.no_grad():
        for name, norm in batch_norms(net).items():
            _mean(norm).copy_(statistics[f"{name}.running_mean"])
            _variance(norm).copy_(statistics[f"{name}.running_var"])


def adapt_batch_norm(
    net: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Callable[[Any], object] | None = None,
    cancel: CancelToken | None = None,
) -> AdaBnResult | NotApplicable:
    """Replace the running statistics of every batch norm by those of ``batches``, pooled over all their values.

    Each batch norm normalises with its batch while the data passes, every other layer answers as in inference
    (dropout off), and nothing has a gradient. Over batches b with n_b values per channel, mean mu_b and biased variance
    s_b^2: mu = sum n_b mu_b / n and sigma^2 = sum n_b (s_b^2 + mu_b^2) / n - mu^2, so the spread *between* batches
    counts too, which torch's own running averages leave out. Stored as torch stores it: unbiased, times n / (n - 1).
    gamma, beta, momentum and the training flags stay as they were. A layer that no batch reached keeps the source's
    statistics. Mix slices of different scans in a batch, and leave out slices with little of the head in them.

    ``forward`` runs one batch, by default ``net(batch)``, or ``net(*batch)`` for a tuple. Source statistics come back
    when the work is cancelled or fails. Raises ``Cancelled``, and ``ModelError`` for no data, for fewer than two
    values per channel and for values that are not finite.
    """
    norms = batch_norms(net)
    if not norms:
        return NotApplicable("This network has no batch norm, so there are no statistics to adapt; leave AdaBN out.")
    run = forward or (lambda batch: net(*batch) if isinstance(batch, tuple) else net(batch))
    pools = {name: _Pool() for name in norms}
    with _as_they_were_on_failure(net), _only_norms_training(net, norms), ExitStack() as hooks, torch.no_grad():
        for name, norm in norms.items():
            hook = norm.register_forward_pre_hook(lambda _, inputs, pool=pools[name]: pool.add(inputs[0]))
            hooks.callback(hook.remove)
        count = 0
        for batch in batches:
            if cancel is not None:
                cancel.raise_if_cancelled()
            run(batch)
            count += 1
        if cancel is not None:
            cancel.raise_if_cancelled()
        reached = {name: pool for name, pool in pools.items() if pool.count}
        if not reached:
            raise ModelError(_NOTHING_SEEN)
        # The passes have blurred the running values of every layer, those that no batch reached excepted.
        for name, pool in reached.items():
            mean, variance = pool.statistics()
            _mean(norms[name]).copy_(mean)
            _variance(norms[name]).copy_(variance)
    return AdaBnResult(count, {n: p.count for n, p in reached.items()}, tuple(n for n in norms if n not in reached))


class _Pool:
    """Mean and variance per channel over everything a layer has been given, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = torch.zeros(())
        self._squares = torch.zeros(())

    def add(self, x: Tensor) -> None:
        """Take in one batch (B, C, ...)."""
        values = x.detach().transpose(0, 1).flatten(1).double()
        count = values.shape[1]
        if count < 2:
            raise ModelError(_TOO_FEW)
        mean = values.mean(1)
        squares = (values - mean[:, None]).square().sum(1)
        total = self.count + count
        # The between-batch term in the form that does not subtract two large numbers (Chan et al. 1979).
        gap = mean - self._mean
        self._squares = self._squares + squares + gap.square() * (self.count * count / total)
        self._mean = self._mean + gap * (count / total)
        self.count = total

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and unbiased variance per channel."""
        variance = self._squares / (self.count - 1)
        if not bool(torch.isfinite(self._mean).all() and torch.isfinite(variance).all()):
            raise ModelError(_NOT_FINITE)
        return self._mean, variance


@contextmanager
def _as_they_were_on_failure(net: nn.Module) -> Iterator[None]:
    """Keep the batch counters always, and on any failure all buffers of the batch norms."""
    norms = batch_norms(net)
    statistics = read_statistics(net)
    counters = {name: n.num_batches_tracked.clone() for name, n in norms.items() if n.num_batches_tracked is not None}
    try:
        yield
    except BaseException:
        write_statistics(net, statistics)
        raise
    finally:
        for name, counter in counters.items():
            norms[name].num_batches_tracked.copy_(counter)  # type: ignore[union-attr]  # has one, see above


@contextmanager
def _only_norms_training(net: nn.Module, norms: Mapping[str, _BatchNorm]) -> Iterator[None]:
    flags = [(module, module.training) for module in net.modules()]
    net.eval()
    for norm in norms.values():
        norm.training = True
    try:
        yield
    finally:
        for module, flag in flags:
            module.training = flag


def _mean(norm: _BatchNorm) -> Tensor:
    assert norm.running_mean is not None
    return norm.running_mean


def _variance(norm: _BatchNorm) -> Tensor:
    assert norm.running_var is not None
    return norm.running_var
