"""A thread for one thing at a time that the user waits for and may cancel: opening scans, saving results."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Signal

from hemaview.errors import Cancelled, HemaviewError
from hemaview.gui.newest_wins import NewestWinsThread
from hemaview.segmentation.contract import CancelToken

_log = logging.getLogger(__name__)

Report = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Task:
    """``work(report)`` runs in the thread; ``report(fraction)`` shows progress and raises ``Cancelled`` on request.

    ``label`` is what the status line says meanwhile. ``then`` gets the result in the window's thread, ``otherwise``
    the sentence of a failure (empty when cancelled).
    """

    label: str
    work: Callable[[Report], Any]
    then: Callable[[Any], None]
    otherwise: Callable[[str], None] | None = None


class TaskThread(NewestWinsThread[Task]):
    """Runs tasks; ``progressed(label, fraction)`` while one runs, then ``finished(task, result, sentence)`` once.

    ``sentence`` is None for success, empty for a cancelled task and otherwise says what went wrong.
    """

    progressed = Signal(str, float)
    answered = Signal(object, object, object)

    def process(self, job: Task, cancel: CancelToken) -> None:
        """Run one task."""

        def report(fraction: float) -> None:
            cancel.raise_if_cancelled()
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
            _log.exception("%s failed", job.label)
            sentence = f"{job.label} stopped unexpectedly ({type(error).__name__}); nothing was changed."
        self.answered.emit(job, result, sentence)
