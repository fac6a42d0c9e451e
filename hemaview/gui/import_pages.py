"""What the browser shows while there is no tree: an invitation, or how far the search for scans is."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from hemaview.gui.cards import WrappedLabel, label
from hemaview.gui.icons import icon, pixmap
from hemaview.gui.theme import COLOURS, GAP, MARGIN

INVITATION = "Drop a folder, a CD, a zip or files here, or choose them."

_WIDTH = 460


class EmptyPage(QWidget):
    """Nothing to choose from: says why, and asks where to look."""

    folder_requested = Signal()
    files_requested = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        picture = QLabel(self)
        picture.setPixmap(pixmap("open", 48, COLOURS.muted))
        picture.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._sentence = WrappedLabel(kind="")
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.folder = QPushButton(" Choose folder…", self)
        self.folder.setIcon(icon("open", COLOURS.on_primary))
        self.folder.setIconSize(QSize(18, 18))
        self.folder.setProperty("kind", "primary")
        self.folder.clicked.connect(self.folder_requested)
        files = QPushButton("Choose files…", self)
        files.clicked.connect(self.files_requested)
        close = QPushButton("Close", self)
        close.clicked.connect(self.closed)
        buttons = QHBoxLayout()
        buttons.setSpacing(GAP)
        buttons.addStretch(1)
        for button in (self.folder, files, close):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        buttons.addStretch(1)
        column = _middle(self)
        column.addWidget(picture)
        column.addWidget(self._sentence)
        column.addLayout(buttons)
        column.addStretch(1)

    @property
    def text(self) -> str:
        """The sentence on display."""
        return self._sentence.text()

    def show_sentence(self, sentence: str) -> None:
        """Say why there is nothing to choose from; without a reason, invite."""
        self._sentence.setText(f"{sentence}\n{INVITATION}" if sentence else INVITATION)


class ScanningPage(QWidget):
    """How many files were looked at; ``cancel_requested`` comes from its button."""

    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = label("", "heading", self)
        self._title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._count = label("", "muted", self)
        self._count.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._bar = QProgressBar(self)
        self._bar.setTextVisible(False)
        self.cancel = QPushButton("Cancel", self)
        self.cancel.setAutoDefault(False)
        self.cancel.clicked.connect(self.cancel_requested)
        column = _middle(self)
        for widget in (self._title, self._bar, self._count):
            column.addWidget(widget)
        column.addWidget(self.cancel, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)

    @property
    def text(self) -> str:
        """What is being looked through, and how far."""
        return f"{self._title.text()}\n{self._count.text()}"

    def begin(self, where: str) -> None:
        """Start anew."""
        self._title.setText(f"Looking through {where}")
        self.show_count(0, 0)
        self.cancel.setFocus()

    def show_count(self, done: int, total: int) -> None:
        """Files looked at and files in all; 0 in all while they are still being counted."""
        self._count.setText(f"{done:,} of {total:,} files" if total else "Counting the files…")
        self._bar.setRange(0, total)
        self._bar.setValue(done)
        self._bar.setAccessibleName(self._count.text())


def _middle(page: QWidget) -> QVBoxLayout:
    """A column of fixed width in the middle of the page."""
    body = QWidget(page)
    body.setFixedWidth(_WIDTH)
    column = QVBoxLayout(body)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(MARGIN)
    column.addStretch(1)
    around = QHBoxLayout(page)
    around.addStretch(1)
    around.addWidget(body)
    around.addStretch(1)
    return column
