"""A scan in one file, or in a header and data pair, whose header was read and whose voxels were not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry

Progress = Callable[[float], None]

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""The same matrix takes LPS to RAS."""

ORIENTATION_UNKNOWN = "The file does not say how the head lies: the R, L, A, P, S, I letters may be wrong."
FITTED_TO_TEMPLATE = (
    "The file says that the head was fitted to a template brain, so its size and volumes may not be the patient's own."
)
MAGNITUDE_SHOWN = "The file holds complex numbers; their magnitude is shown."
COLOUR_PICTURE = "it is a colour picture, whose grey levels are not measured values"
THICKNESS_UNKNOWN = "it is a single picture that does not say how thick its slice is"

_VOXEL_SIZE_TOLERANCE = 0.01
_SMALLEST_MM = 0.005
_LARGEST_MM = 500.0


@dataclass(frozen=True)
class ScanFile:
    """What the header says, and the way to the voxels.

    ``count`` images (time points, echoes, directions) lie on the one ``geometry``, in LPS mm. ``read(index,
    progress)`` gives ``values[k, j, i]`` of the image ``index`` from 0, of any real type, scaling applied; it raises
    ``ScanError``. ``stored_dtype`` is the type in the file, before scaling. ``notes`` and ``not_measurable`` mean what
    they mean in a ``Volume``. ``modality`` is DICOM's code where the format or the header names it, and ``facts`` is
    then what ``guess_sequence`` takes. Raises ``ScanError`` for voxels far smaller than scanners make, or larger than a
    head.
    """

    format: str
    geometry: Geometry
    stored_dtype: np.dtype
    read: Callable[[int, Progress | None], NDArray]
    count: int = 1
    notes: tuple[str, ...] = ()
    not_measurable: str | None = None
    modality: str = ""
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not all(_SMALLEST_MM <= length <= _LARGEST_MM for length in self.geometry.spacing):
            voxel = " x ".join(f"{length:.4g}" for length in self.geometry.spacing)
            raise ScanError(
                f"The scan's voxels of {voxel} mm cannot be those of a head; export it again from the original scan."
            )
        object.__setattr__(self, "notes", (*self.notes, *_grid_notes(self.geometry)))


def _grid_notes(geometry: Geometry) -> tuple[str, ...]:
    notes = []
    if min(geometry.size) == 1:
        notes.append("The scan has only one slice, so a volume measured on it is only a rough figure.")
    if geometry.is_sheared:
        notes.append("The scan's axes are not at right angles; the slanted grid is kept exactly.")
    return tuple(notes)


def no_voxel_size(path: Path) -> ScanError:
    """The refusal of a file without spacing."""
    return ScanError(f"'{path.name}' does not say how large its voxels are; export it again from the original scan.")


def damaged_header(path: Path, format_name: str) -> ScanError:
    """The refusal of a file whose header could not be decoded."""
    return ScanError(f"The {format_name} header of '{path.name}' is damaged; export it again.")


def check_voxel_size(affine: NDArray[np.float64], stated: NDArray[np.float64], path: Path) -> None:
    """Raise ``ScanError`` where the axes of a matrix are not as long as the voxel size stated beside it.

    ``affine`` is (4, 4), or its first columns where fewer lengths are stated; ``stated`` holds those along i, j and
    k. All in mm.
    """
    lengths = np.linalg.norm(affine[:3, : len(stated)], axis=0)
    if not np.all(np.isfinite(stated)) or np.any(stated <= 0):
        raise no_voxel_size(path)
    if not np.all(np.abs(lengths / stated - 1) <= _VOXEL_SIZE_TOLERANCE):
        first, second = (" x ".join(f"{n:.4g}" for n in axes) for axes in (stated, lengths))
        raise ScanError(
            f"'{path.name}' holds two different voxel sizes ({first} mm and {second} mm), so a volume cannot be "
            "trusted; export it again from the original scan."
        )
