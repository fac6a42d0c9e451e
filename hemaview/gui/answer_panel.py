"""What the mask came from and what is left to do on it: model, prompt, the engine's notes, slices to check."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from hemaview.case import Case
from hemaview.gui.actions import Actions
from hemaview.gui.cards import Card, WrappedLabel
from hemaview.gui.icons import icon
from hemaview.gui.prompt_actions import prompt_text
from hemaview.gui.slice_review import SliceReview, SliceState
from hemaview.gui.theme import COLOURS, GAP


class AnswerPanel(Card):
    """Hidden while there is no mask; its buttons trigger actions of the table."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__("Segmentation", parent)
        self._actions = actions
        self._origin = WrappedLabel()
        self._notes = WrappedLabel(kind="warning")
        self._review = WrappedLabel()
        self._next = self._button("Next to check", "review", "review_next")
        self._follow = self._button("Let the others follow my corrections", "follow", "follow")
        self._checked = self._button("Mark as checked", "check", "checked")
        for widget in (self._origin, self._notes, self._review):
            self.body.addWidget(widget)
        # Three beside each other are wider than the panel.
        for buttons in ((self._next, self._checked), (self._follow,)):
            row = QHBoxLayout()
            row.setSpacing(GAP)
            for button in buttons:
                row.addWidget(button)
            row.addStretch(1)
            self.body.addLayout(row)
        self.hide()

    @property
    def text(self) -> str:
        """All that the card says, for tests and screen readers."""
        return "\n".join(part.text() for part in (self._origin, self._notes, self._review) if part.text())

    def show_case(self, case: Case | None, review: SliceReview | None) -> None:
        """Show what the active scan's mask came from."""
        there = case is not None and case.mask is not None
        self.setVisible(there)
        if case is None or not there:
            return
        made, source = case.segmentation, case.carried_from
        origin = "Drawn by hand" if made is None else made.engine.title
        if source is not None:
            origin = f"Carried over from {case.labels[source.id]}"
            origin += " through an alignment" if case.carried_aligned else ""
            origin += ", changed by hand" if case.edited else ""
        if made is not None and made.engine.adapter:
            origin += f" with {made.engine.adapter}"
        asked = prompt_text(case.prompt, len(case.edited_slices))
        self._origin.setText("\n".join(part for part in (origin, asked) if part))
        notes = made.notes if made is not None else ()
        self._notes.setText("\n".join(f"⚠ {note}" for note in notes))
        self._notes.setVisible(bool(notes))
        self._review.setText(review_text(review))
        self._review.setVisible(bool(self._review.text()))
        self._next.setVisible(bool(review is not None and review.to_review))
        self._follow.setVisible(bool(case.edited_slices and (case.prompt.boxes or case.prompt.points)))
        self._checked.setVisible(source is None)
        self._checked.setText("Checked ✓" if case.checked else "Mark as checked")
        self.setAccessibleName(f"Segmentation: {self.text}")

    def _button(self, text: str, picture: str, action_id: str) -> QPushButton:
        action = self._actions[action_id]
        button = QPushButton(text, self)
        button.setProperty("kind", "quiet")
        button.setIcon(icon(picture, COLOURS.accent))
        button.setToolTip(action.toolTip())
        button.clicked.connect(action.trigger)
        return button


def review_text(review: SliceReview | None) -> str:
    """How many slices need a second look, in words."""
    if review is None:
        return ""
    unsure, fair = review.count(SliceState.UNSURE), review.count(SliceState.FAIR)
    if unsure:
        return f"Unsure on {_slices(unsure)}: check {'it' if unsure == 1 else 'them'} first."
    return f"Fairly sure on {_slices(fair)}: have a look." if fair else ""


def _slices(count: int) -> str:
    return "1 slice" if count == 1 else f"{count} slices"
