"""A network small enough for a few processor threads, stopped between any two of its layers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from hemaview.segmentation.device import use_threads
from hemaview.segmentation.guided.protocols import Check

MOST_THREADS = 4
"""More cores than this do not make so small a network faster."""


class SmallNetwork:
    """Runs ``net`` on ``threads`` threads (default: what torch would take, at most four); one caller at a time."""

    def __init__(self, net: nn.Module, threads: int | None = None) -> None:
        self._net = net
        self._threads = threads or min(torch.get_num_threads(), MOST_THREADS)
        self._check: Check | None = None
        for module in net.modules():
            if not list(module.children()):
                module.register_forward_pre_hook(self._before_layer)

    @contextmanager
    def stopped_by(self, check: Check) -> Iterator[nn.Module]:
        """The network for one pass, before every layer of which ``check`` may raise."""
        use_threads(self._threads)
        self._check = check
        try:
            yield self._net
        finally:
            self._check = None

    def _before_layer(self, *_: object) -> None:
        if self._check is not None:
            self._check()
