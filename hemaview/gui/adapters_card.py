"""The adapters on this computer as rows of one card."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from hemaview.gui.cards import Card, WrappedLabel, rule
from hemaview.gui.model_card import adapter_text
from hemaview.gui.theme import GAP
from hemaview.segmentation.adapter_store import StoredAdapter

_NONE = (
    "None yet. An adapter fits a model to the scans of one hospital: train one with Tools > Adapt to my cases, or add "
    "a file that you were given."
)


class AdaptersCard(Card):
    """Lists adapters; ``remove_requested(name)`` comes from a row's button."""

    remove_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Adapters", parent)
        self._rows: list[QWidget] = []
        self.buttons: dict[str, QPushButton] = {}
        self._empty = WrappedLabel(_NONE)
        self.body.addWidget(self._empty)

    def show_adapters(self, adapters: Sequence[StoredAdapter]) -> None:
        """Show these adapters."""
        for row in self._rows:
            self.body.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.buttons.clear()
        self._rows = []
        self._empty.setVisible(not adapters)
        for adapter in adapters:
            if self._rows:
                self._add(rule(self))
            self._add(self._row(adapter))

    def _add(self, widget: QWidget) -> None:
        self.body.addWidget(widget)
        self._rows.append(widget)

    def _row(self, adapter: StoredAdapter) -> QWidget:
        row = QWidget(self)
        words = QVBoxLayout()
        words.setSpacing(2)
        title = WrappedLabel(adapter_text(adapter), "")
        words.addWidget(title)
        card = adapter.card
        if card is None:
            words.addWidget(WrappedLabel(adapter.problem, "warning"))
        else:
            words.addWidget(WrappedLabel(f"For {card.base_name} · trained on: {card.trained_on} · {card.created[:10]}"))
        remove = QPushButton("Remove…", row)
        remove.setProperty("kind", "quiet")
        remove.setAutoDefault(False)
        remove.setAccessibleName(f"Remove the adapter {adapter.title}")
        remove.clicked.connect(lambda _checked=False: self.remove_requested.emit(adapter.name))
        self.buttons[adapter.name] = remove
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GAP)
        layout.addLayout(words, 1)
        layout.addWidget(remove)
        return row
