"""Small things read in a thread of their own when they come into view: pictures of series, names of patients."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QThreadPool, Signal

Decode = Callable[[], object]


class LazyWork(QObject):
    """``arrived(key, result)`` in the window's thread for each key that was asked for.

    ``decode`` functions run one after the other, the newest first: what has just been scrolled into view is wanted
    before what has left it. They must not raise.
    """

    arrived = Signal(object, object)
    _decoded = Signal(int, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._asked: set[object] = set()
        self._turn = 0
        self._round = 0
        self._decoded.connect(self._on_decoded)

    @property
    def is_busy(self) -> bool:
        """Whether something is still being decoded."""
        return self._pool.activeThreadCount() > 0

    def want(self, key: object, decode: Decode) -> None:
        """Decode this once, before everything that was asked for earlier."""
        if key in self._asked:
            return
        self._asked.add(key)
        self._turn += 1
        round_ = self._round

        def work() -> None:
            if round_ == self._round:
                self._decoded.emit(round_, key, decode())

        self._pool.start(work, self._turn)

    def forget(self) -> None:
        """Drop everything that was asked for, also what is on its way; keys may be asked for again."""
        self._round += 1
        self._pool.clear()
        self._asked.clear()

    def close(self) -> None:
        """Drop what waits and wait for what runs."""
        self.forget()
        self._pool.waitForDone()

    def _on_decoded(self, round_: int, key: object, result: object) -> None:
        if round_ == self._round:
            self.arrived.emit(key, result)
