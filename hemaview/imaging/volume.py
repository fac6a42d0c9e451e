"""A scan and a mask on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.modality import Modality as Modality
from hemaview.imaging.sequence import SequenceGuess
from hemaview.imaging.study import StudyKey


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan: ``array[k, j, i]``, C-contiguous, finite, int16 or float32, in HU for CT.

    ``name`` is a short label without patient data. ``notes`` are sentences for the user about what the
    reader did (replaced NaN, took the first of several time points, ...). ``attributes`` holds
    technical tags only (sequence, slice thickness, manufacturer, source format), never patient data.
    ``not_measurable`` is a clause that says why nothing may be measured on it (a scout, a secondary capture, an
    unknown voxel size): such a scan can be looked at only. None for a scan whose geometry can be trusted.
    ``sequence`` is what kind of scan it is, as guessed or as the user said, and ``study`` the examination it is from.
    ``hounsfield`` is False where the values are known to be grey levels and not HU whatever the modality, True where
    they are known to be HU, None where the modality tells. ``prepared`` names the steps of
    ``hemaview.imaging.preprocessing`` that changed the values since the scan was read.
    """

    array: NDArray[np.int16] | NDArray[np.float32]
    geometry: Geometry
    modality: Modality = Modality.UNKNOWN
    name: str = "scan"
    notes: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    not_measurable: str | None = None
    sequence: SequenceGuess = field(default_factory=SequenceGuess)
    study: StudyKey = field(default_factory=StudyKey)
    hounsfield: bool | None = None
    prepared: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise ScanError(f"The scan's pixels {self.array.shape} do not fit its geometry {self.geometry.shape}.")
        if self.array.dtype not in (np.dtype(np.int16), np.dtype(np.float32)):
            raise ScanError(f"The scan's pixel type {self.array.dtype} is not supported inside HEMAVIEW.")
        object.__setattr__(self, "array", np.ascontiguousarray(self.array))
        if self.sequence.sequence.modality is not self.modality:
            object.__setattr__(self, "sequence", SequenceGuess.of(self.modality))

    @property
    def is_hounsfield(self) -> bool:
        """Whether it is a CT whose values are HU, so that CT windows and limits mean something."""
        return self.modality is Modality.CT and self.hounsfield is not False

    def taken_for(self, sequence: SequenceGuess) -> Volume:
        """The same pixels taken for another kind of scan; their values do not become HU by being called CT."""
        if sequence == self.sequence:
            return self
        in_hounsfield = self.modality is Modality.CT if self.hounsfield is None else self.hounsfield
        modality = sequence.sequence.modality
        return replace(self, modality=modality, sequence=sequence, hounsfield=in_hounsfield)


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A mask: boolean ``array[k, j, i]`` on the grid of the scan it was made on; never resampled for measuring."""

    array: NDArray[np.bool_]
    geometry: Geometry

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise ScanError(f"The mask's voxels {self.array.shape} do not fit its geometry {self.geometry.shape}.")
        object.__setattr__(self, "array", np.ascontiguousarray(self.array, dtype=np.bool_))

    @classmethod
    def empty(cls, geometry: Geometry) -> LabelMap:
        """A mask without a single voxel."""
        return cls(np.zeros(geometry.shape, dtype=np.bool_), geometry)

    @property
    def voxel_count(self) -> int:
        """Number of voxels in the mask."""
        return int(np.count_nonzero(self.array))

    def bounds(self) -> tuple[slice, slice, slice] | None:
        """Smallest ``(k, j, i)`` slices that hold the mask, or None when it is empty."""
        if not self.array.any():
            return None
        found = []
        for axis in range(3):
            line = np.flatnonzero(self.array.any(axis=tuple(a for a in range(3) if a != axis)))
            found.append(slice(int(line[0]), int(line[-1]) + 1))
        return found[0], found[1], found[2]
