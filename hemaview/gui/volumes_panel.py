"""The three volumes: direct, Tada and corrected, with their intervals, reasons, warnings and disagreement."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget
from superqt import QCollapsible

from hemaview.gui.cards import Card, FactTable, WrappedLabel, label, rule
from hemaview.gui.icons import icon
from hemaview.gui.theme import COLOURS, GAP
from hemaview.gui.volume_texts import (
    EXPLANATIONS,
    TITLES,
    disagreement,
    interval_text,
    shared_sentences,
    tada_facts,
    value_text,
)
from hemaview.volumetry import Reading, ReadingKind, TadaMeasurement

EMPTY = "Scroll to the haematoma, then drag a box round it in any view. The 3D mask and its volumes follow."


class ReadingRow(QWidget):
    """One volume: name and value on a line; interval, reason, notes and warnings below."""

    def __init__(self, kind: ReadingKind, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = label(TITLES[kind])
        self._name.setToolTip(EXPLANATIONS[kind])
        self._value = label("–", "value")
        self._value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._unit = label("mL", "unit")
        self._below = WrappedLabel()
        self._warnings = WrappedLabel(kind="warning")
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self._name)
        line.addStretch(1)
        line.addWidget(self._value, 0, Qt.AlignmentFlag.AlignBaseline)
        line.addWidget(self._unit, 0, Qt.AlignmentFlag.AlignBaseline)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(line)
        layout.addWidget(self._below)
        layout.addWidget(self._warnings)

    @property
    def text(self) -> str:
        """The value as shown."""
        return self._value.text()

    def show_reading(self, reading: Reading, told: Sequence[str] = ()) -> None:
        """Show a reading without the sentences that were ``told`` for all."""
        self._value.setText(value_text(reading))
        self._unit.setVisible(reading.value_ml is not None)
        reason = "" if reading.reason in told else reading.reason
        below = "\n".join((interval_text(reading) or reason or "", *reading.notes)).strip()
        self._below.setText(below)
        self._below.setVisible(bool(below))
        warnings = [f"⚠ {warning}" for warning in reading.warnings if warning not in told]
        self._warnings.setText("\n".join(warnings))
        self._warnings.setVisible(bool(warnings))
        self.setAccessibleName(f"{self._name.text()}: {self._value.text()} mL. {below}")


class VolumesPanel(Card):
    """Shows what ``show_readings`` gets; its buttons emit the other signals."""

    show_slice_requested = Signal()
    copy_requested = Signal()
    draw_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Haematoma volume", parent)
        self.readings: tuple[Reading, ...] | None = None
        self._look_only = ""
        self._state = label("", "muted")
        self._copy = QPushButton("Copy", self)
        self._copy.setProperty("kind", "quiet")
        self._copy.setToolTip("Copy the volumes (Ctrl+Shift+C)")
        self._copy.clicked.connect(self.copy_requested)
        self.header.addWidget(self._state)
        self.header.addWidget(self._copy)

        self._empty = WrappedLabel(EMPTY)
        self.draw = QPushButton("Draw the box", self)
        self.draw.setProperty("kind", "primary")
        self.draw.setIcon(icon("box", COLOURS.on_primary))
        self.draw.setToolTip("Draw a box round the haematoma (B)")
        self.draw.clicked.connect(self.draw_requested)
        self.body.addWidget(self._empty)
        self.body.addWidget(self.draw)
        self._content = QWidget(self)
        content = QVBoxLayout(self._content)
        content.setContentsMargins(0, 0, 0, 0)
        content.setSpacing(GAP)
        self._shared = WrappedLabel(kind="warning")
        content.addWidget(self._shared)
        self.rows = {kind: ReadingRow(kind, self) for kind in ReadingKind}
        for row in self.rows.values():
            content.addWidget(row)
            content.addWidget(rule(self))
        self._disagreement = WrappedLabel()
        content.addWidget(self._disagreement)

        self._facts = FactTable()
        go = QPushButton("Show the slice", self)
        go.setProperty("kind", "quiet")
        go.setToolTip("Go to the slice on which A and B were measured")
        go.clicked.connect(self.show_slice_requested)
        details = QWidget(self)
        inside = QVBoxLayout(details)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(GAP // 2)
        inside.addWidget(self._facts)
        inside.addWidget(go, 0, Qt.AlignmentFlag.AlignLeft)
        self._details = QCollapsible(
            "Tada details", self._content, icon("chevron-down", COLOURS.muted), icon("chevron-right", COLOURS.muted)
        )
        self._details.setDuration(0)
        self._details.addWidget(details)
        self._details.layout().setContentsMargins(0, 0, 0, 0)
        self._details.content().layout().setContentsMargins(0, 4, 0, 0)
        content.addWidget(self._details)
        self.body.addWidget(self._content)
        self.show_readings(None, None)

    @property
    def shared(self) -> str:
        """What holds for all three volumes: why there is none, or warnings."""
        return self._shared.text()

    @property
    def invitation(self) -> str:
        """What the empty card says: what to do, or why nothing can be measured."""
        return self._empty.text()

    @property
    def disagreement(self) -> str:
        """The line that explains how far the volumes lie apart."""
        return self._disagreement.text()

    def show_pending(self) -> None:
        """Say that the values on display are being computed again."""
        self._state.setText("measuring…")

    def show_look_only(self, sentence: str) -> None:
        """Say instead of the invitation to draw why nothing can be measured; empty for a scan that can be."""
        self._look_only = sentence
        self._empty.setText(sentence or EMPTY)
        self.draw.setVisible(self.readings is None and not sentence)

    def show_readings(self, readings: tuple[Reading, ...] | None, tada: TadaMeasurement | None) -> None:
        """Show direct, Tada and corrected volume, or the empty state."""
        self.readings = readings
        self._state.setText("")
        self._empty.setVisible(readings is None)
        self.draw.setVisible(readings is None and not self._look_only)
        self._content.setVisible(readings is not None)
        self._copy.setVisible(readings is not None)
        if readings is None:
            return
        shared = shared_sentences(readings)
        self._shared.setText("\n".join(f"⚠ {sentence}" for sentence in shared))
        self._shared.setVisible(bool(shared))
        for reading in readings:
            self.rows[reading.kind].show_reading(reading, shared)
        words = disagreement(readings)
        self._disagreement.setText(words)
        self._disagreement.setVisible(bool(words))
        self._details.setVisible(tada is not None)
        if tada is not None:
            self._facts.set_facts(tada_facts(tada))
