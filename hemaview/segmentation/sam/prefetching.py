"""One background thread that computes ahead and gives way at once to what the user asks for."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from hemaview.errors import Cancelled
from hemaview.segmentation.sam.stopping import Check

_IDLE_SECONDS = 2.0
"""The thread ends after so long without work, so that it does not keep a model alive that nobody uses."""
_NICENESS = 10


class Prefetcher:
    """Runs ``work(item, check)`` for the items asked for, one at a time, while nobody is in ``held_off``.

    ``check`` raises as soon as the foreground wants the network; the item is taken up again afterwards.
    """

    def __init__(self, work: Callable[[int, Check], None]) -> None:
        self._work = work
        self._changed = threading.Condition()
        self._items: tuple[int, ...] = ()
        self._current: int | None = None
        self._waiting = 0
        self._thread: threading.Thread | None = None

    def ask(self, items: Sequence[int]) -> None:
        """Compute these next, in this order, in place of what was asked for before."""
        with self._changed:
            self._items = tuple(items)
            self._start()

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Stop the background work, wait until it has stopped, and keep it stopped."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._current is None)
        try:
            yield
        finally:
            with self._changed:
                self._waiting -= 1
                self._start()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to do; False when it takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._items and self._current is None, seconds)

    def _start(self) -> None:
        """Wake the thread, or make one where there is work and none is left."""
        self._changed.notify_all()
        if self._items and not self._waiting and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hemaview-prefetch", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        _step_back()
        while (item := self._next()) is not None:
            finished = True
            try:
                self._work(item, self._check)
            except Cancelled:
                finished = False
            except Exception:
                # Computing ahead is a favour: the foreground meets the same failure and reports it.
                logging.getLogger(__name__).debug("slice %d could not be computed ahead", item, exc_info=True)
            with self._changed:
                self._current = None
                if finished:
                    self._items = tuple(n for n in self._items if n != item)
                self._changed.notify_all()

    def _next(self) -> int | None:
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items) and not self._waiting, _IDLE_SECONDS):
                self._thread = None
                return None
            self._current = self._items[0]
            return self._current

    def _check(self) -> None:
        if self._waiting or self._current not in self._items:
            raise Cancelled


def _step_back() -> None:
    """Lower this thread's priority on Linux, where threads have one of their own."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
