"""Boxes in one viewer: their projections, their grips, drawing new ones and dragging old ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt

from hemaview.case import prompting
from hemaview.gui.aim import BoxAim, ItemKind, PromptItem, last_item
from hemaview.gui.gestures import ToPicture
from hemaview.gui.view_state import ViewState
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import Geometry, PlaneView
from hemaview.segmentation.contract import BoxPrompt, Prompt

GRIP_REACH_PX = 8.0
"""How far from a corner or side the mouse still takes hold of it: hit areas are 16 px wide."""

SMALLEST_DRAWN_PX = 5.0
"""A shorter drag is a click and draws no box."""

DRAW_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
ARROWS = {
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Left: (-1, 0),
}
"""Arrow keys as steps on the screen, right and down."""

KEYED_SIDE_MM = 40.0
"""Sides of the box that the Return key draws round the crosshair."""

_MID_HANDLE_SIDE_PX = 48.0


class Grip(IntFlag):
    """The sides of a box that a drag moves; a corner is two sides, the whole box all four."""

    LEFT = 1
    TOP = 2
    RIGHT = 4
    BOTTOM = 8
    BODY = 15


_CORNERS = (Grip.LEFT | Grip.TOP, Grip.RIGHT | Grip.TOP, Grip.RIGHT | Grip.BOTTOM, Grip.LEFT | Grip.BOTTOM)
SIDES = (Grip.TOP, Grip.RIGHT, Grip.BOTTOM, Grip.LEFT)


@dataclass(frozen=True)
class BoxOutline:
    """A box's projection on one view, in picture pixels (faces, so usually .5), and whether it holds the slice."""

    left: float
    top: float
    right: float
    bottom: float
    holds_slice: bool

    @classmethod
    def of(cls, box: BoxPrompt, geometry: Geometry, view: PlaneView, index: int) -> BoxOutline:
        """Project a box on the view whose slice ``index`` is shown."""
        lower, upper = box.index_bounds(geometry)
        x, y, depth = view.index_to_pixel(np.array([lower, upper]))
        holds = bool(depth.min() <= index <= depth.max())
        return cls(float(x.min()), float(y.min()), float(x.max()), float(y.max()), holds)

    def corners(self, transform: ViewTransform) -> NDArray[np.float64]:
        """(4, 2) screen positions: top left, top right, bottom right, bottom left."""
        x, y = transform.to_screen(
            [self.left, self.right, self.right, self.left], [self.top, self.top, self.bottom, self.bottom]
        )
        return np.stack([x, y], axis=1)

    def handles(self, transform: ViewTransform) -> list[tuple[Grip, float, float]]:
        """Grip and screen position of the eight handles; short sides have none in their middle."""
        corners = self.corners(transform)
        found = [(grip, float(x), float(y)) for grip, (x, y) in zip(_CORNERS, corners, strict=True)]
        for number, grip in enumerate(SIDES):
            start, end = corners[number], corners[(number + 1) % 4]
            if np.hypot(*(end - start)) >= _MID_HANDLE_SIDE_PX:
                middle = (start + end) / 2
                found.append((grip, float(middle[0]), float(middle[1])))
        return found

    def grip_at(self, transform: ViewTransform, sx: float, sy: float) -> Grip | None:
        """What a press takes hold of: a corner, a side, or everything inside a box that holds the slice."""
        corners = self.corners(transform)
        point = np.array([sx, sy])
        distances = np.hypot(*(corners - point).T)
        nearest = int(np.argmin(distances))
        if distances[nearest] <= GRIP_REACH_PX * 1.25:
            return _CORNERS[nearest]
        for number, grip in enumerate(SIDES):
            if _distance_to_segment(point, corners[number], corners[(number + 1) % 4]) <= GRIP_REACH_PX:
                return grip
        x, y = transform.to_picture(sx, sy)
        inside = self.left < x < self.right and self.top < y < self.bottom
        return Grip.BODY if inside and self.holds_slice else None


@dataclass(frozen=True)
class ShownBox:
    """One box of the prompt as a viewer shows it; ``stands_back`` behind a rectangle redrawn on this slice."""

    item: PromptItem
    box: BoxPrompt
    outline: BoxOutline
    stands_back: bool = False


@dataclass(frozen=True)
class BoxHit:
    """What a press takes hold of: which box and which of its sides."""

    item: PromptItem
    grip: Grip


