"""Which slices need a second look: the engine's own doubt and the hand's work, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from hemaview.case import SegmentationRecord

SURE = 0.85
"""From this estimated overlap (IoU) on a slice counts as sure.

On 80 held-out phantoms (``python -m hemaview.adaptation.check_confidence``, synthetic) 1 % of the compact model's
slices above it have a Dice under 0.7, 7 % of those between both limits, and 44 % of those below the lower one.
"""

UNSURE = 0.70
"""Below this estimated overlap a slice should be looked at first."""


class SliceState(StrEnum):
    """What is known of one slice; ``NONE`` where the lesion is not."""

    NONE = "none"
    SURE = "sure"
    FAIR = "fair"
    UNSURE = "unsure"
    HAND = "hand"


STATE_TEXTS = {
    SliceState.SURE: "the model is sure of this slice",
    SliceState.FAIR: "the model is fairly sure of this slice; have a look",
    SliceState.UNSURE: "the model is unsure of this slice; please check it",
    SliceState.HAND: "drawn by hand; kept when the mask is made again",
}


@dataclass(frozen=True)
class SliceReview:
    """``states[k]`` for every slice of the scan."""

    states: tuple[SliceState, ...]

    @classmethod
    def of(cls, count: int, made: SegmentationRecord | None, edited_slices: tuple[int, ...]) -> SliceReview:
        """The review of a mask on a scan of ``count`` slices."""
        states = [SliceState.NONE] * count
        if made is not None:
            for k, confidence in enumerate(made.slice_confidence, start=made.region[0].start):
                if np.isfinite(confidence):
                    states[k] = state_of(float(confidence))
        for k in edited_slices:
            states[k] = SliceState.HAND
        return cls(tuple(states))

    @property
    def to_review(self) -> tuple[int, ...]:
        """The slices that the model is unsure or only fairly sure of; unsure ones alone when there are any."""
        unsure = tuple(k for k, state in enumerate(self.states) if state is SliceState.UNSURE)
        return unsure or tuple(k for k, state in enumerate(self.states) if state is SliceState.FAIR)

    def count(self, state: SliceState) -> int:
        """How many slices are in a state."""
        return self.states.count(state)

    def next_to_review(self, k: int, step: int = 1) -> int | None:
        """The next slice to look at after slice ``k``, round again at the end; None when there is none."""
        slices = self.to_review if step > 0 else self.to_review[::-1]
        ahead = [other for other in slices if (other - k) * step > 0]
        return ahead[0] if ahead else slices[0] if slices else None

    def text(self, k: int) -> str:
        """What is known of slice ``k``, in words; empty where the lesion is not."""
        return STATE_TEXTS.get(self.states[k], "") if 0 <= k < len(self.states) else ""


def state_of(confidence: float) -> SliceState:
    """The state of a slice whose estimated overlap is ``confidence``, 0 to 1."""
    if confidence >= SURE:
        return SliceState.SURE
    return SliceState.FAIR if confidence >= UNSURE else SliceState.UNSURE
