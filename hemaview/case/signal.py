"""The one way a case tells its listeners that something changed; no Qt in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Signal(Generic[T]):
    """A list of callbacks, called in the order of connection, in the thread that emits.

    Callbacks are held strongly: whoever connects also disconnects, or keeps the callable that ``connect`` returns.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callable[[T], None]] = []

    def connect(self, callback: Callable[[T], None]) -> Callable[[], None]:
        """Call ``callback`` on every later emission; returns a callable that disconnects it again."""
        self._callbacks.append(callback)
        return lambda: self.disconnect(callback)

    def disconnect(self, callback: Callable[[T], None]) -> None:
        """Stop calling ``callback``; nothing happens when it is not connected."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def emit(self, value: T) -> None:
        """Call every connected callback with ``value``; callbacks may connect and disconnect meanwhile."""
        for callback in tuple(self._callbacks):
            if callback in self._callbacks:
                callback(value)
