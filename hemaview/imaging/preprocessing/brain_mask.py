"""Where the brain is, on any kind of head scan, without atlas and without learned weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.errors import ScanError
from hemaview.imaging.modality import Modality
from hemaview.imaging.preprocessing.brain_surface import brain_surface
from hemaview.imaging.preprocessing.grids import Joined, Progress, even_grid, part_of, sample
from hemaview.imaging.preprocessing.skull import GREY_LEVELS, HOUNSFIELD, brain_in_skull
from hemaview.imaging.preprocessing.surface_fill import inside_surface
from hemaview.imaging.skull_stripping import removed_value
from hemaview.imaging.volume import Volume

_STEP_MM = 1.5
_HEIGHT_MM = 160.0
_HEADROOM_MM = 5.0
_LEAST_SLICE_CM2 = 15.0
_THRESHOLDS = (0.5, 0.6, 0.7, 0.8)
_USUAL_ML = (900.0, 2050.0)
_THICK_MM = 3.0
_WHITE, _WHITE_SHARE = 250, 0.01

BRAIN_UNUSUAL = "The brain mask holds {ml:.0f} mL, which is unusual for a head; look at its outline before using it."
NO_BRAIN = "No brain was found in this scan; use it as it is."
FOR_THICK_SLICES = (
    "On slices this thick the outline at the crown and the skull base is uncertain; blood there may be cut away."
)


class BrainMethod(StrEnum):
    """How the brain is found: without learned weights, or by deepbet's networks where the user installed them."""

    SHAPE = "shape"
    DEEPBET = "deepbet"


@dataclass(frozen=True, eq=False)
class BrainMask:
    """Voxels ``[k, j, i]`` of the brain, how they were found, and sentences about what to mistrust."""

    array: NDArray[np.bool_]
    method: str
    notes: tuple[str, ...] = ()


BrainFinder = Callable[[Volume, Progress | None], BrainMask]


def brain_mask(volume: Volume, progress: Progress | None = None) -> BrainMask:
    """Find the brain by shape: what bone encloses on a CT, what a dark ring surrounds on an MR scan.

    A scan whose skull was removed before keeps what it has. ``ScanError`` where nothing like a brain is found.
    """
    if removed_value(volume) is not None:
        return BrainMask(_remaining(volume), "the skull had been removed before")
    if volume.is_hounsfield or _is_picture_of_ct(volume):
        array = brain_in_skull(volume, HOUNSFIELD if volume.is_hounsfield else GREY_LEVELS, progress)
        method = "soft tissue enclosed by bone"
        notes: tuple[str, ...] = ()
    else:
        array = _within_dark_ring(volume, progress)
        method = "surface that meets the dark ring round the brain"
        notes = (FOR_THICK_SLICES,) if volume.geometry.slice_spacing_mm > _THICK_MM else ()
    return BrainMask(array, method, (*notes, *doubts(volume, array)))


def doubts(volume: Volume, array: NDArray[np.bool_]) -> tuple[str, ...]:
    """A sentence where a mask is not as large as a brain; ``ScanError`` where it is empty."""
    if not array.any():
        raise ScanError(NO_BRAIN)
    size = volume.geometry.volume_ml(array)
    return () if _USUAL_ML[0] <= size <= _USUAL_ML[1] else (BRAIN_UNUSUAL.format(ml=size),)


def _remaining(volume: Volume) -> NDArray[np.bool_]:
    kept = volume.array != removed_value(volume)
    bodies, _ = ndimage.label(kept)
    body = bodies == np.argmax(np.bincount(bodies.ravel())[1:]) + 1
    return np.stack([ndimage.binary_fill_holes(page) for page in body])


def _is_picture_of_ct(volume: Volume) -> bool:
    """Whether the values are 8-bit greys with much white, as bone is in a brain window."""
    if volume.modality is Modality.MR:
        return False
    sampled = volume.array[::2, ::4, ::4]
    white = np.count_nonzero(sampled >= _WHITE)
    return bool(sampled.min() >= 0 and sampled.max() <= 255 and white >= _WHITE_SHARE * sampled.size)


def _within_dark_ring(volume: Volume, progress: Progress | None) -> NDArray[np.bool_]:
    """The brain's surface at the lowest threshold at which it holds no more than a brain does.

    Thin dark lines between brain and scalp are lost on thick slices; the surface then runs through, and a higher
    threshold holds it back.
    """
    joined = Joined.to(volume.array, volume.geometry, _STEP_MM)
    cube = even_grid(joined.geometry, (_STEP_MM,) * 3)
    head = sample(
        joined.array, joined.geometry, cube, fill=float(joined.array.min()), progress=part_of(progress, 0, 0.1)
    )
    top, first = _upper_head(head, cube.axes[2])
    found = np.zeros(volume.array.shape, dtype=np.bool_)
    for number, threshold in enumerate(_THRESHOLDS):
        share = 0.9 / len(_THRESHOLDS)
        part = part_of(progress, 0.1 + number * share, 0.1 + (number + 1) * share)
        vertices, faces = brain_surface(top, _STEP_MM, threshold=threshold, progress=part)
        places = volume.geometry.lps_to_index(cube.index_to_lps(vertices + first))
        found = inside_surface(places, faces, volume.array.shape)
        if volume.geometry.volume_ml(found) <= _USUAL_ML[1]:
            break
    part_of(progress, 0, 1)(1.0)
    return found


def _upper_head(head: NDArray[np.float32], up: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The upper 16 cm of a head ``[z, y, x]``, and its first voxel (x, y, z); neck and face mislead what comes next.

    ``up`` is the patient's upward direction along x, y, z of the grid.
    """
    along = int(np.argmax(np.abs(up)))
    axis, upwards = 2 - along, up[along] > 0
    low, high = np.percentile(head, (2, 98))
    others = tuple(a for a in range(3) if a != axis)
    area = np.count_nonzero(head > low + 0.1 * (high - low), axis=others) * (_STEP_MM / 10) ** 2
    pages = np.flatnonzero(area > _LEAST_SLICE_CM2)
    if not len(pages):
        raise ScanError(NO_BRAIN)
    height, room = round(_HEIGHT_MM / _STEP_MM), round(_HEADROOM_MM / _STEP_MM)
    crown = int(pages[-1] if upwards else pages[0])
    start, stop = (crown - height, crown + room + 1) if upwards else (crown - room, crown + height + 1)
    start, stop = max(0, start), min(head.shape[axis], stop)
    first = np.zeros(3)
    first[along] = start
    return np.take(head, np.arange(start, stop), axis), first