def shown_boxes(prompt: Prompt, geometry: Geometry, view: PlaneView, index: int) -> list[ShownBox]:
    """The boxes of a prompt on slice ``index``, in the order in which they are painted."""
    here = [
        (number, box)
        for number, box in enumerate(prompt.slice_boxes)
        if view.slice_axis == 2 and prompting.slice_of(box, geometry) == index
    ]
    boxes = [
        ShownBox(PromptItem(ItemKind.BOX, number), box, BoxOutline.of(box, geometry, view, index), bool(here))
        for number, box in enumerate(prompt.boxes)
    ]
    return boxes + [
        ShownBox(PromptItem(ItemKind.SLICE_BOX, number), box, BoxOutline.of(box, geometry, view, index))
        for number, box in here
    ]


def box_hit(shown: list[ShownBox], transform: ViewTransform, sx: float, sy: float) -> BoxHit | None:
    """What a press takes hold of; sides come before insides, what is painted last before what lies under it."""
    inside: BoxHit | None = None
    for one in reversed(shown):
        grip = None if one.stands_back else one.outline.grip_at(transform, sx, sy)
        if grip is not None and grip != Grip.BODY:
            return BoxHit(one.item, grip)
        if grip is not None and inside is None:
            inside = BoxHit(one.item, grip)
    return inside


def drawn_box(
    geometry: Geometry, view: PlaneView, index: int, start: tuple[float, float], end: tuple[float, float]
) -> BoxPrompt:
    """The box of a rectangle between two picture positions on slice ``index``, out to voxel faces, within the scan."""
    ends = view.pixel_to_index([start[0], end[0]], [start[1], end[1]], index)
    for axis in (view.x_axis, view.y_axis):
        ends[:, axis] = _drawn_side(ends[0, axis], ends[1, axis], geometry.size[axis])
    return BoxPrompt.from_rectangle(geometry, view.slice_axis, index, ends[0], ends[1])


def dragged_box(box: BoxPrompt, geometry: Geometry, view: PlaneView, grip: Grip, dx: float, dy: float) -> BoxPrompt:
    """The box after the sides of ``grip`` moved by picture pixels.

    Moved sides come to lie on voxel faces, within the scan and at least one voxel from the opposite side; the
    others stay exactly. Moving a side along the axis whose depth was a guess makes the depth the user's.
    """
    lower, upper = box.index_bounds(geometry)
    x, y, depth = view.index_to_pixel(np.array([lower, upper]))
    if grip == Grip.BODY:
        # A box that moves as a whole stays in the picture.
        dx, dy = _kept_inside(x, dx, view.columns), _kept_inside(y, dy, view.rows)
    return _adjusted(box, geometry, view, grip, view.pixel_to_index(x + dx, y + dy, depth))


def stepped_box(box: BoxPrompt, geometry: Geometry, view: PlaneView, grip: Grip, right: int, down: int) -> BoxPrompt:
    """The box after the sides of ``grip`` moved by so many voxels to the right and down; see ``dragged_box``."""
    ends = np.array(box.index_bounds(geometry))
    step = view.voxel_step(right, down)
    if grip == Grip.BODY:
        step = np.array([_kept_inside(ends[:, axis], step[axis], geometry.size[axis]) for axis in range(3)])
    return _adjusted(box, geometry, view, grip, ends + step)


def _adjusted(box: BoxPrompt, geometry: Geometry, view: PlaneView, grip: Grip, after: NDArray[np.float64]) -> BoxPrompt:
    """The box with the sides of ``grip`` on the voxel faces nearest to ``after``, lower and upper (i, j, k)."""
    lower, upper = box.index_bounds(geometry)
    new_lower, new_upper = lower.copy(), upper.copy()
    for axis, low_grip, high_grip, flip in (
        (view.x_axis, Grip.LEFT, Grip.RIGHT, view.flip_x),
        (view.y_axis, Grip.TOP, Grip.BOTTOM, view.flip_y),
    ):
        moves = (high_grip in grip, low_grip in grip) if flip else (low_grip in grip, high_grip in grip)
        before = float(lower[axis]), float(upper[axis])
        new_lower[axis], new_upper[axis] = _settled(
            before, (float(after[0, axis]), float(after[1, axis])), moves, geometry.size[axis]
        )
    open_axis = box.open_axis
    resized = grip != Grip.BODY
    if resized and (
        (open_axis == view.x_axis and grip & (Grip.LEFT | Grip.RIGHT))
        or (open_axis == view.y_axis and grip & (Grip.TOP | Grip.BOTTOM))
    ):
        open_axis = None
    return replace(BoxPrompt.from_index_bounds(geometry, new_lower, new_upper), open_axis=open_axis)


