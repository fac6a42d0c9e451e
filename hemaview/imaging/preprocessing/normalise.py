"""Values of an MR scan, which have no unit, brought to a common scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.preprocessing.regions import Region, without
from hemaview.imaging.volume import Modality, Volume

_GAUSSIAN_MAD = 1.4826

NOT_ON_CT = "CT values have a unit, and normalising would take it away; leave it out."
CONSTANT = "All voxels of the head have the same value, so there is nothing to normalise."


class NormaliseMethod(StrEnum):
    """Mean and standard deviation, or median and 1.4826 times the median absolute deviation."""

    Z_SCORE = "z"
    ROBUST = "robust"


def normalise(
    volume: Volume,
    tissue: NDArray[np.bool_],
    boxes: Sequence[Region] = (),
    method: NormaliseMethod = NormaliseMethod.ROBUST,
) -> Volume:
    """(x - centre) / spread over the voxels ``tissue`` ``[k, j, i]`` without ``boxes``, as float32 on the same grid.

    A large clot would shift centre and spread, so it is left out. ``ScanError`` for CT and for a constant scan.
    """
    if volume.modality is Modality.CT:
        raise ScanError(NOT_ON_CT)
    values = volume.array[without(tissue, boxes)].astype(np.float64)
    if method is NormaliseMethod.Z_SCORE:
        centre, spread = float(values.mean()), float(values.std())
    else:
        centre = float(np.median(values))
        spread = _GAUSSIAN_MAD * float(np.median(np.abs(values - centre)))
    if not spread > 0:
        raise ScanError(CONSTANT)
    return replace(volume, array=np.asarray((volume.array - centre) / spread, dtype=np.float32))
