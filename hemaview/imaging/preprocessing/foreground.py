"""The head against the air round it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.imaging.preprocessing.grids import Joined
from hemaview.imaging.volume import Volume

_AIR_BELOW_HU = -400.0
_STEP_MM = 3.0
_CONSTANT_SHARE = 0.02
_RISE = 0.1


def foreground(volume: Volume) -> NDArray[np.bool_]:
    """Voxels ``[k, j, i]`` of the largest body that is not background, its holes filled slice by slice.

    Background is air in a CT; the lowest value where many voxels have exactly that one (scans set to a constant round
    the head); else what lies below a tenth of the way from the 2nd to the 98th percentile. Looked for on voxels of
    about 3 mm, so its border is as coarse as that. All voxels where nothing stands out.
    """
    joined = Joined.to(volume.array, volume.geometry, _STEP_MM)
    bright = joined.array > _background(volume)
    bodies, count = ndimage.label(bright)
    if count == 0:
        return np.ones(volume.array.shape, dtype=np.bool_)
    body = bodies == np.argmax(np.bincount(bodies.ravel())[1:]) + 1
    filled = np.stack([ndimage.binary_fill_holes(page) for page in body])
    return joined.spread(filled)


def _background(volume: Volume) -> float:
    """The value up to which a voxel counts as background."""
    if volume.is_hounsfield:
        return _AIR_BELOW_HU
    sample = volume.array[::2, ::4, ::4].astype(np.float64)
    lowest = float(sample.min())
    if np.count_nonzero(sample == lowest) >= _CONSTANT_SHARE * sample.size:
        sample = sample[sample > lowest]
    if not sample.size:
        return lowest
    low, high = np.percentile(sample, (2, 98))
    return float(max(lowest, min(low, lowest + (high - lowest) / 4)) + _RISE * (high - low))