class BoxDrag:
    """A box being drawn (``hit`` None) or dragged; the shared state shows it in all viewers while it changes.

    ``aim`` tells what a drawn rectangle becomes; ``SLICE`` also makes a drag of a box's side count for this slice
    only. ``done(Prompt, text)`` gets the new prompt and what the step is called.
    """

    def __init__(
        self,
        state: ViewState,
        view: PlaneView,
        index: int,
        hit: BoxHit | None,
        aim: BoxAim,
        start: tuple[float, float],
        picture: ToPicture,
        done: Callable[[Prompt, str], None],
    ) -> None:
        assert state.geometry is not None
        self._state = state
        self._geometry = state.geometry
        self._view = view
        self._index = index
        self._start = start
        self._picture = picture
        self._from = picture(*start)
        self._done = done
        self._before = state.prompt
        self._prompt: Prompt | None = None
        self._aim = aim
        self.hit = hit
        self.item = hit.item if hit is not None else None
        """The box in hand."""

    def move(self, sx: float, sy: float) -> None:
        """Follow the mouse."""
        far = max(abs(sx - self._start[0]), abs(sy - self._start[1]))
        if self._prompt is None and far < (SMALLEST_DRAWN_PX if self.hit is None else 1.0):
            return
        here = self._picture(sx, sy)
        if self.hit is None:
            box = drawn_box(self._geometry, self._view, self._index, self._from, here)
            self._prompt, self.item = prompt_with(self._before, box, self._geometry, self._aim, self._index)
        else:
            dx, dy = here[0] - self._from[0], here[1] - self._from[1]
            box = dragged_box(self.hit.item.box(self._before), self._geometry, self._view, self.hit.grip, dx, dy)
            if self._aim is BoxAim.SLICE and self.hit.item.kind is ItemKind.BOX:
                self._prompt, self.item = prompt_with(self._before, box, self._geometry, self._aim, self._index)
            else:
                self._prompt = self.hit.item.adjusted(self._before, box, self._geometry)
        self._state.set_prompt(self._prompt)

    def finish(self) -> None:
        """Hand over the prompt, if it changed."""
        if self._prompt is not None and self._prompt != self._before:
            # The shown prompt may have been replaced meanwhile, for example by the answer to an earlier one.
            self._state.set_prompt(self._prompt)
            self._state.aim.select(self.item)
            self._state.aim.set_box(BoxAim.NEW)
            self._done(self._prompt, self._text())

    def cancel(self) -> None:
        """Put the prompt back as it was."""
        self._state.set_prompt(self._before)

    def _text(self) -> str:
        if self.item is not None and self.item.kind is ItemKind.SLICE_BOX:
            return "Redraw slice"
        return "Adjust box" if self.hit is not None else STEP_TEXTS[self._aim]


STEP_TEXTS = {BoxAim.NEW: "Draw box", BoxAim.ADD: "Add box", BoxAim.SLICE: "Redraw slice"}


def prompt_with(
    prompt: Prompt, box: BoxPrompt, geometry: Geometry, aim: BoxAim, index: int
) -> tuple[Prompt, PromptItem | None]:
    """The prompt with a newly drawn box, and which item of it the box has become."""
    if aim is BoxAim.ADD:
        added = prompting.box_added(prompt, box)
        return added, last_item(added, ItemKind.BOX)
    if aim is BoxAim.SLICE:
        lower, upper = box.index_bounds(geometry)
        rectangle = prompting.slice_rectangle(geometry, index, lower, upper)
        redrawn = prompting.slice_redrawn(prompt, rectangle, geometry)
        return redrawn, PromptItem(ItemKind.SLICE_BOX, redrawn.slice_boxes.index(rectangle))
    drawn = prompting.box_drawn(prompt, box, geometry)
    return drawn, last_item(drawn, ItemKind.BOX)


