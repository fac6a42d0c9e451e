"""The brain on a CT: the soft tissue that bone encloses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.imaging.preprocessing.grids import Joined, Progress, part_of
from hemaview.imaging.volume import Volume

_STEP_MM = 1.0
_OPENING_MM = 3.5
_CLOSING_MM = 8.0
_ENCLOSING_SIDES = 6


@dataclass(frozen=True)
class Densities:
    """Values between which brain, fluid and blood lie, up to which a voxel may belong to them in part, and bone's."""

    lowest: float
    highest: float
    partly: float
    bone: float
    air: float


HOUNSFIELD = Densities(lowest=-15.0, highest=110.0, partly=170.0, bone=200.0, air=-100.0)

GREY_LEVELS = Densities(lowest=40.0, highest=245.0, partly=252.0, bone=250.0, air=8.0)
"""Of an 8-bit picture of a CT in a brain window: bone is white, air black."""


def brain_in_skull(volume: Volume, densities: Densities, progress: Progress | None = None) -> NDArray[np.bool_]:
    """Voxels ``[k, j, i]`` of the brain, with fluid and bleeding, on a CT whose slices are more or less axial.

    Soft tissue counts where bone lies in at least six of eight directions of its slice, so that neither muscle below
    the skull's opening nor scalp does, and a skull with a piece taken out still holds its brain. Openings up to 7 mm
    are cut, the largest body stays, and what is thinner comes back by closing 8 mm and filling holes. Distances are
    true in plane; across uneven slices the mean step counts. All False where no bone encloses anything.
    """
    joined = Joined.to(volume.array, volume.geometry, _STEP_MM)
    values, spacing = joined.array, joined.geometry.spacing[::-1]
    enclosed = _sides_with_bone(values > densities.bone) >= _ENCLOSING_SIDES
    part_of(progress, 0, 0.3)(1.0)
    tissue = (values > densities.lowest) & (values < densities.highest) & enclosed
    body = _largest_core(tissue, spacing)
    part_of(progress, 0, 0.6)(1.0)
    if not body.any():
        return np.zeros(volume.array.shape, dtype=np.bool_)
    soft = (values < densities.partly) & (values > densities.air)
    reach = ndimage.distance_transform_edt(~body, sampling=spacing) <= _OPENING_MM + spacing[2]
    grown = reach & soft
    pages = [_closed(page, spacing[1:]) & soft[k] | page for k, page in enumerate(grown)]
    brain = np.stack([ndimage.binary_fill_holes(page) for page in pages])
    part_of(progress, 0, 1)(1.0)
    return joined.spread(brain)


def _largest_core(tissue: NDArray[np.bool_], spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The largest body of what lies deeper than the opening's radius."""
    # The scan's first and last slice cut the brain; its tissue goes on beyond them.
    deep = ndimage.distance_transform_edt(np.pad(tissue, ((1, 1), (0, 0), (0, 0)), mode="edge"), sampling=spacing)
    bodies, count = ndimage.label(deep[1:-1] > _OPENING_MM)
    if count == 0:
        return np.zeros_like(tissue)
    return np.asarray(bodies == np.argmax(np.bincount(bodies.ravel())[1:]) + 1)


def _closed(page: NDArray[np.bool_], spacing: tuple[float, float]) -> NDArray[np.bool_]:
    """A slice with gaps and notches up to twice the closing radius filled."""
    if not page.any():
        return page
    margin = int(np.ceil(_CLOSING_MM / min(spacing))) + 1
    wide = np.pad(page, margin)
    grown = ndimage.distance_transform_edt(~wide, sampling=spacing) <= _CLOSING_MM
    shrunk = ndimage.distance_transform_edt(grown, sampling=spacing) > _CLOSING_MM
    return np.asarray(shrunk[margin:-margin, margin:-margin])


def _sides_with_bone(bone: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """In how many of the eight directions of its slice a voxel has bone."""
    sides = np.zeros(bone.shape, dtype=np.uint8)
    for seen, counted in _mirrored(bone, sides):
        counted += np.logical_or.accumulate(seen, axis=2)
        for slant in (-1, 0, 1):
            _count_down(seen, counted, slant)
    return sides


def _mirrored(bone: NDArray[np.bool_], sides: NDArray[np.uint8]) -> Iterator[tuple[NDArray, NDArray]]:
    """Views of both as they are and turned by half a turn, so that four directions become eight."""
    yield bone, sides
    yield bone[:, ::-1, ::-1], sides[:, ::-1, ::-1]


def _count_down(bone: NDArray[np.bool_], sides: NDArray[np.uint8], slant: int) -> None:
    """Count the rays that run down the rows, ``slant`` columns to the right on every row."""
    met = np.zeros((bone.shape[0], bone.shape[2]), dtype=np.bool_)
    for row in range(bone.shape[1]):
        if slant:
            moved = np.zeros_like(met)
            target, source = (slice(1, None), slice(None, -1)) if slant > 0 else (slice(None, -1), slice(1, None))
            moved[:, target] = met[:, source]
            met = moved
        met = met | bone[:, row]
        sides[:, row] += met
