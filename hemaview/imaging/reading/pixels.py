"""From the numbers in a file to the finite int16 or float32 values of a Volume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.volume import Modality

_INT16 = np.iinfo(np.int16)
_SAMPLE_SIZE = 500_000


def apply_scaling(values: NDArray, slope: float, intercept: float) -> NDArray:
    """``values * slope + intercept``; stays integer where all three are, float32 otherwise."""
    if slope == 1 and intercept == 0:
        return values
    if values.dtype.kind in "iu" and float(slope).is_integer() and float(intercept).is_integer():
        low, high = (int(v) * int(slope) + int(intercept) for v in (values.min(), values.max()))
        if _INT16.min <= min(low, high) and max(low, high) <= _INT16.max:
            # Wrapping int16 arithmetic is exact here because every result fits.
            with np.errstate(over="ignore"):
                factor, shift = (np.array(int(v)).astype(np.int16) for v in (slope, intercept))
                return np.asarray(values.astype(np.int16) * factor + shift, dtype=np.int16)
    scaled: NDArray[np.floating] = values.astype(np.float64 if values.dtype.itemsize > 2 else np.float32)
    scaled *= slope
    scaled += intercept
    return scaled


def to_scan_values(values: NDArray) -> tuple[NDArray[np.int16] | NDArray[np.float32], tuple[str, ...]]:
    """Values of a Volume in native byte order and sentences about what was changed; ``values`` may be reused.

    Integers become int16 where that is exact, otherwise float32; NaN and infinity become the lowest finite
    value. Raises ``ScanError`` for values that are not real numbers, when nothing is finite, or when all
    voxels are equal.
    """
    if values.dtype.kind not in "biuf":
        raise ScanError("The scan's values are not plain numbers (colour or complex); export it as a greyscale scan.")
    if values.dtype.kind != "f":
        lowest, highest = int(values.min()), int(values.max())
        if lowest == highest:
            raise _constant()
        if _INT16.min <= lowest and highest <= _INT16.max:
            return np.ascontiguousarray(values, dtype=np.int16), ()
        return np.ascontiguousarray(values, dtype=np.float32), ()
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(values, dtype=np.float32)
    notes: tuple[str, ...] = ()
    low, high = float(result.min()), float(result.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        finite = np.isfinite(result)
        bad = result.size - int(np.count_nonzero(finite))
        if bad == result.size:
            raise ScanError("The scan holds no valid value (all are NaN or infinite); export it again.")
        low, high = float(result[finite].min()), float(result[finite].max())
        result[~finite] = low
        voxels = "1 voxel was" if bad == 1 else f"{bad} voxels were"
        notes = (f"{voxels} not a number and got the lowest value of the scan.",)
    if low == high:
        raise _constant()
    return result, notes


def _constant() -> ScanError:
    return ScanError("Every voxel of the scan has the same value, so there is nothing to see; export it again.")


def guess_modality(array: NDArray, stored_dtype: np.dtype) -> tuple[Modality, tuple[str, ...]]:
    """What probably made a scan whose file does not say, and sentences for the user.

    CT when air at about -1000 HU and tissue near 0 HU are both there; 8-bit grey levels and narrow ranges
    are unknown; anything else with an MR-like range is taken for MR.
    """
    flat = array.reshape(-1)
    sample = np.asarray(flat[:: max(1, flat.size // _SAMPLE_SIZE) | 1], dtype=np.float32)
    outside = float(np.mean(sample <= -500))
    inside = sample[sample > -500]
    if outside >= 0.01 and inside.size >= 0.05 * sample.size:
        air = float(np.mean(np.abs(sample[sample <= -500] + 1000) <= 150))
        padded = float(np.mean(sample[sample <= -500] <= -1000))
        if -250 <= float(np.median(inside)) <= 300 and float(sample.max()) >= 200 and max(air, padded) >= 0.3:
            return Modality.CT, ("The file does not name its modality; its values look like CT in HU.",)
    if stored_dtype.itemsize == 1:
        return Modality.UNKNOWN, (
            "The scan is stored in 8 bits, so its values are grey levels without a unit, not HU.",
        )
    low, high = float(sample.min()), float(sample.max())
    z_scored = low < 0 and high < 50 and array.dtype == np.float32
    if high > 255 or z_scored:
        return Modality.MR, ("The file does not name its modality; its values look like MR.",)
    return Modality.UNKNOWN, ("The file does not name its modality, so the window is set from its values.",)
