"""A persistent thread that works on the newest job only: the base of every worker of the window."""

from __future__ import annotations

import logging
import threading
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, QThread

from hemaview.errors import Cancelled
from hemaview.segmentation.contract import CancelToken

Job = TypeVar("Job")

_log = logging.getLogger(__name__)


class NewestWinsThread(QThread, Generic[Job]):
    """Keeps at most one job waiting and one running; a new one replaces the waiting and cancels the running one.

    A subclass answers ``process`` and, for work to do once at the start, ``prepare``; both run in this thread and
    report by Qt signals. ``close`` must be called before the object goes.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._condition = threading.Condition()
        self._waiting: Job | None = None
        self._running: CancelToken | None = None
        self._closing = False

    def submit(self, job: Job) -> None:
        """Work on ``job`` next; whatever was waiting or running is dropped. Starts the thread when needed."""
        with self._condition:
            if self._closing:
                return
            self._waiting = job
            if self._running is not None:
                self._running.cancel()
            self._condition.notify()
        if not self.isRunning():
            self.start()

    def cancel(self) -> None:
        """Drop what waits and stop what runs."""
        with self._condition:
            self._waiting = None
            if self._running is not None:
                self._running.cancel()

    def close(self) -> None:
        """Cancel everything and wait until the thread has ended; later jobs are ignored."""
        with self._condition:
            self._closing = True
            self._waiting = None
            if self._running is not None:
                self._running.cancel()
            self._condition.notify()
        self.wait()

    def prepare(self) -> None:
        """Work to do once, in this thread, before the first job."""

    def process(self, job: Job, cancel: CancelToken) -> None:
        """Work on one job; foreseeable failures are reported by signal, not raised."""
        raise NotImplementedError

    def run(self) -> None:
        """The thread's loop (called by Qt)."""
        self.prepare()
        while True:
            with self._condition:
                while self._waiting is None and not self._closing:
                    self._condition.wait()
                if self._closing or self._waiting is None:
                    return
                job, self._waiting = self._waiting, None
                token = self._running = CancelToken()
            try:
                self.process(job, token)
            except Cancelled:
                pass
            except Exception:
                _log.exception("a background job failed")
            finally:
                with self._condition:
                    self._running = None
                # Not held until the next job arrives: a job may keep a whole scan alive.
                del job
