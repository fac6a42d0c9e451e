"""Places inside the network where a running computation can be stopped from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

Check = Callable[[], None]
"""Raises to stop the computation of the thread that calls it."""

_local = threading.local()


@contextmanager
def stoppable(check: Check | None) -> Iterator[None]:
    """Within it, every ``stop_point`` this thread passes calls ``check``."""
    before: Check | None = getattr(_local, "check", None)
    _local.check = check
    try:
        yield
    finally:
        _local.check = before


def stop_point() -> None:
    """Call this thread's check, if there is one."""
    check: Check | None = getattr(_local, "check", None)
    if check is not None:
        check()


def stop_before_layers(net: nn.Module) -> None:
    """Make every layer of ``net`` that holds no other layer a place to stop before."""
    for module in net.modules():
        if not list(module.children()):
            module.register_forward_pre_hook(_before_layer)


def _before_layer(*_: object) -> None:
    stop_point()
