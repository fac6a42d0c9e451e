"""Opening the dialogs about models: which one answers, and adapting it; both are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMessageBox, QWidget

from hemaview.gui.workflow import Workflow

if TYPE_CHECKING:
    from hemaview.gui.adapt_dialog import AdaptDialog

_STOP = "The model is still being adapted to your cases. Closing HEMAVIEW stops that; nothing else is lost."


class ModelDialogs:
    """``handlers`` go to ``Actions.connect``; ``may_close`` asks before a running training is stopped."""

    def __init__(self, window: QWidget, workflow: Workflow) -> None:
        self._window, self._workflow = window, workflow
        self.adapting: AdaptDialog | None = None
        self.confirm: Callable[[], bool] = self._ask

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What each action does."""
        return {"models": self.show_models, "adapt": self.show_adapting}

    def show_models(self) -> None:
        """Which model answers."""
        from hemaview.gui.models_dialog import ModelsDialog

        dialog = ModelsDialog(self._workflow, self._window)
        dialog.exec()
        dialog.deleteLater()

    def show_adapting(self) -> None:
        """Adapt the model, or see how far that is."""
        from hemaview.gui.adapt_dialog import AdaptDialog

        if self.adapting is None:
            self.adapting = AdaptDialog(self._workflow, self._window)
        if not self.adapting.isVisible() and self.adapting.page is not self.adapting.judgement:
            self.adapting.show_cases()
        self.adapting.show()
        self.adapting.raise_()

    def may_close(self) -> bool:
        """Whether the window may close; asks while a training runs."""
        return self.adapting is None or not self.adapting.process.running or self.confirm()

    def close(self) -> None:
        """End a running training and wait for it."""
        if self.adapting is not None:
            self.adapting.close_down()
            self.adapting.close()

    def _ask(self) -> bool:
        box = QMessageBox(QMessageBox.Icon.Question, "HEMAVIEW", _STOP, parent=self._window)
        stop = box.addButton("Stop and close", QMessageBox.ButtonRole.AcceptRole)
        stay = box.addButton("Keep HEMAVIEW open", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.exec()
        return box.clickedButton() is stop
