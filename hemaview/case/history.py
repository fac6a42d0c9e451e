"""Undo and redo as deltas: what a step changed, never a copy of the mask."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from hemaview.case.patches import MaskPatch
from hemaview.case.records import SegmentationRecord
from hemaview.segmentation import Prompt

MAXIMUM_STEPS = 200
"""Steps that can be undone. A journal replays with the limits it was written with, so they belong to its format."""
MAXIMUM_BYTES = 64 * 2**20
"""Memory of all undo steps together; beyond it the oldest are forgotten."""

_STEP_OVERHEAD = 1024


@dataclass(frozen=True)
class Marks:
    """Everything of a scan's work that is small: the prompt, what made the mask, and whether a hand changed it.

    ``edited_slices`` are the slices k, in order, that a hand drew and that the engine is to leave as they are.
    ``checked`` says that a person looked at the mask as it is and found it right. ``carried_from`` is the id of the
    scan that the mask was carried over from; an edit by hand leaves it, an engine's answer on this scan takes it away.
    ``carried_aligned`` tells that it was carried through an alignment.
    """

    prompt: Prompt = field(default_factory=Prompt)
    segmentation: SegmentationRecord | None = None
    edited: bool = False
    edited_slices: tuple[int, ...] = ()
    checked: bool = False
    has_mask: bool = False
    carried_from: str | None = None
    carried_aligned: bool = False


@dataclass(frozen=True)
class Step:
    """One thing the user did to one scan: the marks before and after it and the voxels that flipped."""

    scan_id: str
    text: str
    before: Marks
    after: Marks
    patch: MaskPatch | None

    @property
    def cost(self) -> int:
        """Bytes this step keeps in memory."""
        patch = len(self.patch.data) if self.patch else 0
        made = self.after.segmentation
        kept = len(made.packed) if made is not None and made is not self.before.segmentation else 0
        return _STEP_OVERHEAD + patch + kept


class History:
    """Two stacks of steps; a new step forgets what was undone."""

    def __init__(self) -> None:
        self._done: deque[Step] = deque()
        self._undone: list[Step] = []
        self._bytes = 0

    @property
    def last(self) -> Step | None:
        """The step that ``undo`` would take back."""
        return self._done[-1] if self._done else None

    @property
    def next(self) -> Step | None:
        """The step that ``redo`` would do again."""
        return self._undone[-1] if self._undone else None

    @property
    def memory(self) -> int:
        """Bytes kept for undo and redo."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._done)

    def push(self, step: Step) -> None:
        """Record a new step and forget what was undone."""
        self._bytes -= sum(undone.cost for undone in self._undone)
        self._undone.clear()
        self._done.append(step)
        self._bytes += step.cost
        while len(self._done) > MAXIMUM_STEPS or (self._bytes > MAXIMUM_BYTES and len(self._done) > 1):
            self._bytes -= self._done.popleft().cost

    def join(self, step: Step) -> None:
        """Make ``step`` part of the last one, which changed no voxel: both are undone together."""
        last = self._done.pop()
        self._bytes -= last.cost
        self.push(replace(step, text=last.text, before=last.before))

    def undo(self) -> Step:
        """Take the last step off; the caller puts its ``before`` back. ``IndexError`` when there is none."""
        step = self._done.pop()
        self._undone.append(step)
        return step

    def redo(self) -> Step:
        """Take the last undone step back on; the caller applies its ``after``. ``IndexError`` when there is none."""
        step = self._undone.pop()
        self._done.append(step)
        return step
