"""What the next gesture of the box and the point tool will do, and which box or point it was last about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from PySide6.QtCore import QObject, Signal

from hemaview.case import prompting
from hemaview.imaging import Geometry
from hemaview.segmentation.contract import BoxPrompt, Prompt


class BoxAim(StrEnum):
    """What a rectangle becomes that is drawn on an empty place."""

    NEW = "new"
    ADD = "add"
    SLICE = "slice"


class ItemKind(StrEnum):
    """What a person can take hold of in a prompt."""

    BOX = "box"
    SLICE_BOX = "slice box"
    POINT = "point"


@dataclass(frozen=True)
class PromptItem:
    """One box, redrawn rectangle or point: ``number`` is its place in the prompt's tuple of that kind."""

    kind: ItemKind
    number: int

    def box(self, prompt: Prompt) -> BoxPrompt:
        """The box or rectangle it stands for."""
        return (prompt.boxes if self.kind is ItemKind.BOX else prompt.slice_boxes)[self.number]

    def exists_in(self, prompt: Prompt) -> bool:
        """Whether the prompt still has so many."""
        return self.number < len(_items(prompt, self.kind))

    def adjusted(self, prompt: Prompt, box: BoxPrompt, geometry: Geometry) -> Prompt:
        """The prompt with other sides for this box or rectangle."""
        if self.kind is ItemKind.BOX:
            return prompting.box_adjusted(prompt, self.number, box)
        return prompting.slice_redrawn(prompt, box, geometry)

    def removed(self, prompt: Prompt) -> tuple[Prompt, str]:
        """The prompt without this item, and what that step is called."""
        if self.kind is ItemKind.BOX:
            return prompting.box_removed(prompt, self.number), "Remove box"
        if self.kind is ItemKind.SLICE_BOX:
            return prompting.slice_box_removed(prompt, self.number), "Remove slice rectangle"
        return prompting.point_removed(prompt, self.number), "Remove point"


def last_item(prompt: Prompt, kind: ItemKind) -> PromptItem | None:
    """The newest item of a kind, if there is one."""
    count = len(_items(prompt, kind))
    return PromptItem(kind, count - 1) if count else None


@dataclass(frozen=True)
class AimState:
    """``box`` tells what a drawn rectangle becomes, ``positive`` which sign a point gets."""

    box: BoxAim = BoxAim.NEW
    positive: bool = True
    hovered: PromptItem | None = None
    selected: PromptItem | None = None


class Aim(QObject):
    """The observable ``AimState``, shared by the viewers and the actions; ``changed`` is emitted after each change."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = AimState()

    @property
    def box(self) -> BoxAim:
        """What a rectangle becomes that is drawn on an empty place."""
        return self.state.box

    @property
    def positive(self) -> bool:
        """Whether the next point says that the lesion is there."""
        return self.state.positive

    @property
    def hovered(self) -> PromptItem | None:
        """What the mouse is over, in whichever viewer."""
        return self.state.hovered

    @property
    def selected(self) -> PromptItem | None:
        """What was last placed or dragged."""
        return self.state.selected

    def set_box(self, aim: BoxAim) -> None:
        """Choose what the next rectangle becomes."""
        self._set(replace(self.state, box=aim))

    def set_positive(self, positive: bool) -> None:
        """Choose the sign of the next point."""
        self._set(replace(self.state, positive=positive))

    def set_hovered(self, item: PromptItem | None) -> None:
        """Tell what the mouse is over."""
        self._set(replace(self.state, hovered=item))

    def select(self, item: PromptItem | None) -> None:
        """Tell what was last placed or dragged."""
        self._set(replace(self.state, selected=item))

    def reset(self) -> None:
        """Back to the start, for another scan."""
        self._set(AimState())

    def _set(self, state: AimState) -> None:
        if state != self.state:
            self.state = state
            self.changed.emit()


def _items(prompt: Prompt, kind: ItemKind) -> tuple[object, ...]:
    if kind is ItemKind.BOX:
        return prompt.boxes
    return prompt.slice_boxes if kind is ItemKind.SLICE_BOX else prompt.points
