"""Local contrast for the eye (CLAHE); it changes what values mean and never reaches a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hemaview.imaging.preprocessing.foreground import foreground
from hemaview.imaging.preprocessing.grids import Progress
from hemaview.imaging.volume import Volume

CLIP = 0.01
TILES = 8

_CT_LIMITS_HU = (-20.0, 120.0)
_PERCENTILES = (0.5, 99.5)


def local_contrast(
    volume: Volume, *, clip: float = CLIP, tiles: int = TILES, progress: Progress | None = None
) -> Volume:
    """Equalise every slice in ``tiles`` x ``tiles`` pieces with limited gain, as float32 on the same grid.

    Zuiderveld K. Contrast limited adaptive histogram equalization. Graphics Gems IV, 1994, by scikit-image. The result
    lies between the same limits as before, so that windows still fit: 0.5th to 99.5th percentile of the head, in a CT
    -20 to 120 HU. Air stays as it was; it would only show its noise.
    """
    from skimage.exposure import equalize_adapthist

    head = foreground(volume)
    low, high = _CT_LIMITS_HU if volume.is_hounsfield else np.percentile(volume.array[head], _PERCENTILES)
    low, high = float(low), max(float(high), float(low) + 1e-6)
    pieces = [max(1, -(-n // tiles)) for n in volume.array.shape[1:]]
    found = volume.array.astype(np.float32)
    for k, page in enumerate(found):
        if head[k].any():
            unit = np.clip((page - low) / (high - low), 0, 1)
            equal = equalize_adapthist(unit, kernel_size=pieces, clip_limit=clip) * (high - low) + low
            # Bone and what else lies beyond the limits stays beyond them.
            inside = head[k] & (page > low) & (page < high)
            found[k] = np.where(inside, equal, page)
        if progress is not None:
            progress((k + 1) / len(found))
    return replace(volume, array=found)
