"""Telling a scan whose skull was removed from a whole head."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hemaview.imaging.volume import LabelMap, Volume

_SAMPLE_MM = 3.0
_BRAIN_ML = (700.0, 2100.0)
_LEAST_HEIGHT_MM = 100.0
_LEAST_BACKGROUND = 0.3


def removed_value(volume: Volume) -> float | None:
    """The value that stands for everything outside the brain in a scan without skull, or None for a whole head.

    Without skull, one constant value fills the surroundings and what is left is as large as a brain: 0.7 to 2.1 L, at
    least 100 mm high, where a head with face and scalp has 3 L and more. A scan that covers a part of the head, or
    whose background is noise, counts as a whole head. Looks at about every 3 mm.
    """
    geometry = volume.geometry
    if (geometry.size[2] - 1) * geometry.spacing[2] < _LEAST_HEIGHT_MM:
        return None
    steps = [max(1, round(_SAMPLE_MM / s)) for s in reversed(geometry.spacing)]
    sample = volume.array[:: steps[0], :: steps[1], :: steps[2]]
    background = sample[0, 0, 0]
    outside = sample == background
    if np.count_nonzero(outside) < _LEAST_BACKGROUND * sample.size:
        return None
    bodies, count = ndimage.label(~outside)
    if count == 0:
        return None
    brain = ndimage.binary_fill_holes(bodies == 1 + int(np.argmax(np.bincount(bodies.ravel())[1:])))
    size_ml = float(np.count_nonzero(brain)) * float(np.prod(steps)) * geometry.voxel_volume_ml
    return float(background) if _BRAIN_ML[0] <= size_ml <= _BRAIN_ML[1] else None


def touches_removed(mask: LabelMap, volume: Volume) -> bool:
    """Whether the mask lies beside voxels that were removed with the skull, so that part of a lesion may be missing."""
    bounds = mask.bounds()
    background = None if bounds is None else removed_value(volume)
    if bounds is None or background is None:
        return False
    around = tuple(
        slice(max(0, part.start - 1), min(size, part.stop + 1))
        for part, size in zip(bounds, mask.array.shape, strict=True)
    )
    grown = ndimage.binary_dilation(mask.array[around])
    return bool(np.any(grown & (volume.array[around] == background)))
