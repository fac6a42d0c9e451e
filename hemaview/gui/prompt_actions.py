"""The actions about boxes, points, corrections and slices to check: what they do and when they are marked."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from hemaview.gui.actions import Actions
from hemaview.gui.aim import BoxAim, ItemKind, PromptItem, last_item
from hemaview.gui.hints import hint
from hemaview.gui.icons import icon
from hemaview.gui.point_tool import turn_point
from hemaview.gui.tool_gestures import remove_item
from hemaview.gui.view_state import Tool, ViewState
from hemaview.gui.workflow import Workflow
from hemaview.imaging import Plane
from hemaview.segmentation.contract import Prompt

ALL_SURE = "The model is sure of every slice; look the mask over all the same before you use it."


class PromptActions(QObject):
    """Handlers by action id for ``Actions.connect``; ``hint_changed(str)`` tells what to do next."""

    hint_changed = Signal(str)

    def __init__(self, actions: Actions, state: ViewState, workflow: Workflow) -> None:
        super().__init__(workflow)
        self._actions, self._state, self._flow = actions, state, workflow
        for signal in (state.tool_changed, state.prompt_changed, state.aim.changed, state.review_changed):
            signal.connect(self.follow)
        workflow.history_changed.connect(self.follow)
        state.tool_changed.connect(lambda: state.aim.set_box(BoxAim.NEW))
        self.follow()

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What each action does."""
        return {
            "remove_item": self.remove_item,
            "remove_prompt": self._flow.prompts.remove_prompt,
            "follow": self._flow.prompts.follow_corrections,
            "segment_again": self._flow.prompts.segment_again,
            "checked": self._toggle_checked,
            "box_add": lambda: self._aim(BoxAim.ADD),
            "box_slice": lambda: self._aim(BoxAim.SLICE),
            "point_sign": self._sign,
            "review_next": lambda: self.review(1),
            "review_previous": lambda: self.review(-1),
        }

    def follow(self) -> None:
        """Mark the actions as the state is, and tell what to do next."""
        aim, case = self._state.aim, self._flow.case
        table = self._actions
        table["box_add"].setChecked(aim.box is BoxAim.ADD)
        table["box_slice"].setChecked(aim.box is BoxAim.SLICE)
        table["point_sign"].setChecked(not aim.positive)
        table["checked"].setChecked(case is not None and case.checked)
        table["tool_points"].setIcon(icon("point-inside" if aim.positive else "point-outside"))
        edited = len(case.edited_slices) if case is not None else 0
        state = self._state
        can_draw = state.volume is not None and state.volume.not_measurable is None
        self.hint_changed.emit(hint(state.tool, state.prompt, aim, edited, state.review) if can_draw else "")

    def remove_item(self) -> None:
        """Remove what is under the mouse, else what was last placed or dragged, else the newest of the tool's kind."""
        state = self._state
        wanted: list[PromptItem | None] = [state.aim.hovered, state.aim.selected]
        first = ItemKind.POINT if state.tool is Tool.POINTS else ItemKind.BOX
        for kind in (first, ItemKind.BOX, ItemKind.POINT):
            wanted.append(last_item(state.prompt, kind))
        item = next((one for one in wanted if one is not None and one.exists_in(state.prompt)), None)
        if item is not None:
            remove_item(state, item, self._flow.prompts.change_prompt)

    def review(self, step: int) -> None:
        """Go to the next slice (or with -1 the one before) that the model is unsure of."""
        state = self._state
        review, geometry = state.review, state.geometry
        if review is None or geometry is None:
            return
        k = review.next_to_review(state.slice_index(self._slice_plane()), step)
        if k is None:
            self._flow.message.emit("info", ALL_SURE)
            return
        i, j, _ = state.cursor
        bounds = state.mask_bounds
        if bounds is not None:
            i, j = ((part.start + part.stop - 1) / 2 for part in (bounds[2], bounds[1]))
        state.set_cursor((round(i), round(j), k))
        self._flow.message.emit("info", f"Slice {k + 1}: {review.text(k)}.")

    def _slice_plane(self) -> Plane:
        for plane in Plane:
            view = self._state.view(plane)
            if view is not None and view.slice_axis == 2:
                return plane
        return Plane.AXIAL

    def _toggle_checked(self) -> None:
        self._flow.prompts.toggle_checked()
        self.follow()

    def _aim(self, aim: BoxAim) -> None:
        state = self._state
        state.set_tool(Tool.BOX)
        state.aim.set_box(BoxAim.NEW if state.aim.box is aim else aim)
        self.follow()

    def _sign(self) -> None:
        state = self._state
        item = state.aim.hovered
        if state.tool is Tool.POINTS and item is not None and item.kind is ItemKind.POINT:
            turn_point(state, item, self._flow.prompts.change_prompt)
        else:
            state.set_tool(Tool.POINTS)
            state.aim.set_positive(not state.aim.positive)
        self.follow()


def prompt_text(prompt: Prompt, edited_slices: int) -> str:
    """What the mask was asked for with, in words; for example "1 box · 2 points · 1 slice by hand"."""
    counts = (
        (len(prompt.boxes), "box", "boxes"),
        (len(prompt.slice_boxes), "redrawn slice", "redrawn slices"),
        (len(prompt.points), "point", "points"),
        (edited_slices, "slice by hand", "slices by hand"),
    )
    return " · ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts if count)
