"""A thread for one thing at a time that the user waits for and may cancel: opening scans, saving results."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal

from hemaview.errors import Cancelled, HemaviewError
from hemaview.gui.newest_wins import NewestWinsThread
from hemaview.segmentation.contract import CancelToken

_log = logging.getLogger(__name__)

Report = Callable[[float], None]

_TELL_EVERY_S = 0.05


@dataclass(frozen=True, eq=False)
class Task:
    """``work(report)`` runs in the thread; ``report(fraction)`` shows progress and raises ``Cancelled`` on request.

    ``label`` is what the status line says meanwhile. ``then`` gets the result in the window's thread, ``otherwise``
    the sentence of a failure. A ``replaceable`` task gives way to the next replaceable one: what the user opens last
    is what the user wants to see. Others are carried out one after the other.
    """

    label: str
    work: Callable[[Report], Any]
    then: Callable[[Any], object]
    otherwise: Callable[[str], None] | None = None
    replaceable: bool = False


class TaskThread(NewestWinsThread[Task]):
    """Runs tasks; ``progressed(label, fraction)`` while one runs, then ``finished(task, result, sentence)`` once.

    ``sentence`` is None for success, empty for a cancelled task and otherwise says what went wrong.
    """

    progressed = Signal(str, float)
    answered = Signal(object, object, object)

    def process(self, job: Task, cancel: CancelToken) -> None:
        """Run one task."""

        told = -_TELL_EVERY_S

        def report(fraction: float) -> None:
            nonlocal told
            cancel.raise_if_cancelled()
            # A signal for each of thousands of small files would leave the window time for nothing else.
            if time.monotonic() - told >= _TELL_EVERY_S:
                told = time.monotonic()
                self.progressed.emit(job.label, min(max(float(fraction), 0.0), 1.0))

        result: object = None
        sentence: str | None = None
        try:
            report(0.0)
            result = job.work(report)
        except Cancelled:
            sentence = ""
        except HemaviewError as error:
            sentence = str(error)
        except MemoryError:
            sentence = "There is not enough memory for this; close other programs and try again."
        except OSError as error:
            sentence = f"The disk answered with an error ({error.strerror or error}); check it and try again."
        except Exception as error:
            _log.exception("a task failed")
            sentence = f"{job.label} stopped unexpectedly ({type(error).__name__}); nothing was changed."
        self.answered.emit(job, result, sentence)


class TaskQueue(QObject):
    """Carries out tasks in turn in one thread.

    ``changed(label, fraction)`` while one runs, with an empty label when none does; ``failed(str)`` for a failure
    that the task does not take itself. ``dropped(object)`` is the result of a task that was cancelled too late.
    """

    changed = Signal(str, float)
    failed = Signal(str)
    dropped = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._current: Task | None = None
        self._queue: list[Task] = []
        self._thread = TaskThread(self)
        self._thread.progressed.connect(self._on_progress)
        self._thread.answered.connect(self._on_answer)

    @property
    def is_busy(self) -> bool:
        """Whether a task runs or waits."""
        return self._current is not None

    def run(self, task: Task) -> None:
        """Carry out a task as soon as its turn comes."""
        if self._current is None or (self._current.replaceable and task.replaceable):
            self._start(task)
        else:
            self._queue.append(task)

    def cancel(self) -> None:
        """Stop the running task and forget those that wait; nothing of them is shown any more."""
        self._queue.clear()
        self._current = None
        self._thread.cancel()
        self.changed.emit("", 0.0)

    def close(self) -> None:
        """Stop everything and wait for the thread."""
        self._queue.clear()
        self._current = None
        self._thread.close()

    def _start(self, task: Task) -> None:
        self._current = task
        self.changed.emit(task.label, 0.0)
        self._thread.submit(task)

    def _on_progress(self, label: str, fraction: float) -> None:
        if self._current is not None and self._current.label == label:
            self.changed.emit(label, fraction)

    def _on_answer(self, task: Task, result: object, sentence: str | None) -> None:
        if task is not self._current:
            if result is not None:
                self.dropped.emit(result)
            return
        self._current = None
        self.changed.emit("", 0.0)
        if sentence is None:
            task.then(result)
        elif task.otherwise is not None:
            task.otherwise(sentence)
        elif sentence:
            self.failed.emit(sentence)
        if self._current is None and self._queue:
            self._start(self._queue.pop(0))
