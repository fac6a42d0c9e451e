"""One model in the list of models: what it is, whether it is there, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from hemaview.gui.cards import WrappedLabel, label
from hemaview.gui.icons import pixmap
from hemaview.gui.theme import COLOURS, GAP
from hemaview.segmentation.adapter_store import StoredAdapter
from hemaview.segmentation.model_store import ModelState, StoredModel

NO_ADAPTER = "None: the model as it was published"


@dataclass(frozen=True)
class ModelEntry:
    """A model as the list shows it: with the adapters that fit it, whether it answers now, and with which of them."""

    model: StoredModel
    adapters: tuple[StoredAdapter, ...] = ()
    in_use: bool = False
    adapter: Path | None = None


class ModelCard(QFrame):
    """Shows a ``ModelEntry``; every wish of the user leaves as a signal.

    ``show_question`` and ``show_error`` open a strip at the lower edge, ``show_progress`` a bar there.
    """

    use_requested = Signal(object)
    """With the adapter's ``Path`` or None."""
    download_requested = Signal()
    cancel_requested = Signal()
    remove_requested = Signal()
    folder_requested = Signal()
    card_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "card")
        self._entry: ModelEntry | None = None
        self._title = label("", "heading")
        self._state = label("", "state")
        self._size = label("", "muted")
        self._facts = Facts(self)
        self.adapter = Choice(self)
        self.adapter.activated.connect(self._on_adapter)
        self._adapter_label = QLabel("Adapter", self)
        self._adapter_label.setBuddy(self.adapter)
        self.use = self._button("Use this model", lambda: self.use_requested.emit(self.chosen_adapter), "primary")
        self.download = self._button("Download…", self.download_requested.emit)
        self.remove = self._button("Remove…", self.remove_requested.emit, "quiet")
        self.folder = self._button("Show folder", self.folder_requested.emit, "quiet")
        self.card = self._button("Model card", self.card_requested.emit, "quiet")
        self._build()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(GAP)
        head.addWidget(self._title)
        head.addWidget(self._state)
        head.addStretch(1)
        head.addWidget(self._size)
        adapter = QHBoxLayout()
        adapter.setSpacing(GAP)
        adapter.addWidget(self._adapter_label)
        adapter.addWidget(self.adapter, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(GAP)
        buttons.addWidget(self.use)
        buttons.addWidget(self.download)
        buttons.addStretch(1)
        for quiet in (self.card, self.folder, self.remove):
            buttons.addWidget(quiet)
        self._strip = Strip(self)
        self._strip.cancelled.connect(self.cancel_requested)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(GAP)
        layout.addLayout(head)
        layout.addWidget(self._facts)
        layout.addLayout(adapter)
        layout.addLayout(buttons)
        layout.addWidget(self._strip)

    def _button(self, text: str, run: Callable[[], object], kind: str = "") -> QPushButton:
        button = QPushButton(text, self)
        button.setAutoDefault(False)
        if kind:
            button.setProperty("kind", kind)
        button.clicked.connect(lambda _checked=False: run())
        return button

    # Looking

    @property
    def chosen_adapter(self) -> Path | None:
        """The adapter chosen in the card."""
        chosen = self.adapter.currentData()
        return Path(chosen) if chosen else None

    @property
    def state_text(self) -> str:
        """The words beside the title."""
        return self._state.text()

    @property
    def facts_text(self) -> str:
        """What is said of the model, on lines."""
        return self._facts.text

    @property
    def strip(self) -> Strip:
        """The strip at the lower edge."""
        return self._strip

    # Showing

    def show_entry(self, entry: ModelEntry, *, busy: bool) -> None:
        """Show the model as it is now; while ``busy`` nothing can be fetched or removed."""
        before, self._entry = self._entry, entry
        model, record = entry.model, entry.model.record
        self._title.setText(record.title)
        self._size.setText(size_text(model))
        self._facts.show_facts(facts(model))
        state = "in use" if entry.in_use else str(model.state)
        self.show_state(state[:1].upper() + state[1:], _tone(entry))
        if before is None or (before.adapters, before.adapter) != (entry.adapters, entry.adapter):
            self._fill_adapters(entry)
        has_adapters = model.is_usable and bool(entry.adapters)
        self.adapter.setVisible(has_adapters)
        self._adapter_label.setVisible(has_adapters)
        self.use.setVisible(model.is_usable and not entry.in_use)
        self.use.setEnabled(True)
        self.download.setVisible(model.can_download)
        self.download.setEnabled(not busy)
        self.download.setText("Resume download…" if model.state is ModelState.PARTIAL else "Download…")
        self.remove.setVisible(model.can_remove or record.added)
        self.remove.setEnabled(not busy)
        self.card.setVisible(bool(record.card))
        for button, what in (
            (self.use, "Use"),
            (self.download, "Download"),
            (self.remove, "Remove"),
            (self.folder, "Show the folder of"),
            (self.card, "Model card of"),
            (self.adapter, "Adapter of"),
        ):
            button.setAccessibleName(f"{what} {record.title}")
        _set_property(self, "active", entry.in_use)

    def show_state(self, text: str, tone: str) -> None:
        """Show the words beside the title in a tone of the theme ("", "active", "good", "warning", "error")."""
        self._state.setText(text)
        _set_property(self._state, "tone", tone)

    def _fill_adapters(self, entry: ModelEntry) -> None:
        self.adapter.clear()
        self.adapter.addItem(NO_ADAPTER, None)
        for adapter in entry.adapters:
            # Qt would compare two Path objects by identity; text is found again.
            self.adapter.addItem(adapter_text(adapter), str(adapter.path))
            if adapter.is_worse:
                rows = self.adapter.model()
                if isinstance(rows, QStandardItemModel):
                    row = rows.item(self.adapter.count() - 1)
                    row.setEnabled(False)
                    row.setForeground(QColor(COLOURS.muted))
        place = self.adapter.findData(str(entry.adapter)) if entry.adapter is not None else 0
        self.adapter.setCurrentIndex(max(place, 0))

    def _on_adapter(self) -> None:
        # A model that answers already takes the adapter at once; another one takes it with "Use".
        if self._entry is not None and self._entry.in_use and self.chosen_adapter != self._entry.adapter:
            self.use_requested.emit(self.chosen_adapter)


class Facts(QWidget):
    """Names on the left, what they are on the right, wrapped; the texts can be selected and copied."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * GAP)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self._shown: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """Everything as lines."""
        return "\n".join(f"{name}: {what}" for name, what in self._shown)

    def show_facts(self, facts: tuple[tuple[str, str], ...]) -> None:
        """Show these rows."""
        if facts == self._shown:
            return
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self._shown = facts
        for row, (name, what) in enumerate(facts):
            text = WrappedLabel(what, "fact")
            text.setTextFormat(Qt.TextFormat.PlainText)
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._grid.addWidget(label(name, "muted"), row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(text, row, 1)


class Choice(QComboBox):
    """A combo box with an arrow, which the style sheet's own would paint in black."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(24)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The box and its arrow."""
        super().paintEvent(event)
        arrow = pixmap("chevron-down", 14, COLOURS.muted)
        painter = QPainter(self)
        painter.drawPixmap(self.width() - 14 - GAP, (self.height() - 14) // 2, arrow)
        painter.end()


class Strip(QFrame):
    """The lower edge of a card: a question with its answer, a bar, or what went wrong; hidden while there is none."""

    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "note")
        self._answer: Callable[[], None] = lambda: None
        self._text = WrappedLabel("", "")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.yes = QPushButton(self)
        self.no = QPushButton(self)
        for button in (self.yes, self.no):
            button.setAutoDefault(False)
        self.yes.setProperty("kind", "primary")
        self.no.setProperty("kind", "quiet")
        self.yes.clicked.connect(lambda _checked=False: self._answer())
        self.no.clicked.connect(lambda _checked=False: self._on_no())
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(self._text, 1)
        row.addWidget(self.no, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.yes, 0, Qt.AlignmentFlag.AlignVCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 8, 8)
        layout.setSpacing(GAP)
        layout.addLayout(row)
        layout.addWidget(self.bar)
        self.hide()

    @property
    def text(self) -> str:
        """What the strip says; empty while it is hidden."""
        return "" if self.isHidden() else self._text.text()

    def ask(self, question: str, yes: str, no: str, answer: Callable[[], None]) -> None:
        """Ask a question; ``answer`` is called for yes, and no hides the strip."""
        self._show("", question, yes, no)
        self._answer = answer
        self.yes.setFocus()

    def show_error(self, sentence: str) -> None:
        """Say what went wrong until it is dismissed."""
        self._show("error", sentence, "", "Dismiss")

    def show_progress(self, text: str, fraction: float | None, *, can_cancel: bool = True) -> None:
        """Show how far the work is, None for unknown."""
        self._show("", text, "", "Cancel" if can_cancel else "")
        self.bar.show()
        self.bar.setRange(0, 0 if fraction is None else 1000)
        self.bar.setValue(round(1000 * (fraction or 0.0)))

    def clear(self) -> None:
        """Hide the strip."""
        self.hide()
        self.bar.hide()

    def _show(self, tone: str, text: str, yes: str, no: str) -> None:
        _set_property(self, "tone", tone)
        self._text.setText(text)
        self.bar.hide()
        self._answer = lambda: None
        for button, words in ((self.yes, yes), (self.no, no)):
            button.setText(words)
            button.setVisible(bool(words))
        self.show()

    def _on_no(self) -> None:
        if self.bar.isVisible():
            self.cancelled.emit()
        else:
            self.clear()


def size_text(model: StoredModel) -> str:
    """How large a model is, and how much of it has arrived."""
    size = megabytes(model.record.size)
    if 0 < model.arrived < model.record.size:
        return f"{megabytes(model.arrived)} of {size}"
    return size


def megabytes(count: int) -> str:
    """Bytes as MB with as many digits as tell something."""
    return f"{count / 1e6:.1f} MB" if count < 1e7 else f"{count / 1e6:.0f} MB"


def facts(model: StoredModel) -> tuple[tuple[str, str], ...]:
    """What a model was trained on, where it is from, and under which licence."""
    record = model.record
    cite = (("Cite", record.attribution),) if record.attribution else ()
    return (("Trained on", record.trained_on), ("Origin", record.origin), ("Licence", record.licence), *cite)


def adapter_text(adapter: StoredAdapter) -> str:
    """An adapter in one line, with what it gained on the cases held out for it."""
    if adapter.card is None:
        return adapter.name
    figures = adapter.card.figures
    text = adapter.title
    if {"dice_before", "dice_after"} <= set(figures):
        text += f" · held-out Dice {figures['dice_before']:.2f} → {figures['dice_after']:.2f}"
    if adapter.is_worse:
        return f"{text} · worse, not offered"
    return f"{text} · no better" if figures.get("verdict") == 0 else text


def _tone(entry: ModelEntry) -> str:
    if entry.in_use:
        return "active"
    if entry.model.state is ModelState.DAMAGED:
        return "error"
    if entry.model.state is ModelState.PARTIAL:
        return "warning"
    return "good" if entry.model.is_usable else ""


def _set_property(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet looks at."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
