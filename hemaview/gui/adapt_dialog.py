"""Adapting the model to one's own cases: choose them, learn in the background, compare on cases held out, decide."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QStackedWidget, QVBoxLayout, QWidget

from hemaview.case.library import library_masks
from hemaview.gui.adapt_pages import ChoosePage, ResultPage, RunPage
from hemaview.gui.task_thread import Report, Task, TaskQueue
from hemaview.gui.training_process import Outcome, Progress, TrainingProcess, train_command
from hemaview.gui.workflow import Workflow
from hemaview.segmentation.adapter_store import AdapterStore
from hemaview.segmentation.model_files import user_models_folder

WORSE = "The adapter is worse than the model on the cases held out, so it cannot be used; add cases or train longer."


class AdaptDialog(QDialog):
    """Not modal: the window stays free for work while the training runs, also when this dialog is closed.

    ``adapter_used(Path)`` tells that the user chose the new adapter. ``command`` is what is run.
    """

    adapter_used = Signal(object)

    def __init__(
        self,
        workflow: Workflow,
        parent: QWidget | None = None,
        *,
        command: Callable[[], list[str]] = train_command,
        runs: Path | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Adapt to my cases")
        self.resize(720, 620)
        self._workflow = workflow
        self._runs = runs
        self._outcome: Outcome | None = None
        self.process = TrainingProcess(command, self)
        self.process.progressed.connect(self._on_progress)
        self.process.succeeded.connect(self._on_succeeded)
        self.process.stopped.connect(self._on_stopped)
        self.process.failed.connect(self._on_failed)
        self._tasks = TaskQueue(self)
        self._tasks.failed.connect(self._on_failed)
        self.choose = ChoosePage(self)
        self.progress = RunPage(self)
        self.judgement = ResultPage(self)
        self._pages = QStackedWidget(self)
        for page in (self.choose, self.progress, self.judgement):
            self._pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.addWidget(self._pages)
        self.choose.start_requested.connect(self.start)
        self.choose.closed.connect(self.close)
        self.progress.stop_requested.connect(self.process.stop)
        self.progress.hidden.connect(self.close)
        self.judgement.use_requested.connect(self.use_adapter)
        self.judgement.again_requested.connect(self.show_cases)
        self.judgement.closed.connect(self.close)

    @property
    def page(self) -> QWidget | None:
        """Which of the three pages is on display."""
        return self._pages.currentWidget()

    @property
    def is_busy(self) -> bool:
        """Whether cases are being read or a training runs."""
        return self._tasks.is_busy or self.process.running

    def show_cases(self) -> None:
        """Read the library again and let the user choose; a running training stays on display."""
        if self.process.running:
            return
        self._pages.setCurrentWidget(self.choose)
        self.choose.show_reading()
        root = self._workflow.case_root
        self._tasks.run(Task("Reading the cases", lambda report: library_masks(root), self.choose.show_masks))

    def start(self) -> None:
        """Train on the chosen cases."""
        folder = (self._runs or user_models_folder() / "training") / f"{datetime.now():%Y%m%d-%H%M%S}"
        self.progress.begin(len(self.choose.chosen))
        self._pages.setCurrentWidget(self.progress)
        options = ["--library", str(self._workflow.case_root), "--cases", ",".join(self.choose.chosen)]
        options += ["--base", self._workflow.engine_choice.name, "--method", self.choose.method]
        options += ["--minutes", f"{self.choose.minutes:g}"]
        options += ["--title", f"My cases, {datetime.now():%Y-%m-%d %H:%M}"]
        self.process.start(options, folder)

    def use_adapter(self) -> None:
        """Install the adapter and let the model use it; an adapter that is worse is refused."""
        outcome = self._outcome
        if outcome is None:
            return
        if outcome.verdict not in ("better", "same"):
            self.judgement.show_problem(WORSE)
            return

        def work(report: Report) -> Any:
            return AdapterStore().add(outcome.adapter)

        def added(stored: Any) -> None:
            self._workflow.use_engine(self._workflow.engine_choice.name, stored.path)
            self.adapter_used.emit(stored.path)
            self.close()

        self._tasks.run(Task("Adding the adapter", work, added, self.judgement.show_problem))

    def close_down(self) -> None:
        """End what runs and wait for it; called before the window goes."""
        self.process.close()
        self._tasks.close()

    def _on_progress(self, progress: Progress) -> None:
        self.progress.show_progress(progress)

    def _on_succeeded(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.judgement.show_outcome(outcome)
        self._pages.setCurrentWidget(self.judgement)
        mean = f"mean Dice {outcome.mean_before:.2f} before, {outcome.mean_after:.2f} after"
        self._workflow.message.emit("info", f"The adaptation is done ({mean}); see Tools, Adapt to my cases.")

    def _on_stopped(self) -> None:
        self._pages.setCurrentWidget(self.choose)
        self.choose.show_problem("The training was stopped; nothing was changed.")

    def _on_failed(self, sentence: str) -> None:
        self._pages.setCurrentWidget(self.choose)
        self.choose.show_problem(sentence)
