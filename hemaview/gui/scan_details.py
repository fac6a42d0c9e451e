"""What a scan is taken for, what has to be known of it, and masks carried to it: below the list of scans."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from hemaview.case import Case, ScanEntry
from hemaview.case.examinations import is_other_patient
from hemaview.gui.aligning import alignment_text
from hemaview.gui.cards import WrappedLabel, label
from hemaview.gui.icons import icon
from hemaview.gui.model_card import Choice
from hemaview.gui.scan_content import scan_looks
from hemaview.gui.theme import COLOURS, GAP
from hemaview.imaging.sequence import Sequence

_OTHER_PATIENT = "This scan's header names another patient than the first scan; do not compare them."


class SequenceChoice(Choice):
    """The kinds of scan; the first entry is the guess. Turning the wheel over it scrolls the panel instead."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumContentsLength(12)
        self.setAccessibleName("Kind of scan")

    def show_entry(self, entry: ScanEntry) -> None:
        """Offer the guess and every kind, the one in force selected."""
        self.blockSignals(True)
        self.clear()
        sure = "by the header" if entry.guess.certain else "guess"
        self.addItem(f"{kind_text(entry.guess.sequence)} ({sure})", None)
        for sequence in Sequence:
            self.addItem(kind_text(sequence), str(sequence))
        self.setCurrentIndex(0 if entry.chosen is None else self.findData(str(entry.chosen)))
        self.blockSignals(False)

    @property
    def chosen(self) -> Sequence | None:
        """The kind selected; None for the guess."""
        value = self.currentData()
        return None if value is None else Sequence(value)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the panel."""
        event.ignore()


class ScanDetails(QWidget):
    """``sequence_chosen(scan_id, Sequence | None)``: what the user says it is; ``carry_requested()``.

    ``find_requested()`` asks for the files of a scan that are not where they were.
    """

    sequence_chosen = Signal(str, object)
    carry_requested = Signal()
    find_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scan_id = ""
        self.choice = SequenceChoice(self)
        self.choice.activated.connect(self._on_chosen)
        name = label("Kind", "muted")
        name.setBuddy(self.choice)
        self.why = WrappedLabel()
        self.warnings = WrappedLabel(kind="warning")
        self.alignment = WrappedLabel()
        self.notes = WrappedLabel()
        self.carry = QPushButton("Carry a mask to this scan…", self)
        self.carry.setProperty("kind", "quiet")
        self.carry.setIcon(icon("export-mask", COLOURS.accent))
        self.carry.setToolTip("Lay the mask of another scan on this one, to look at; it is not measured")
        self.carry.clicked.connect(self.carry_requested)
        self.show_where = QPushButton("Show where it is…", self)
        self.show_where.setProperty("kind", "primary")
        self.show_where.setIcon(icon("open", COLOURS.on_primary))
        self.show_where.setToolTip("Choose the folder or file in which this scan lies now")
        self.show_where.clicked.connect(self.find_requested)
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(name)
        row.addWidget(self.choice, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(GAP)
        column.addLayout(row)
        for widget in (self.why, self.warnings, self.alignment, self.notes):
            column.addWidget(widget)
        column.addWidget(self.show_where)
        column.addWidget(self.carry)

    def show_case(self, case: Case) -> None:
        """Show the active scan of a case."""
        entry = case.active_scan
        self.setVisible(entry is not None)
        if entry is None:
            return
        self._scan_id = entry.id
        self.choice.setEnabled(not case.read_only)
        self.choice.show_entry(entry)
        self.choice.setToolTip(why_text(entry))
        self.why.setText(why_text(entry))
        warnings = scan_warnings(case, entry)
        self.warnings.setText("\n".join(f"⚠ {warning}" for warning in warnings))
        self.warnings.setVisible(bool(warnings))
        self.alignment.setText(alignment_text(case, entry))
        self.alignment.setVisible(entry.alignment is not None)
        notes = (*((entry.problem,) if entry.problem else ()), *(entry.volume.notes if entry.volume else ()))
        self.notes.setText("\n".join(notes))
        self.notes.setVisible(bool(notes))
        self.show_where.setVisible(entry.problem is not None and not case.read_only)
        self.carry.setVisible(bool(mask_sources(case)) and not case.read_only)

    def _on_chosen(self) -> None:
        self.sequence_chosen.emit(self._scan_id, self.choice.chosen)


def kind_text(sequence: Sequence) -> str:
    """A kind of scan as a line of a list begins with it."""
    text = str(sequence)
    return text[0].upper() + text[1:]


def why_text(entry: ScanEntry) -> str:
    """What speaks for the kind that a scan is taken for."""
    if entry.chosen is not None:
        return f"You chose this; the guess was {kind_text(entry.guess.sequence)}, because {entry.guess.why}."
    return f"{'Known' if entry.guess.certain else 'A guess'}, because {entry.guess.why}."


def scan_warnings(case: Case, entry: ScanEntry) -> tuple[str, ...]:
    """What has to be known of a scan before measuring on it, most important first."""
    found: list[str] = []
    if entry.not_measurable is not None:
        found.append(f"Look only: {entry.not_measurable}.")
    if is_other_patient(entry, case.scans):
        found.append(_OTHER_PATIENT)
    if case.carried_from is not None and entry is case.active_scan:
        found.append(f"The mask was {case.snapshot().carried_text}; it is not measured here.")
    if entry.volume is not None:
        found += scan_looks(entry.volume).advice
    return tuple(found)


def mask_sources(case: Case) -> tuple[ScanEntry, ...]:
    """The scans whose mask can be carried to the active one."""
    active = case.active_scan
    return tuple(scan for scan in case.scans if active is not None and scan.id != active.id and case.has_mask(scan.id))
