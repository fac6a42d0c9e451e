"""What is known of the chosen series: a larger picture, the verdict with its reason, facts and notes."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from hemaview.gui.cards import ElidedLabel, FactTable, WrappedLabel, label, restyle, rule
from hemaview.gui.icons import pixmap
from hemaview.gui.import_words import VERDICTS, listed, series_facts, verdict_sentence
from hemaview.gui.theme import COLOURS, GAP, MARGIN
from hemaview.imaging.catalogue import SeriesItem

PREVIEW = 224

_NO_LIMIT = 16_777_215

_TOGETHER = "As one case they share the crosshair; each keeps its own grid, box and mask."
_NO_PICTURE = "No picture"
_NOTHING_CHOSEN = "Choose a series to see what is known of it. Ctrl+click chooses several."


class Preview(QWidget):
    """A black square with a picture at its true proportions, or the words that there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture: QImage | None = None
        self._missing = False
        self.setFixedHeight(PREVIEW)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Picture from the middle of the series")

    @property
    def has_picture(self) -> bool:
        """Whether a picture is on display."""
        return self._picture is not None

    def show_picture(self, picture: QImage | None, *, missing: bool = False) -> None:
        """Show a picture; ``missing`` says that there is none to wait for."""
        self._picture = picture
        self._missing = missing
        self.update()

    def sizeHint(self) -> QSize:
        """A square."""
        return QSize(PREVIEW, PREVIEW)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture in the middle of a black ground."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor("#000000"))
        if self._picture is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            size = self._picture.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
            place = QRect((self.width() - size.width()) // 2, (self.height() - size.height()) // 2, 0, 0)
            place.setSize(size)
            painter.drawImage(place, self._picture)
        elif self._missing:
            painter.setPen(QColor(COLOURS.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, _NO_PICTURE)
        painter.end()


class ImportDetails(QScrollArea):
    """Shows one series in full, or says what several have in common."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.preview = Preview(self)
        self._title = WrappedLabel(kind="heading")
        self._icon = QLabel(self)
        self._word = label("", "state", self)
        self._verdict = WrappedLabel(kind="fact")
        self._facts = FactTable(self)
        self._where = ElidedLabel(self)
        self._where.setProperty("kind", "muted")
        self._notes = WrappedLabel()
        self._rule = rule(self)
        badge = QHBoxLayout()
        badge.setSpacing(GAP // 2)
        badge.addWidget(self._icon)
        badge.addWidget(self._word)
        badge.addStretch(1)
        body = QWidget(self)
        body.setObjectName("importDetails")
        self._layout = QBoxLayout(QBoxLayout.Direction.TopToBottom, body)
        self._layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        self._layout.setSpacing(MARGIN)
        column = QVBoxLayout()
        column.setSpacing(GAP)
        self._layout.addWidget(self.preview, 0)
        self._layout.addLayout(column, 1)
        column.addWidget(self._title)
        column.addLayout(badge)
        for widget in (self._verdict, self._rule, self._facts, self._where, self._notes):
            column.addWidget(widget)
        column.addStretch(1)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName("Details of the chosen series")
        self.setProperty("kind", "pane")
        self.setWidget(body)
        self.show_items(())

    @property
    def text(self) -> str:
        """All that is said, for tests and screen readers."""
        parts = (self._title, self._word, self._verdict, self._notes)
        return "\n".join(part.text() for part in parts if part.text() and not part.isHidden())

    def set_beside(self, beside: bool) -> None:
        """Put the picture beside the words, where the pane is wide and low, or above them."""
        direction = QBoxLayout.Direction
        self._layout.setDirection(direction.LeftToRight if beside else direction.TopToBottom)
        self.preview.setMaximumWidth(PREVIEW if beside else _NO_LIMIT)
        self.preview.setMinimumWidth(PREVIEW if beside else 0)
        self._layout.setAlignment(self.preview, Qt.AlignmentFlag.AlignTop if beside else Qt.AlignmentFlag(0))

    def show_items(self, items: Sequence[SeriesItem], heading: str = "") -> None:
        """Show the chosen series; ``heading`` and no series for a patient or a study. The picture comes by itself."""
        one = items[0] if len(items) == 1 else None
        self.preview.setVisible(one is not None)
        self.preview.show_picture(None)
        for widget in (self._icon, self._word, self._rule, self._facts, self._where):
            widget.setVisible(one is not None)
        if one is not None:
            self._show_one(one)
        elif items:
            self._title.setText(f"{len(items)} series chosen")
            self._verdict.setText(listed([item.summary.label for item in items], 12))
            one_patient = len({item.summary.study.patient for item in items}) == 1
            self._notes.setText(_TOGETHER if one_patient else "")
        else:
            self._title.setText(heading)
            self._verdict.setText(_NOTHING_CHOSEN)
            self._notes.setText("")
        self._title.setVisible(bool(self._title.text()))
        self._notes.setVisible(bool(self._notes.text()))
        self.setAccessibleDescription(self.text)

    def _show_one(self, item: SeriesItem) -> None:
        summary = item.summary
        look = VERDICTS[summary.verdict]
        self._title.setText(summary.label)
        self._word.setText(look.word)
        restyle(self._word, "tone", look.tone)
        self._icon.setPixmap(pixmap(look.icon, 16, getattr(COLOURS, look.tone)))
        self._verdict.setText(verdict_sentence(summary))
        self._facts.set_facts(series_facts(item))
        self._where.set_text(str(item.path))
        self._where.setToolTip(str(item.path))
        self._notes.setText("\n".join(summary.notes))
