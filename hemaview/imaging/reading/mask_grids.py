"""Carrying a mask between the grid of its scan and the grid of its file, without losing or inventing a voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ExportError
from hemaview.imaging.even_slices import EvenSlices
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.volume import LabelMap

_SAME_PLACE_MM = 0.05
_TOLD_APART = 0.75
"""Even slices at most this share of a gap apart have one that is nearest to either of its ends."""

_MOST_SLICES = 1000
_GOOD_VOLUME, _WORST_VOLUME = 0.005, 0.01


def on_even_slices(mask: LabelMap) -> tuple[LabelMap, str]:
    """A mask on uneven slices as one on thin even slices, each like the slice that holds it; and a sentence about it.

    The fewest slices are taken that keep the volume within 0.5 %. Raises ``ExportError`` where even 1000 slices
    would change it by more than 1 %. ``on_grid`` takes the mask back unchanged.
    """
    own = mask.geometry
    areas = np.count_nonzero(mask.array, axis=(1, 2))
    volume = float(areas @ own.slice_steps_mm)
    best: EvenSlices | None = None
    error = 0.0
    for count in range(_fewest(own), _MOST_SLICES + 1):
        tried = EvenSlices(own, count)
        shares = np.bincount(tried.source, minlength=own.size[2]) * tried.step_mm
        changed = float(areas @ shares) / volume - 1 if volume else 0.0
        if best is None or abs(changed) < abs(error):
            best, error = tried, changed
        if abs(error) <= _GOOD_VOLUME:
            break
    if best is None or abs(error) > _WORST_VOLUME:
        raise ExportError(
            "The mask was not saved because NIfTI cannot hold this scan's uneven slices without changing its volume; "
            "export the volumes and the surface instead."
        )
    measures = "as much" if abs(error) < 0.0005 else f"{error:+.1%}"
    note = (
        f"The scan's slices are unevenly spaced, which NIfTI cannot hold: the mask was saved on {best.count} even "
        f"slices {best.step_mm:.3g} mm apart, and measures {measures} in the file."
    )
    return LabelMap(mask.array[best.source], best.geometry), note


def on_grid(array: NDArray[np.bool_], own: Geometry, like: Geometry) -> NDArray[np.bool_] | None:
    """``array[k, j, i]`` of the grid ``own`` on the grid ``like``; None when it does not fit.

    Axes are swapped and flipped, never resampled. On uneven slices a file with thin even ones fits too: each
    slice is the one of the file at its place.
    """
    if own.matches(like, _SAME_PLACE_MM):
        return array
    turned = _along_axes(array, own, like)
    if turned is None:
        return None
    array, own = turned
    if own.matches(like, _SAME_PLACE_MM):
        return np.ascontiguousarray(array)
    return _at_uneven_slices(array, own, like) if like.is_uneven and not own.is_uneven else None


def _fewest(own: Geometry) -> int:
    """So many even slices tell apart the two own slices that are nearest to each other."""
    return int(np.ceil(float(own.slice_steps_mm.sum()) / (_TOLD_APART * _least_gap(own)) - 1e-6))


def _least_gap(own: Geometry) -> float:
    return float(np.diff(own.slice_places_mm).min())


def _along_axes(array: NDArray[np.bool_], own: Geometry, like: Geometry) -> tuple[NDArray[np.bool_], Geometry] | None:
    """An array whose axes run as those of ``like``, and its grid; None where the axes are not parallel."""
    # For each axis of the wanted grid, the own axis that runs along it.
    relation = np.linalg.inv(own.axes) @ like.axes
    turn = np.rint(relation)
    if np.max(np.abs(relation - turn)) > 0.01 or not np.array_equal(np.abs(turn).sum(axis=0), np.ones(3)):
        return None
    if not np.array_equal(np.abs(turn).sum(axis=1), np.ones(3)):
        return None
    source = [int(np.argmax(np.abs(turn[:, axis]))) for axis in range(3)]
    flipped = [turn[source[axis], axis] < 0 for axis in range(3)]
    size = tuple(own.size[s] for s in source)
    corner = [0, 0, 0]
    for axis in range(3):
        corner[source[axis]] = own.size[source[axis]] - 1 if flipped[axis] else 0
    affine = np.eye(4)
    affine[:3, :3] = own.affine[:3, :3][:, source] * np.where(flipped, -1.0, 1.0)
    affine[:3, 3] = own.index_to_lps(corner)
    by_ijk = array.transpose(2, 1, 0).transpose(source)
    by_ijk = by_ijk[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]
    return by_ijk.transpose(2, 1, 0), Geometry.from_affine(affine, (size[0], size[1], size[2]))


def _at_uneven_slices(array: NDArray[np.bool_], own: Geometry, like: Geometry) -> NDArray[np.bool_] | None:
    """The slices of ``array`` at the places of ``like``'s; None where they miss them or are too thick to tell them."""
    columns, rows, depth = like.size
    if own.size[:2] != (columns, rows) or own.spacing[2] > 1.01 * _TOLD_APART * _least_gap(like):
        return None
    slices = np.arange(depth)
    found = []
    for corner in ((0, 0), (columns - 1, 0), (0, rows - 1)):
        centres = np.column_stack([np.full(depth, corner[0]), np.full(depth, corner[1]), slices])
        index = own.lps_to_index(like.index_to_lps(centres))
        if np.max(np.abs(index[:, :2] - corner) * own.spacing[:2]) > _SAME_PLACE_MM:
            return None
        found.append(index[:, 2])
    nearest = np.rint(np.mean(found, axis=0)).astype(np.intp)
    if nearest.min() < 0 or nearest.max() >= own.size[2]:
        return None
    return np.ascontiguousarray(array[nearest])
