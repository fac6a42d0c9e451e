"""What a command does to the terminal it runs in: sentences, a progress bar, and Ctrl+C."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hemaview.segmentation import CancelToken


def say(sentence: str) -> None:
    """One sentence on stderr, under the program's name."""
    print(f"hemaview: {sentence}", file=sys.stderr)


class Progress:
    """A bar on stderr, one per kind of work; nothing where nobody watches."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._label = ""
        self._bar: Any = None

    def show(self, label: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` parts of the work called ``label`` are finished."""
        if not self._shown:
            return
        if label != self._label:
            from tqdm import tqdm

            self.close()
            self._label = label
            self._bar = tqdm(
                total=total, desc=label, leave=False, file=sys.stderr, bar_format="{l_bar}{bar}| {elapsed}"
            )
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def fraction(self, label: str) -> Callable[[float], None]:
        """The same for work that counts from 0 to 1."""
        return lambda share: self.show(label, round(100 * share), 100)

    def amount(self, label: str) -> Callable[[int, int], None]:
        """The same for work that counts bytes."""
        return lambda done, total: self.show(label, done, total)

    def close(self) -> None:
        """Take the bar off the screen."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._label = None, ""


@contextmanager
def interrupt_cancels() -> Iterator[CancelToken]:
    """While it lasts, the first Ctrl+C asks the work to stop in good order; the second one stops everything."""
    from hemaview.segmentation import CancelToken

    token = CancelToken()

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()

    if threading.current_thread() is not threading.main_thread():
        yield token
        return
    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield token
    finally:
        signal.signal(signal.SIGINT, before)