def aim_for(state: ViewState, view: PlaneView, modifiers: Qt.KeyboardModifier) -> tuple[BoxAim, bool]:
    """What a rectangle becomes under these keys, and whether it is drawn even on top of a box.

    Shift adds a box, Ctrl redraws this slice alone, both together begin anew; what an action chose holds without
    keys. Without a box every rectangle is the first one, and single slices are redrawn in the plane they lie in.
    """
    shift = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
    control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
    if shift or control:
        aim = BoxAim.NEW if shift and control else BoxAim.ADD if shift else BoxAim.SLICE
    else:
        aim = state.aim.box
    if not state.prompt.boxes or (aim is BoxAim.SLICE and view.slice_axis != 2):
        aim = BoxAim.NEW
    return aim, shift or control or aim is BoxAim.ADD


def keyed_prompt(
    state: ViewState, view: PlaneView, index: int, key: Qt.Key, modifiers: Qt.KeyboardModifier
) -> tuple[Prompt, str] | None:
    """The prompt that a key makes, for those who draw without a mouse; None when the key means nothing here.

    Return draws a box of 40 mm round the crosshair, under the same choice as a drag. Alt+arrows move the box that
    was last drawn or dragged, Shift+arrows its right or lower side.
    """
    geometry = state.geometry
    if geometry is None:
        return None
    if key in DRAW_KEYS:
        x, y, _ = (float(v) for v in view.index_to_pixel(state.cursor))
        reach_x = KEYED_SIDE_MM / 2 / float(np.hypot(*view.x_vector_mm))
        reach_y = KEYED_SIDE_MM / 2 / float(np.hypot(*view.y_vector_mm))
        box = drawn_box(geometry, view, index, (x - reach_x, y - reach_y), (x + reach_x, y + reach_y))
        aim, _ = aim_for(state, view, modifiers)
        prompt, item = prompt_with(state.prompt, box, geometry, aim, index)
        state.aim.select(item)
        state.aim.set_box(BoxAim.NEW)
        return prompt, STEP_TEXTS[aim]
    item = state.aim.selected
    if item is None or item.kind is ItemKind.POINT or not item.exists_in(state.prompt):
        item = last_item(state.prompt, ItemKind.BOX)
    if item is None or key not in ARROWS:
        return None
    dx, dy = ARROWS[key]
    if modifiers & Qt.KeyboardModifier.AltModifier:
        grip = Grip.BODY
    elif modifiers & Qt.KeyboardModifier.ShiftModifier:
        grip = Grip.RIGHT if dx else Grip.BOTTOM
    else:
        return None
    box = stepped_box(item.box(state.prompt), geometry, view, grip, dx, dy)
    text = "Adjust box" if item.kind is ItemKind.BOX else "Redraw slice"
    return item.adjusted(state.prompt, box, geometry), text


def _face(position: float) -> float:
    """The voxel face nearest to a continuous position."""
    return float(np.floor(position + 1.0) - 0.5)


def _drawn_side(start: float, end: float, count: int) -> tuple[float, float]:
    low = float(np.clip(_face(min(start, end)), -0.5, count - 1.5))
    high = float(np.clip(_face(max(start, end)), low + 1.0, count - 0.5))
    return low, high


def _kept_inside(sides: NDArray[np.float64], shift: float, count: int) -> float:
    """As much of ``shift`` as leaves both sides within ``count`` pixels or voxels."""
    return min(max(shift, min(-0.5 - float(sides.min()), 0.0)), max(count - 0.5 - float(sides.max()), 0.0))


def _settled(
    before: tuple[float, float], after: tuple[float, float], moves: tuple[bool, bool], count: int
) -> tuple[float, float]:
    """The sides along a voxel axis once those that a drag took from ``before`` to ``after`` lie on voxel faces."""
    low, high = before
    if all(moves):
        low += float(np.floor(after[0] - low + 0.5))
        return low, max(high + float(np.floor(after[1] - high + 0.5)), low + 1.0)
    if moves[0]:
        low = max(-0.5, min(_face(after[0]), high - 1.0))
    if moves[1]:
        high = min(count - 0.5, max(_face(after[1]), low + 1.0))
    return low, high


def _distance_to_segment(point: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    along = end - start
    length = float(along @ along)
    share = float(np.clip((point - start) @ along / length, 0.0, 1.0)) if length > 0 else 0.0
    return float(np.hypot(*(point - start - share * along)))
