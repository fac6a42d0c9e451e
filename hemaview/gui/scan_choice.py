"""Asks for one of the other scans of the case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QVBoxLayout, QWidget

from hemaview.case import ScanEntry
from hemaview.gui.cards import WrappedLabel
from hemaview.gui.model_card import Choice
from hemaview.gui.theme import GAP, MARGIN


class ScanChoice(QDialog):
    """Offers ``scans`` by their ``labels`` under a ``field`` name, above an explanation; ``chosen`` is the id taken."""

    def __init__(
        self,
        scans: Sequence[ScanEntry],
        labels: Mapping[str, str],
        *,
        title: str,
        field: str,
        explanation: str,
        button: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(420)
        self.choice = Choice(self)
        self.choice.setAccessibleName(field)
        for scan in scans:
            self.choice.addItem(labels[scan.id], scan.id)
        self.buttons = QDialogButtonBox(self)
        take = self.buttons.addButton(button, QDialogButtonBox.ButtonRole.AcceptRole)
        take.setProperty("kind", "primary")
        self.buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.setSpacing(GAP)
        form.addRow(field, self.choice)
        column = QVBoxLayout(self)
        column.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        column.setSpacing(MARGIN)
        column.addLayout(form)
        column.addWidget(WrappedLabel(explanation))
        column.addWidget(self.buttons)

    @property
    def chosen(self) -> str:
        """The id of the scan that is selected."""
        return str(self.choice.currentData())
