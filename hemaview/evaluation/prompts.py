"""What a person would draw, made from a reference: boxes with every side moved a little, slices, clicks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.imaging import LabelMap
from hemaview.segmentation import BoxPrompt, FixedSlice, PointPrompt

Rectangle = tuple[float, float, float, float]

_EVERYWHERE = np.ones((3, 3, 3), dtype=np.bool_)


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
    k = largest_slice(reference)
    i0, j0, i1, j1 = jittered_rectangle(reference.array[k], jitter, rng)
    return BoxPrompt.from_rectangle(reference.geometry, 2, k, (i0, j0, k), (i1, j1, k)), k


def largest_slice(reference: LabelMap) -> int:
    """The slice with the largest area."""
    return int(np.argmax(reference.array.sum(axis=(1, 2))))


def slice_boxes(reference: LabelMap, count: int, jitter: float, rng: np.random.Generator) -> tuple[BoxPrompt, ...]:
    """Rectangles on ``count`` slices of a mask, evenly from its first to its last, their sides moved."""
    slices = np.flatnonzero(reference.array.any(axis=(1, 2)))
    chosen = sorted({int(slices[round(n)]) for n in np.linspace(0, len(slices) - 1, count)})
    boxes = []
    for k in chosen:
        i0, j0, i1, j1 = jittered_rectangle(reference.array[k], jitter, rng)
        boxes.append(BoxPrompt.from_index_bounds(reference.geometry, (i0, j0, k - 0.5), (i1, j1, k + 0.5)))
    return tuple(boxes)


def protocol_rectangle(picture: NDArray[np.bool_], rng: np.random.Generator) -> Rectangle:
    """The tight rectangle of a ``[j, i]`` mask, each side moved by up to 3 px of a picture scaled to 256 px."""
    i0, j0, i1, j1 = jittered_rectangle(picture, 0.0, rng)
    pixel = max(picture.shape) / 256
    a, b, c, d = rng.uniform(-3 * pixel, 3 * pixel, 4)
    return i0 + a, j0 + b, max(i1 + c, i0 + a + 1), max(j1 + d, j0 + b + 1)


def corrected_slice(found: LabelMap, reference: LabelMap) -> FixedSlice:
    """The slice on which an answer is wrong in most voxels, as a hand would draw it."""
    k = int(np.argmax((found.array != reference.array).sum(axis=(1, 2))))
    return FixedSlice(k, reference.array[k].copy())


def corrective_click(found: LabelMap, reference: LabelMap) -> PointPrompt | None:
    """A click in the middle of an answer's largest error, positive where lesion is missing; None without an error."""
    best: tuple[int, NDArray[np.bool_], bool] | None = None
    for wrong, positive in ((reference.array & ~found.array, True), (found.array & ~reference.array, False)):
        labels, count = ndimage.label(wrong, structure=_EVERYWHERE)
        if count:
            sizes = np.bincount(labels.ravel())[1:]
            largest = int(np.argmax(sizes))
            if best is None or sizes[largest] > best[0]:
                best = int(sizes[largest]), labels == largest + 1, positive
    if best is None:
        return None
    return PointPrompt(_middle(best[1], reference), best[2])


def first_click(reference: LabelMap) -> PointPrompt:
    """A click in the middle of the lesion's largest slice."""
    k = largest_slice(reference)
    only = np.zeros_like(reference.array)
    only[k] = reference.array[k]
    return PointPrompt(_middle(only, reference))


def _middle(mask: NDArray[np.bool_], reference: LabelMap) -> tuple[float, float, float]:
    """LPS position of the voxel that lies deepest in a mask."""
    window = ndimage.find_objects(mask.astype(np.uint8))[0]
    inner = np.pad(mask[window], 1)
    depth = ndimage.distance_transform_edt(inner, sampling=reference.geometry.spacing[::-1])
    place = np.unravel_index(int(np.argmax(depth)), depth.shape)
    k, j, i = (int(n) - 1 + part.start for n, part in zip(place, window, strict=True))
    x, y, z = (float(v) for v in reference.geometry.index_to_lps((i, j, k)))
    return x, y, z


def _moved(
    lower: NDArray[np.float64], upper: NDArray[np.float64], jitter: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    side = upper - lower
    return (
        lower + rng.uniform(-jitter, jitter, len(side)) * side,
        upper + rng.uniform(-jitter, jitter, len(side)) * side,
    )
