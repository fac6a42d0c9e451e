"""From the stored pixels of a stack to the values of a scan: rescaling slice by slice, padding, negatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pydicom.uid
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.pixels import PictureReader

CT_AIR = -1024
_PLAUSIBLE_HU = (-900, 4000)
_INT16 = np.iinfo(np.int16)
_LARGEST_WHOLE_SLOPE = 1000
_SAME_SCALE = 1e-3
_LOSSY = (pydicom.uid.JPEGBaseline8Bit, pydicom.uid.JPEGExtended12Bit, pydicom.uid.JPEGLSNearLossless)


@dataclass(frozen=True)
class _Scale:
    """``stored * slope + intercept`` is the value."""

    slope: float
    intercept: float

    @property
    def is_exact_in_int32(self) -> bool:
        return self.slope.is_integer() and self.intercept.is_integer() and abs(self.slope) <= _LARGEST_WHOLE_SLOPE

    def apply(self, stored: NDArray, *, as_integers: bool) -> NDArray:
        if as_integers:
            return stored.astype(np.int32) * int(self.slope) + int(self.intercept)
        return stored.astype(np.float64) * self.slope + self.intercept

    def of(self, stored: int) -> float:
        return stored * self.slope + self.intercept


class DamagedPictureError(ScanError):
    """One picture of a stack cannot be read; ``picture`` is the one."""

    def __init__(self, picture: Instance, reason: ScanError) -> None:
        super().__init__(str(reason))
        self.picture = picture


def read_values(
    instances: Sequence[Instance], progress: Callable[[float], None] | None = None
) -> tuple[NDArray[np.int16] | NDArray[np.float32], tuple[str, ...]]:
    """``array[k, j, i]`` of pictures in slice order, rescaled, and sentences about what was changed.

    int16 when every rescaled value is an integer that fits, otherwise float32. CT padding and anything below
    -1024 HU become -1024; MR padding becomes the lowest value of the scan; MONOCHROME1 is inverted.
    Raises ``DamagedPictureError`` naming the file that cannot be decoded or ends early.
    """
    first = instances[0]
    scales, notes = _scales(instances)
    values = _CtValues() if first.modality == "CT" else _OtherValues()
    as_integers = all(s.is_exact_in_int32 for s in scales) and first.bits_stored <= 16
    array: NDArray = np.empty(0)
    with PictureReader() as reader:
        for k, (instance, scale) in enumerate(zip(instances, scales, strict=True)):
            try:
                stored = reader.read(instance)
            except ScanError as error:
                raise DamagedPictureError(instance, error) from error
            if k == 0:  # only now is it known that the file really holds a picture of this size
                array = _empty((len(instances), *stored.shape), np.int16 if as_integers else np.float32)
            plane = scale.apply(stored, as_integers=array.dtype == np.int16)
            plane = values.cleaned(k, stored, plane, scale, instance.padding)
            if array.dtype == np.int16 and not _INT16.min <= plane.min() <= plane.max() <= _INT16.max:
                array = array.astype(np.float32)
            array[k] = plane
            if progress:
                progress((k + 1) / len(instances))
    notes = (*notes, *values.finish(array))
    if first.photometric == "MONOCHROME1":
        array = _inverted(array)
        notes = (*notes, "The scan is stored as a negative (MONOCHROME1); it was inverted.")
    if any(i.is_lossy or i.syntax in _LOSSY for i in instances):
        notes = (*notes, "The images were compressed with loss, so values may be off by a little.")
    return array, notes


def _empty(shape: tuple[int, ...], dtype: type) -> NDArray:
    try:
        return np.empty(shape, dtype=dtype)
    except (MemoryError, ValueError) as error:
        raise ScanError("The scan is too large for this computer's memory; open fewer of its images.") from error


def _scales(instances: Sequence[Instance]) -> tuple[list[_Scale], tuple[str, ...]]:
    """How each picture is rescaled.

    Philips may scale every image for display by itself; then only its private scale slope SS makes them comparable:
    value = stored / SS + intercept / (slope * SS) (Chenevert et al. 2014, doi:10.1016/j.tranon.2013.11.001). It is
    used where the public scale contradicts it, and multiplied by one number so that values keep their usual size.
    """
    public = [_Scale(float(i.slope or 1.0), float(i.intercept or 0.0)) for i in instances]
    private = [i.scale_slope for i in instances]
    usable = [s * p.slope for s, p in zip(private, public, strict=True) if s]
    if len(usable) < len(public) or max(usable) - min(usable) <= _SAME_SCALE * abs(max(usable)):
        return public, ()
    usual = float(np.median(usable))
    scales = [_Scale(p.slope * usual / u, p.intercept * usual / u) for p, u in zip(public, usable, strict=True)]
    return scales, ("Its images were scaled one by one for display; Philips' own scale was used to make them agree.",)


class _CtValues:
    """CT in HU: padding and everything below air becomes air, unless what is called padding is tissue."""

    def __init__(self) -> None:
        self._changed = False
        self._ignored = False

    def cleaned(
        self, _k: int, stored: NDArray, values: NDArray, scale: _Scale, padding: tuple[int, int] | None
    ) -> NDArray:
        if padding is not None:
            mask = (stored >= padding[0]) & (stored <= padding[1])
            if any(_PLAUSIBLE_HU[0] < scale.of(p) < _PLAUSIBLE_HU[1] for p in padding):
                self._ignored |= bool(mask.any())
            elif mask.any():
                self._changed = True
                values[mask] = CT_AIR
        self._changed |= bool((values < CT_AIR).any())
        np.maximum(values, CT_AIR, out=values)
        return values

    def finish(self, _array: NDArray) -> tuple[str, ...]:
        notes = []
        if self._changed:
            notes.append(f"Padding outside the field of view was set to {CT_AIR} HU.")
        if self._ignored:
            notes.append("The header calls a tissue value padding; it was left as it is.")
        return tuple(notes)


class _OtherValues:
    """Values without a fixed scale: padding becomes the lowest of the others, known when all slices were seen."""

    def __init__(self) -> None:
        self._padded: dict[int, NDArray[np.bool_]] = {}

    def cleaned(
        self, k: int, stored: NDArray, values: NDArray, _scale: _Scale, padding: tuple[int, int] | None
    ) -> NDArray:
        if padding is not None:
            mask = (stored >= padding[0]) & (stored <= padding[1])
            if mask.any():
                self._padded[k] = mask
        return values

    def finish(self, array: NDArray) -> tuple[str, ...]:
        if not self._padded:
            return ()
        kept = (plane[~self._padded[k]] if k in self._padded else plane for k, plane in enumerate(array))
        lowest = min((values.min() for values in kept if values.size), default=None)
        if lowest is not None:
            for k, mask in self._padded.items():
                array[k][mask] = lowest
        return ("Padding outside the field of view was set to the lowest value of the scan.",)


def _inverted(array: NDArray) -> NDArray:
    low, high = array.min(), array.max()
    if array.dtype == np.int16 and not _INT16.min <= int(low) + int(high) <= _INT16.max:
        array = array.astype(np.float32)
    return np.asarray(array.dtype.type(int(low) + int(high) if array.dtype == np.int16 else low + high) - array)
