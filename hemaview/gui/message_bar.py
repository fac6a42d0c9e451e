"""One sentence over the lower edge of the viewers: what went wrong and what to do.

It floats: were it part of the layout, the viewers would shrink and their pictures move under a box being drawn.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from hemaview.gui.icons import icon, pixmap
from hemaview.gui.theme import COLOURS, GAP, MARGIN

_ICONS = {"error": ("warning", COLOURS.error), "warning": ("warning", COLOURS.warning), "info": ("info", COLOURS.good)}
_INFO_MS = 6000
_WIDTH = 720
_ABOVE_EDGE = 20


class MessageBar(QFrame):
    """Shows the latest message until it is dismissed; an "info" goes by itself after a few seconds."""

    dismissed = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._owner = parent
        parent.installEventFilter(self)
        self.setObjectName("messageBar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._picture = QLabel(self)
        self._text = QLabel(self)
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        close = QToolButton(self)
        close.setIcon(icon("close"))
        close.setToolTip("Dismiss")
        close.setAccessibleName("Dismiss the message")
        close.clicked.connect(self.dismiss)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(MARGIN + 4, GAP, GAP, GAP)
        layout.setSpacing(MARGIN)
        layout.addWidget(self._picture)
        layout.addWidget(self._text, 1)
        layout.addWidget(close)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.dismiss)
        self.hide()

    @property
    def text(self) -> str:
        """The sentence on display; empty when the bar is hidden."""
        return "" if self.isHidden() else self._text.text()

    def show_message(self, severity: str, sentence: str) -> None:
        """Show a sentence as "info", "warning" or "error"; an info does not push away an error still unread."""
        if severity == "info" and not self.isHidden() and self.property("severity") == "error":
            return
        name, colour = _ICONS[severity]
        self._picture.setPixmap(pixmap(name, 18, colour))
        self._text.setText(sentence)
        self.setAccessibleName(f"{severity}: {sentence}")
        if self.property("severity") != severity:
            self.setProperty("severity", severity)
            self.style().unpolish(self)
            self.style().polish(self)
        self._timer.stop()
        if severity == "info":
            self._timer.start(_INFO_MS)
        self._place()
        self.show()
        self.raise_()

    def dismiss_info(self) -> None:
        """Take an "info" away, because what it is about has passed; warnings and errors stay until they are read."""
        if self.property("severity") == "info":
            self.dismiss()

    def dismiss_passed(self) -> None:
        """Take all but an error away, because what it was about is being made again."""
        if self.property("severity") != "error":
            self.dismiss()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in the middle of the lower edge when the place changes its size."""
        if watched is self._owner and event.type() == QEvent.Type.Resize and not self.isHidden():
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        width = min(_WIDTH, self._owner.width() - 2 * _ABOVE_EDGE)
        layout = self.layout()
        height = max(layout.totalHeightForWidth(width), self.minimumSizeHint().height()) if layout is not None else 48
        self.setGeometry((self._owner.width() - width) // 2, self._owner.height() - height - _ABOVE_EDGE, width, height)

    def dismiss(self) -> None:
        """Take the message away."""
        self._timer.stop()
        self.hide()
        self.dismissed.emit()
