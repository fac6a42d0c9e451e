"""A thread for one thing at a time that the user waits for and may cancel: opening scans, saving results."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from hemaview.errors import Cancelled, HemaviewError
from hemaview.gui.newest_wins import NewestWinsThread
from hemaview.segmentation.contract import CancelToken

_log = logging.getLogger(__name__)

Report = Callable[[float], None]

_TELL_EVERY_MS = 50


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
    """Runs tasks; ``progress`` is how far the running one is, ``answered(task, result, sentence)`` follows once.

    ``sentence`` is None for success, empty for a cancelled task and otherwise says what went wrong.
    """

    answered = Signal(object, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.progress: tuple[Task | None, float] = (None, 0.0)

    def process(self, job: Task, cancel: CancelToken) -> None:
        """Run one task."""

        def report(fraction: float) -> None:
            cancel.raise_if_cancelled()
            self.progress = (job, min(max(float(fraction), 0.0), 1.0))

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
        # Asked for and not signalled: a signal for each of thousands of files would leave the window no time.
        self._clock = QTimer(self)
        self._clock.setInterval(_TELL_EVERY_MS)
        self._clock.timeout.connect(self._tell_progress)
        self._told = 0.0
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
        self._told = 0.0
        self.changed.emit(task.label, 0.0)
        self._clock.start()
        self._thread.submit(task)

    def _tell_progress(self) -> None:
        task, fraction = self._thread.progress
        if self._current is None:
            self._clock.stop()
        elif task is self._current and fraction != self._told:
            self._told = fraction
            self.changed.emit(self._current.label, fraction)

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
