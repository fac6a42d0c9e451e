"""What mouse buttons and keys do in a viewer under each tool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import NDArray
from PySide6.QtCore import Qt

from hemaview.gui.aim import BoxAim, ItemKind, PromptItem
from hemaview.gui.box_painting import cursor_shape
from hemaview.gui.box_tool import BoxDrag, BoxHit, Grip, aim_for, box_hit, keyed_prompt, shown_boxes
from hemaview.gui.brush_tool import BrushDrag
from hemaview.gui.gestures import CrosshairDrag, Gesture, PanDrag, ToPicture, WindowDrag, ZoomDrag
from hemaview.gui.point_tool import (
    PointDrag,
    Prompted,
    ZoomOrPoint,
    place_point,
    point_at,
    slice_position_lps,
    turn_point,
)
from hemaview.gui.view_state import Region, Tool, ViewState
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import PlaneView

PLACE_KEYS = (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter)

_TOOL_CURSORS = {
    Tool.CROSSHAIR: Qt.CursorShape.CrossCursor,
    Tool.WINDOW: Qt.CursorShape.SizeAllCursor,
    Tool.BRUSH: Qt.CursorShape.BlankCursor,
    Tool.ERASER: Qt.CursorShape.BlankCursor,
}


@dataclass(frozen=True)
class Site:
    """One viewer at this moment, as a gesture meets it, and where its results go."""

    state: ViewState
    view: PlaneView
    index: int
    transform: ViewTransform
    picture: ToPicture
    place: Callable[[ViewTransform], None]
    prompted: Prompted
    stroke: Callable[[Region, NDArray], None]


@dataclass(frozen=True)
class Under:
    """What of the prompt lies under the mouse, and for a box which of its sides."""

    item: PromptItem | None = None
    grip: Grip | None = None


def under_mouse(site: Site, sx: float, sy: float) -> Under:
    """What a press at this position would take hold of with the tool in use."""
    state = site.state
    if state.tool is Tool.POINTS:
        return Under(point_at(state, site.transform, site.index, sx, sy))
    if state.tool is Tool.BOX and state.geometry is not None:
        shown = shown_boxes(state.prompt, state.geometry, site.view, site.index)
        hit = box_hit(shown, site.transform, sx, sy)
        if hit is not None:
            return Under(hit.item, hit.grip)
    return Under()


def begin(
    site: Site, button: Qt.MouseButton, modifiers: Qt.KeyboardModifier, start: tuple[float, float]
) -> Gesture | None:
    """The gesture that a press begins; None for buttons without a use."""
    state = site.state
    if button == Qt.MouseButton.RightButton:
        if state.tool is Tool.POINTS:
            return ZoomOrPoint(site.transform, start, site.place, lambda: _right_click(site, start))
        return ZoomDrag(site.transform, start, site.place)
    if button == Qt.MouseButton.MiddleButton:
        return PanDrag(site.transform, start, site.place)
    if button != Qt.MouseButton.LeftButton:
        return None
    match state.tool:
        case Tool.WINDOW:
            return WindowDrag(state, start)
        case Tool.BOX:
            return _box_gesture(site, modifiers, start)
        case Tool.POINTS:
            positive = state.aim.positive != bool(modifiers & Qt.KeyboardModifier.AltModifier)
            item = under_mouse(site, *start).item
            return PointDrag(state, site.view, site.index, item, positive, start, site.picture, site.prompted)
        case Tool.BRUSH | Tool.ERASER:
            erase = state.tool is Tool.ERASER
            return BrushDrag(state, site.view, site.index, erase, start, site.picture, site.stroke)
        case Tool.CROSSHAIR:
            return CrosshairDrag(state, site.view, site.index, start, site.picture)


def tool_key(site: Site, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
    """What the current tool does with a key; False when it has no use for it."""
    state = site.state
    if state.tool is Tool.BOX:
        made = keyed_prompt(state, site.view, site.index, key, modifiers)
        if made is None:
            return False
        prompt, text = made
        if prompt != state.prompt:
            state.set_prompt(prompt)
            site.prompted(prompt, text)
    elif state.tool is Tool.POINTS and key in PLACE_KEYS:
        other = bool(modifiers & (Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ShiftModifier))
        x, y, _ = (float(v) for v in site.view.index_to_pixel(state.cursor))
        at = slice_position_lps(state, site.view, site.index, x, y)
        place_point(state, at, state.aim.positive != other, site.prompted)
    elif state.tool in (Tool.BRUSH, Tool.ERASER) and key == Qt.Key.Key_Space:
        x, y, _ = (float(v) for v in site.view.index_to_pixel(state.cursor))
        sx, sy = (float(v) for v in site.transform.to_screen(x, y))
        erase = state.tool is Tool.ERASER
        BrushDrag(state, site.view, site.index, erase, (sx, sy), site.picture, site.stroke).finish()
    else:
        return False
    return True


def remove_item(state: ViewState, item: PromptItem, prompted: Prompted) -> None:
    """Take one box, rectangle or point out of the prompt on display."""
    if item.exists_in(state.prompt):
        prompt, text = item.removed(state.prompt)
        state.aim.select(None)
        state.aim.set_hovered(None)
        state.set_prompt(prompt)
        prompted(prompt, text)


def mouse_cursor(state: ViewState, gesture: Gesture | None, under: Under) -> Qt.CursorShape:
    """The mouse cursor that tells what a press would do."""
    if isinstance(gesture, PanDrag):
        return Qt.CursorShape.ClosedHandCursor
    if isinstance(gesture, ZoomDrag) and not isinstance(gesture, ZoomOrPoint):
        return Qt.CursorShape.SizeVerCursor
    if state.tool is Tool.POINTS:
        return Qt.CursorShape.PointingHandCursor if under.item is not None else Qt.CursorShape.CrossCursor
    return _TOOL_CURSORS.get(state.tool, cursor_shape(under.grip))


def in_hand(gesture: Gesture | None) -> Under | None:
    """What a gesture holds; None for gestures that have nothing to do with the prompt."""
    if isinstance(gesture, BoxDrag):
        return Under(gesture.item, gesture.hit.grip if gesture.hit is not None else None)
    return Under(gesture.item) if isinstance(gesture, PointDrag) else None


def _box_gesture(site: Site, modifiers: Qt.KeyboardModifier, start: tuple[float, float]) -> BoxDrag:
    state = site.state
    aim, drawn = aim_for(state, site.view, modifiers)
    under = under_mouse(site, *start)
    hit = None
    if under.item is not None and under.grip is not None:
        # With Ctrl a side of the box is dragged for this slice only; its inside is a place to draw on.
        alone = aim is BoxAim.SLICE and under.grip != Grip.BODY
        if alone or not drawn:
            hit = BoxHit(under.item, under.grip)
    return BoxDrag(state, site.view, site.index, hit, aim, start, site.picture, site.prompted)


def _right_click(site: Site, at: tuple[float, float]) -> None:
    item = under_mouse(site, *at).item
    if item is not None and item.kind is ItemKind.POINT:
        turn_point(site.state, item, site.prompted)
        return
    place = slice_position_lps(site.state, site.view, site.index, *site.picture(*at))
    place_point(site.state, place, not site.state.aim.positive, site.prompted)
