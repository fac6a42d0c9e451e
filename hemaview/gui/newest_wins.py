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

    A subclass answers ``process`` and, for work to do before the first job, ``prepare``; both run in this thread and
    report by Qt signals. ``close`` must be called before the object goes.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._condition = threading.Condition()
        self._waiting: Job | None = None
        self._running: CancelToken | None = None
        self._closing = False
        self._unprepared = True
        self._spare: Job | None = None

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

    def submit_spare(self, job: Job) -> None:
        """Work on ``job`` when nothing else is to be done; a later one replaces it, any other job goes before it."""
        with self._condition:
            if not self._closing and self.isRunning():
                self._spare = job
                self._condition.notify()

    def prepare_again(self) -> None:
        """Call ``prepare`` once more before the next job; what runs is cancelled, what waits goes on waiting."""
        with self._condition:
            if self._closing:
                return
            self._unprepared = True
            if self._running is not None:
                self._running.cancel()
            self._condition.notify()

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
        """Work to do in this thread before the first job, and again after ``prepare_again``."""

    def process(self, job: Job, cancel: CancelToken) -> None:
        """Work on one job; foreseeable failures are reported by signal, not raised."""
        raise NotImplementedError

    @property
    def _has_work(self) -> bool:
        return self._waiting is not None or self._spare is not None

    def _next(self) -> Job | None:
        job = self._waiting
        if job is not None:
            self._waiting = None
            return job
        job, self._spare = self._spare, None
        return job

    def run(self) -> None:
        """The thread's loop (called by Qt)."""
        while True:
            with self._condition:
                while not (self._has_work or self._closing or self._unprepared):
                    self._condition.wait()
                if self._closing:
                    return
                unprepared, self._unprepared = self._unprepared, False
                job = None if unprepared else self._next()
                token = self._running = None if unprepared else CancelToken()
            if job is None or token is None:
                self.prepare()
                continue
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
