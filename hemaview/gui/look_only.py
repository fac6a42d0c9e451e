"""The standing line over the viewers of a scan that can be looked at but not measured."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

from hemaview.gui.cards import WrappedLabel
from hemaview.gui.icons import pixmap
from hemaview.gui.theme import COLOURS, GAP, MARGIN


class LookOnlyBanner(QFrame):
    """Hidden while the scan can be measured; comes and goes with the scan, so that nothing moves under a box."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("lookOnly")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        picture = QLabel(self)
        picture.setPixmap(pixmap("overlay", 18, COLOURS.warning))
        self._words = WrappedLabel(kind="")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(MARGIN, GAP, MARGIN, GAP)
        layout.setSpacing(GAP)
        layout.addWidget(picture)
        layout.addWidget(self._words, 1)
        self.hide()

    @property
    def text(self) -> str:
        """What is said; empty while nothing is."""
        return "" if self.isHidden() else self._words.text()

    def show_reason(self, reason: str | None) -> None:
        """Say why the scan cannot be measured (a clause), or with None that it can."""
        words = look_only_text(reason)
        self._words.setText(words)
        self.setAccessibleName(words)
        self.setVisible(bool(words))


def look_only_text(reason: str | None) -> str:
    """The line for a reason; empty without one."""
    return f"Look only: nothing can be measured on this scan because {reason}." if reason else ""
