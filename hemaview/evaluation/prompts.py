"""The boxes a benchmark draws: the lesion's bounding box with every side moved a little, as a hand would."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import LabelMap
from hemaview.segmentation import BoxPrompt

Rectangle = tuple[float, float, float, float]


def jittered_box(reference: LabelMap, jitter: float, rng: np.random.Generator) -> BoxPrompt:
    """The bounding box of a mask, each of its six faces moved by up to ``jitter`` times the box's side.

    Raises ``PromptError`` when the mask is empty.
    """
    lower, upper = BoxPrompt.around(reference).index_bounds(reference.geometry)
    lower, upper = _moved(lower, upper, jitter, rng)
    return BoxPrompt.from_index_bounds(reference.geometry, lower, upper)


def jittered_rectangle(picture: NDArray[np.bool_], jitter: float, rng: np.random.Generator) -> Rectangle:
    """The bounding rectangle (i0, j0, i1, j1, faces in voxel units) of a ``[j, i]`` mask, its sides moved likewise."""
    rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
    lower = np.array([columns[0] - 0.5, rows[0] - 0.5])
    upper = np.array([columns[-1] + 0.5, rows[-1] + 0.5])
    lower, upper = _moved(lower, upper, jitter, rng)
    return float(lower[0]), float(lower[1]), float(upper[0]), float(upper[1])


def one_slice_prompt(reference: LabelMap, jitter: float, rng: np.random.Generator) -> tuple[BoxPrompt, int]:
    """A rectangle on the slice with the largest area, its depth left open; and that slice."""
    k = int(np.argmax(reference.array.sum(axis=(1, 2))))
    i0, j0, i1, j1 = jittered_rectangle(reference.array[k], jitter, rng)
    return BoxPrompt.from_rectangle(reference.geometry, 2, k, (i0, j0, k), (i1, j1, k)), k


def _moved(
    lower: NDArray[np.float64], upper: NDArray[np.float64], jitter: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    side = upper - lower
    return (
        lower + rng.uniform(-jitter, jitter, len(side)) * side,
        upper + rng.uniform(-jitter, jitter, len(side)) * side,
    )
