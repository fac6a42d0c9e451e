"""What a person can do to a scan's prompt, each as a pure function from the old prompt to the new one.

A prompt in a case never holds ``fixed`` slices: those are the hand's part of the mask and are added when an engine is
asked (``Case.question``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from hemaview.errors import PromptError
from hemaview.imaging import Geometry
from hemaview.segmentation import BoxPrompt, PointPrompt, Prompt

Item = TypeVar("Item")


def check_prompt(prompt: Prompt, geometry: Geometry) -> None:
    """Raise ``PromptError`` for a box outside the scan or without area, or for a point outside the scan."""
    for box in (*prompt.boxes, *prompt.slice_boxes):
        box.clipped_bounds(geometry)
    for point in prompt.points:
        index = geometry.lps_to_index(point.position)
        if np.any(index < -0.5) or np.any(index > np.array(geometry.size) - 0.5):
            raise PromptError("The point lies outside the scan; place it inside.")


def asks_for_something(prompt: Prompt) -> bool:
    """Whether an engine has something to go by: a box, or a point inside the lesion."""
    return bool(prompt.boxes) or any(point.positive for point in prompt.points)


def box_drawn(prompt: Prompt, box: BoxPrompt, geometry: Geometry) -> Prompt:
    """A new box takes the place of all boxes and redrawn rectangles; points inside it stay."""
    lower, upper = box.index_bounds(geometry)
    if box.open_axis is not None:
        lower[box.open_axis], upper[box.open_axis] = -np.inf, np.inf
    inside = tuple(
        point
        for point in prompt.points
        if np.all((index := geometry.lps_to_index(point.position)) >= lower) and np.all(index <= upper)
    )
    return Prompt(boxes=(box,), points=inside)


def box_added(prompt: Prompt, box: BoxPrompt) -> Prompt:
    """One more box, for a piece of the lesion that lies apart."""
    return replace(prompt, boxes=(*prompt.boxes, box))


def box_adjusted(prompt: Prompt, number: int, box: BoxPrompt) -> Prompt:
    """Box ``number`` with other sides."""
    return replace(prompt, boxes=_with(prompt.boxes, number, box))


def box_removed(prompt: Prompt, number: int) -> Prompt:
    """Without box ``number``; rectangles redrawn on single slices go with the last box."""
    boxes = _without(prompt.boxes, number)
    return replace(prompt, boxes=boxes, slice_boxes=prompt.slice_boxes if boxes else ())


def slice_redrawn(prompt: Prompt, box: BoxPrompt, geometry: Geometry) -> Prompt:
    """The rectangle of one slice redrawn; an earlier one on the same slice is replaced. Kept in slice order."""
    kept = {slice_of(other, geometry): other for other in prompt.slice_boxes}
    kept[slice_of(box, geometry)] = box
    return replace(prompt, slice_boxes=tuple(kept[k] for k in sorted(kept)))


def slice_box_removed(prompt: Prompt, number: int) -> Prompt:
    """Without redrawn rectangle ``number``."""
    return replace(prompt, slice_boxes=_without(prompt.slice_boxes, number))


def slice_of(box: BoxPrompt, geometry: Geometry) -> int:
    """The slice k in the middle of a box one slice thick."""
    lower, upper = box.index_bounds(geometry)
    return round(float(lower[2] + upper[2]) / 2)


def slice_rectangle(geometry: Geometry, k: int, lower: ArrayLike, upper: ArrayLike) -> BoxPrompt:
    """The box one slice thick round faces ``lower`` to ``upper`` (i, j) of slice ``k``."""
    (i0, j0), (i1, j1) = np.asarray(lower, dtype=float)[:2], np.asarray(upper, dtype=float)[:2]
    return BoxPrompt.from_index_bounds(geometry, (i0, j0, k - 0.5), (i1, j1, k + 0.5))


def point_added(prompt: Prompt, point: PointPrompt) -> Prompt:
    """One more point."""
    return replace(prompt, points=(*prompt.points, point))


def point_moved(prompt: Prompt, number: int, position: tuple[float, float, float]) -> Prompt:
    """Point ``number`` at another place in LPS mm."""
    return replace(prompt, points=_with(prompt.points, number, replace(prompt.points[number], position=position)))


def point_toggled(prompt: Prompt, number: int) -> Prompt:
    """Point ``number`` with the other sign."""
    point = prompt.points[number]
    return replace(prompt, points=_with(prompt.points, number, replace(point, positive=not point.positive)))


def point_removed(prompt: Prompt, number: int) -> Prompt:
    """Without point ``number``."""
    return replace(prompt, points=_without(prompt.points, number))


def answered(asked: Prompt, used: Prompt) -> Prompt:
    """The prompt after an engine's answer: its boxes are closed now, and points alone stay points alone.

    The box that an engine looked in when it was given none is its guess and not the person's word.
    """
    return replace(used, boxes=() if asked.points and not asked.boxes else used.boxes, fixed=())


def _with(items: tuple[Item, ...], number: int, item: Item) -> tuple[Item, ...]:
    return (*items[:number], item, *items[number + 1 :])


def _without(items: tuple[Item, ...], number: int) -> tuple[Item, ...]:
    return (*items[:number], *items[number + 1 :])
