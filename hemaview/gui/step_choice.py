"""Choosing the steps of a preparation: a tick for each, and the way where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from hemaview.gui.cards import WrappedLabel
from hemaview.gui.model_card import Choice
from hemaview.gui.theme import GAP
from hemaview.imaging.preprocessing import (
    STEP_KINDS,
    BiasFieldStep,
    BrainMethod,
    BrainStep,
    ContrastStep,
    DenoiseMethod,
    DenoiseStep,
    NormaliseMethod,
    NormaliseStep,
    Step,
)

_EXPLANATIONS: dict[type[Step], str] = {
    BiasFieldStep: "Takes out the uneven sensitivity of MR coils.",
    DenoiseStep: "Smooths noise and keeps edges; very thin fingers of blood shrink a little.",
    BrainStep: "Blackens all but the brain and what lies in your boxes. Look at the result.",
    NormaliseStep: "Gives MR values a common scale.",
    ContrastStep: "For the eye only; a model never sees it.",
}
_WAYS: dict[type[Step], tuple[tuple[DenoiseMethod | BrainMethod | NormaliseMethod, str], ...]] = {
    DenoiseStep: (
        (DenoiseMethod.CURVATURE_FLOW, "Curvature flow (fast)"),
        (DenoiseMethod.NON_LOCAL_MEANS, "Non-local means (slower)"),
    ),
    BrainStep: ((BrainMethod.SHAPE, "By shape (any scan)"), (BrainMethod.DEEPBET, "deepbet's networks (T1)")),
    NormaliseStep: (
        (NormaliseMethod.ROBUST, "Median and spread"),
        (NormaliseMethod.Z_SCORE, "Mean and standard deviation"),
    ),
}
_NOT_FOR_CT: dict[type[Step], str] = {
    BiasFieldStep: "Not for CT, which has no coils.",
    NormaliseStep: "Not for CT, whose values have a unit.",
}


class StepChoice(QWidget):
    """``changed`` tells that other steps or ways are chosen. ``deepbet`` says whether its networks are there."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None, *, deepbet: bool = False) -> None:
        super().__init__(parent)
        self.ticks: dict[str, QCheckBox] = {}
        self.ways: dict[str, Choice] = {}
        self._notes: dict[str, WrappedLabel] = {}
        self._settings: dict[str, Step] = {kind.name: kind() for kind in STEP_KINDS}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for kind in STEP_KINDS:
            tick = self.ticks[kind.name] = QCheckBox(kind.title, self)
            note = self._notes[kind.name] = WrappedLabel(_EXPLANATIONS[kind])
            note.setContentsMargins(24, 0, 0, 0)
            tick.setAccessibleDescription(_EXPLANATIONS[kind])
            tick.toggled.connect(self._follow)
            layout.addWidget(tick)
            layout.addWidget(note)
            ways = [way for way in _WAYS.get(kind, ()) if deepbet or way[0] is not BrainMethod.DEEPBET]
            if len(ways) > 1:
                box = self.ways[kind.name] = Choice(self)
                box.setAccessibleName(f"{kind.title}: how")
                for method, text in ways:
                    box.addItem(text, method)
                box.currentIndexChanged.connect(self._follow)
                layout.addWidget(box)
            layout.addSpacing(GAP)
        self._follow()

    def show_steps(self, steps: Sequence[Step], *, ct: bool) -> None:
        """Tick the steps given; for a CT those that do not suit it cannot be ticked."""
        for kind in STEP_KINDS:
            tick = self.ticks[kind.name]
            refused = _NOT_FOR_CT.get(kind, "") if ct else ""
            tick.setEnabled(not refused)
            self._notes[kind.name].setText(refused or _EXPLANATIONS[kind])
            chosen = next((step for step in steps if isinstance(step, kind)), None)
            tick.setChecked(chosen is not None and not refused)
            if chosen is not None:
                self._settings[kind.name] = chosen
            box = self.ways.get(kind.name)
            if box is not None and chosen is not None:
                box.setCurrentIndex(max(0, box.findData(getattr(chosen, "method", None))))

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are ticked, in the order in which they are carried out."""
        found: list[Step] = []
        for kind in STEP_KINDS:
            if self.ticks[kind.name].isChecked():
                step, box = self._settings[kind.name], self.ways.get(kind.name)
                if box is not None and isinstance(step, (DenoiseStep, BrainStep, NormaliseStep)):
                    step = replace(step, method=box.currentData())
                found.append(step)
        return tuple(found)

    def _follow(self) -> None:
        for name, box in self.ways.items():
            box.setVisible(self.ticks[name].isChecked())
        self.changed.emit()
