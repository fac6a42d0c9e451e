"""Asking the engine: every change of boxes, points and mask by hand, and what is made again because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject

from hemaview.case import ScanEntry, prompting
from hemaview.gui.view_state import Region, Tool
from hemaview.segmentation.contract import BoxPrompt, Prompt

if TYPE_CHECKING:
    from hemaview.gui.workflow import Workflow

ONLY_OUTSIDE = "Points outside say where the haematoma is not; place one inside it or draw a box."
NOTHING_TO_FOLLOW = "No slice was drawn by hand yet; correct one with brush or eraser, then the others can follow."
NO_PROMPT_TO_FOLLOW = "Draw a box round the haematoma first; then the other slices can follow your corrections."
NOT_PREPARED = "The model is to see the prepared scan, which is not ready; wait for it or choose Tools, Prepare scan."
NEW_BOX = "Draw box"
FOLLOW = "Follow corrections"


class PromptFlow(QObject):
    """The part of the workflow that changes prompt and mask; every change goes to the case first.

    ``step_text`` names the step that an answer becomes when no change of the prompt caused it.
    """

    def __init__(self, workflow: Workflow) -> None:
        super().__init__(workflow)
        self._flow = workflow
        self.step_text = "Segment"

    def segment_box(self, box: BoxPrompt) -> None:
        """Begin anew with one box."""
        if self._flow.case is not None and self._flow.state.geometry is not None:
            self.change_prompt(prompting.box_drawn(self._flow.case.prompt, box, self._flow.state.geometry), NEW_BOX)

    def change_prompt(self, prompt: Prompt, text: str) -> None:
        """Record boxes and points and ask the engine for the mask; a change made meanwhile takes its place.

        Slices drawn by hand are kept, except under a new box, which begins anew.
        """
        case = self._flow.case
        scan = case.active_scan if case is not None else None
        if case is None or scan is None or scan.volume is None:
            return
        self._flow.segmentation.cancel()
        if not self._flow.attempt(lambda c: c.set_prompt(prompt, text)):
            self._flow.state.set_prompt(case.prompt)
            return
        self._flow.state.set_prompt(prompt)
        if not prompting.asks_for_something(prompt):
            if prompt.points:
                self._flow.message.emit("info", ONLY_OUTSIDE)
            return
        self._ask(scan, keep_edits=text != NEW_BOX)

    def follow_corrections(self) -> None:
        """Make the mask again round the slices that a hand drew, so that the other slices follow them."""
        case = self._flow.case
        scan = case.active_scan if case is not None else None
        if case is None or scan is None or scan.volume is None or not case.edited_slices:
            self._flow.message.emit("info", NOTHING_TO_FOLLOW)
            return
        self._flow.segmentation.cancel()
        if not prompting.asks_for_something(case.prompt):
            self._flow.message.emit("info", NO_PROMPT_TO_FOLLOW)
            return
        self._ask(scan, text=FOLLOW)

    def _ask(self, scan: ScanEntry, *, keep_edits: bool = True, text: str = "") -> None:
        case = self._flow.case
        assert case is not None
        if scan.model_input is None:
            self._flow.message.emit("warning", NOT_PREPARED)
            return
        kept = case.edited_slices if keep_edits else ()
        edited = case.edited
        self.step_text = text or "Segment"
        self._flow.segmentation.start(scan, case.question(keep_edits=keep_edits))
        if kept and not text:
            many = "1 slice" if len(kept) == 1 else f"{len(kept)} slices"
            self._flow.message.emit("info", f"The {many} you drew by hand stay as they are; the others are made again.")
        elif edited and not kept:
            self._flow.message.emit("info", "The new box replaces your brush edits; Ctrl+Z brings them back.")

    def segment_again(self) -> None:
        """Ask the model in force for the same boxes and points; slices drawn by hand stay."""
        case = self._flow.case
        scan = case.active_scan if case is not None else None
        if case is not None and scan is not None and prompting.asks_for_something(case.prompt):
            self._flow.segmentation.cancel()
            self._ask(scan)

    def paint(self, region: Region, values: NDArray[np.bool_]) -> None:
        """Record a finished stroke of brush or eraser."""
        self._flow.segmentation.cancel()
        text = "Erase" if self._flow.state.tool is Tool.ERASER else "Paint"
        if not self._flow.attempt(lambda case: case.edit_mask(region, values, text)):
            self._flow.show_mask()
        self._flow.state.set_stroke(None)

    def remove_prompt(self) -> None:
        """Take all boxes and points away and keep the mask."""
        self._flow.segmentation.cancel()
        self._flow.attempt(lambda case: case.set_prompt(Prompt(), "Remove boxes and points"))

    def toggle_checked(self) -> None:
        """Mark the mask as looked at and right, or take that back."""
        if self._flow.case is not None:
            checked = not self._flow.case.checked
            if self._flow.attempt(lambda case: case.set_checked(checked)) and checked:
                self._flow.message.emit("info", "Marked as checked; this mask can now teach a model.")

    def clear_mask(self) -> None:
        """Empty the mask; can be undone."""
        self._flow.segmentation.cancel()
        self._flow.attempt(lambda case: case.clear_mask())
