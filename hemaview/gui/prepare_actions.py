"""The window's actions about preparing a scan; the dialog is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from hemaview.gui.actions import Actions
from hemaview.gui.workflow import Workflow

if TYPE_CHECKING:
    from hemaview.gui.prepare_dialog import PrepareDialog


class PrepareActions:
    """``handlers`` go to ``Actions.connect``; ``follow`` ticks what is in force."""

    def __init__(self, window: QWidget, workflow: Workflow, actions: Actions) -> None:
        self._window, self._workflow, self._actions = window, workflow, actions
        self.dialog: PrepareDialog | None = None

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What each action does."""
        return {"prepare": self.show_dialog, "show_prepared": self._switch}

    def show_dialog(self) -> None:
        """Choose how the scan on display is prepared."""
        from hemaview.gui.prepare_dialog import PrepareDialog

        case = self._workflow.case
        scan = case.active_scan if case is not None else None
        if scan is None or scan.volume is None:
            return
        self.close()
        self.dialog = PrepareDialog(self._workflow, scan, self._window)
        self.dialog.finished.connect(self._forget)
        self.dialog.open()

    def follow(self) -> None:
        """Tick the switch while the prepared scan is on display."""
        picture = self._workflow.state.picture
        self._actions["show_prepared"].setChecked(picture is not None and bool(picture.prepared))

    def close(self) -> None:
        """Close the dialog and wait for its thread."""
        if self.dialog is not None:
            self.dialog.done(0)

    def _forget(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    def _switch(self) -> None:
        picture = self._workflow.state.picture
        self._workflow.preparing.show_prepared(picture is None or not picture.prepared)
        self.follow()
