"""Which scan's mask to lay on the one on display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QVBoxLayout, QWidget

from hemaview.case import ScanEntry
from hemaview.gui.cards import WrappedLabel
from hemaview.gui.model_card import Choice
from hemaview.gui.theme import GAP, MARGIN

_EXPLANATION = (
    "The mask is laid on {target} by patient coordinates, without aligning the scans. It is marked as carried and is "
    "for looking at: volumes and prints come from the scan it was made on."
)


class CarryDialog(QDialog):
    """Asks for one of ``sources``; ``chosen`` is its id."""

    def __init__(
        self, sources: Sequence[ScanEntry], target: ScanEntry, labels: Mapping[str, str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Carry a mask to this scan")
        self.setMinimumWidth(420)
        self._choice = Choice(self)
        self._choice.setAccessibleName("Scan whose mask is carried")
        for source in sources:
            self._choice.addItem(labels[source.id], source.id)
        explanation = WrappedLabel(_EXPLANATION.format(target=labels[target.id]))
        self.buttons = QDialogButtonBox(self)
        carry = self.buttons.addButton("Carry mask", QDialogButtonBox.ButtonRole.AcceptRole)
        carry.setProperty("kind", "primary")
        self.buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.setSpacing(GAP)
        form.addRow("Mask of", self._choice)
        column = QVBoxLayout(self)
        column.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        column.setSpacing(MARGIN)
        column.addLayout(form)
        column.addWidget(explanation)
        column.addWidget(self.buttons)

    @property
    def chosen(self) -> str:
        """The id of the scan whose mask is to be carried."""
        return str(self._choice.currentData())
