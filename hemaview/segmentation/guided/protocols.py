"""What a model has to answer to draw the slices of a guided run.

A slice model knows one question only: what is in this rectangle of this slice? Several boxes, redrawn slices, points
and the search for the depth are the run's affair, so that they exist once for all models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import Volume
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer

Rectangle = tuple[float, float, float, float]
"""Faces on a slice in voxel units: i0, j0, i1, j1; voxel n covers n - 0.5 to n + 0.5."""
Window2D = tuple[slice, slice]
"""Rows and columns of a slice."""
Check = Callable[[], None]
"""Raises ``Cancelled`` once the work was cancelled; to be called at least every 100 ms."""


@dataclass(frozen=True)
class SliceQuestion:
    """What is in the ``rectangle`` of slice ``k``?

    ``points`` are (i, j, positive) in voxel units with voxel centres at integers: places that belong to the lesion
    or do not. Points lie in the scan but may lie outside the rectangle.
    """

    k: int
    rectangle: Rectangle
    points: tuple[tuple[float, float, bool], ...] = ()


@dataclass(frozen=True, eq=False)
class SliceAnswer:
    """Probability float32 ``[j, i]`` of the window asked for, and the model's estimate of the mask's IoU, 0 to 1.

    The answer may leave its rectangle a little (the run allows 15 % of a side and one voxel), no more.
    """

    k: int
    probability: NDArray[np.float32]
    confidence: float


class SliceSession(Protocol):
    """A slice model opened on one scan; it is kept while the same ``Volume`` object comes back."""

    @property
    def batch(self) -> int:
        """How many questions in one call pay off; slices stream in runs of about so many."""
        ...

    def answer(
        self, questions: Sequence[SliceQuestion], window: Window2D, hint: CoarseAnswer | None, check: Check
    ) -> list[SliceAnswer]:
        """One answer per question, in their order, each on ``window`` (rows, columns) of its slice.

        ``hint`` is what the coarse network saw: its logits can serve as a mask prompt. It may be ignored.
        """
        ...

    def prefetch(self, slices: Sequence[int]) -> None:
        """These slices will be asked about next, in this order; may do nothing."""
        ...

    def take_notes(self) -> tuple[str, ...]:
        """Sentences about what went otherwise than asked since the last call; they go with the answer."""
        ...


class SliceModel(Protocol):
    """A model that draws the edge in single slices."""

    def open(self, volume: Volume) -> SliceSession:
        """Get ready for a scan; cheap, the work is done when slices are asked for."""
        ...
