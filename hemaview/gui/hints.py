"""What to do next, in one line under the viewers: from the tool in use and from what is there already."""

from __future__ import annotations

from hemaview.gui.aim import Aim, BoxAim
from hemaview.gui.slice_review import SliceReview
from hemaview.gui.view_state import Tool
from hemaview.segmentation.contract import Prompt


def hint(tool: Tool, prompt: Prompt, aim: Aim, edited_slices: int, review: SliceReview | None) -> str:
    """The line for this moment; empty where nothing needs saying."""
    match tool:
        case Tool.BOX:
            return _box_hint(prompt, aim)
        case Tool.POINTS:
            return _point_hint(prompt, aim)
        case Tool.BRUSH | Tool.ERASER:
            if edited_slices and prompt.boxes:
                return "Ctrl+F: the other slices follow your corrections"
            verb = "erase" if tool is Tool.ERASER else "paint"
            return f"Drag to {verb}; [ and ] change the size"
        case _:
            if review is not None and review.to_review:
                count = len(review.to_review)
                return f"{count} {'slice' if count == 1 else 'slices'} to check: N goes there"
            return "" if prompt.boxes or prompt.points else "B: box round the haematoma · P: point in it"


def _box_hint(prompt: Prompt, aim: Aim) -> str:
    if not prompt.boxes:
        return "Drag a rectangle round the haematoma"
    if aim.box is BoxAim.ADD:
        return "Drag a further box round another piece"
    if aim.box is BoxAim.SLICE:
        return "Drag the rectangle of this slice only, in the axial view"
    return "Drag a side to adjust · Shift: further box · Ctrl: this slice only"


def _point_hint(prompt: Prompt, aim: Aim) -> str:
    if aim.hovered is not None:
        return "Drag moves · right click turns + and − · double-click or Del removes"
    here, other = ("in (+)", "outside (−)") if aim.positive else ("outside (−)", "in (+)")
    first = "" if prompt.points or prompt.boxes else "; one is enough to begin"
    return f"Click: point {here}{first} · right click: {other} · T swaps"
