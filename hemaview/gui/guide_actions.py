"""The window's actions about help: the user guide and the list of keys, both made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from hemaview.errors import HemaviewError
from hemaview.gui.actions import Actions
from hemaview.gui.keys_dialog import KeysDialog, keys_html

if TYPE_CHECKING:
    from hemaview.gui.help_window import HelpWindow


class GuideActions:
    """``handlers`` go to ``Actions.connect``; ``tell`` shows a message of a severity."""

    def __init__(self, window: QWidget, actions: Actions, tell: Callable[[str, str], None]) -> None:
        self._window, self._actions, self._tell = window, actions, tell
        self.guide: HelpWindow | None = None

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What each action does."""
        return {"guide": self.show_guide, "keys": self.show_keys}

    def show_guide(self) -> None:
        """Show the guide where it was left; it stays open beside the window."""
        from hemaview.gui.help_window import HelpWindow

        if self.guide is None:
            try:
                self.guide = HelpWindow(lambda: keys_html(self._actions))
            except HemaviewError as error:
                self._tell("error", str(error))
                return
        self.guide.show()
        self.guide.raise_()
        self.guide.activateWindow()

    def show_keys(self) -> None:
        """List mouse gestures and keys."""
        KeysDialog(self._actions, self._window).exec()

    def close(self) -> None:
        """Close the guide with the window."""
        if self.guide is not None:
            self.guide.close()
            self.guide.deleteLater()
            self.guide = None
