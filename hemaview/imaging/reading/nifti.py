"""NIfTI-1 and NIfTI-2 files: one file, gzipped or not, or a header and image pair.

nibabel decodes the header; the choice of affine, the checks and the conversion from RAS to LPS are here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import incomplete, read_start
from hemaview.imaging.reading.pairs import voxels_of
from hemaview.imaging.reading.scan_file import (
    COLOUR_PICTURE,
    FITTED_TO_TEMPLATE,
    MAGNITUDE_SHOWN,
    ORIENTATION_UNKNOWN,
    RAS_TO_LPS,
    THICKNESS_UNKNOWN,
    ScanFile,
    damaged_header,
    no_voxel_size,
)
from hemaview.imaging.reading.stored_voxels import StoredVoxels, readable_dtype

_HEADER_BYTES = 4096
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_VOXEL_SIZE_TOLERANCE = 0.01
_POSITION_TOLERANCE_MM = 0.1
_TEMPLATE_CODES = (3, 4)
"""Talairach and MNI."""


def is_nifti(start: bytes) -> bool:
    """Whether the first 352 bytes of a file (unpacked) are a NIfTI-1 or NIfTI-2 header."""
    return start[344:348] in (b"n+1\0", b"ni1\0") or start[4:8] in (b"n+2\0", b"ni2\0")


def open_nifti(path: Path) -> ScanFile:
    """A NIfTI file, or the header of a pair, in its own grid, geometry converted from RAS to LPS.

    The sform is used when it is coded, else the qform; a sheared sform is carried exactly. Raises ``ScanError`` when
    they contradict each other about voxel size or handedness, for CIFTI and vectors, and for damaged files.
    """
    start = read_start(path, _HEADER_BYTES)
    header = _header(path, start)
    size, count = _shape(header, path.name)
    affine, notes = _affine(header, size, path)
    geometry = Geometry.from_affine(RAS_TO_LPS @ affine, size)
    voxels = _voxels(header, path, size, single=start[344:348] == b"n+1\0" or start[4:8] == b"n+2\0")
    if voxels.is_complex:
        notes = (*notes, MAGNITUDE_SHOWN)
    return ScanFile(
        format="NIfTI",
        geometry=geometry,
        stored_dtype=voxels.dtype,
        read=voxels.read,
        count=count,
        notes=notes,
        not_measurable=COLOUR_PICTURE if voxels.is_colour else _flat(header),
    )


def _header(path: Path, start: bytes) -> Any:
    cls = nib.Nifti1Header if start[344:348] in (b"n+1\0", b"ni1\0") else nib.Nifti2Header
    size = cls.template_dtype.itemsize
    if len(start) < size:
        raise incomplete(path.name)
    try:
        return cls(start[:size], check=False)
    except Exception as error:  # whatever nibabel raises, the header could not be decoded
        raise damaged_header(path, "NIfTI") from error


def _voxels(header: Any, path: Path, size: tuple[int, int, int], *, single: bool) -> StoredVoxels:
    """Where the voxels lie: behind the header, or in the pair's other file."""
    code = int(header["datatype"])
    try:
        dtype = np.dtype(header.get_data_dtype())
    except Exception as error:  # unknown code
        raise ScanError(f"'{path.name}' stores its voxels in an unknown type ({code}); export it again.") from error
    offset = float(header["vox_offset"])
    if not 0 <= offset < 2**62:
        raise damaged_header(path, "NIfTI")
    return StoredVoxels(
        path=path if single else voxels_of(path),
        offset=max(int(offset), header.single_vox_offset if single else 0),
        dtype=readable_dtype(dtype, path),
        size=size,
        scaling=(_scaling(header),),
    )


def _flat(header: Any) -> str | None:
    """Why nothing can be measured on a file of two dimensions without a position."""
    placed = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    if int(header["dim"][0]) == 2 and not placed:
        return THICKNESS_UNKNOWN
    return None


def _shape(header: Any, name: str) -> tuple[tuple[int, int, int], int]:
    """Size (i, j, k) and the number of images on it."""
    dims = [int(n) for n in header["dim"]]
    rank = dims[0]
    if not 1 <= rank <= 7 or any(n < 1 for n in dims[1 : rank + 1]):
        raise ScanError(f"The NIfTI header of '{name}' holds an impossible size; export it again.")
    size = [*dims[1 : rank + 1], 1, 1][: max(rank, 3)]
    further = int(np.prod(size[3:], dtype=np.int64)) if len(size) > 3 else 1
    if 3000 <= int(header["intent_code"]) < 3100 or (size[:3] == [1, 1, 1] and further > 1):
        raise ScanError(f"'{name}' is a CIFTI or surface file without voxels; open the scan it was made from.")
    if len(size) >= 5 and size[4] > 1:
        raise ScanError(f"'{name}' holds vectors instead of grey values; open the scan it was made from.")
    if rank < 2:
        raise ScanError(f"'{name}' holds a row of numbers instead of an image; open the scan itself.")
    return (size[0], size[1], size[2]), further


def _affine(header: Any, size: tuple[int, int, int], path: Path) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The (4, 4) matrix to RAS mm and sentences about how it was chosen."""
    name = path.name
    scale, notes = _millimetres(header, name)
    sform = _valid(np.asarray(header.get_sform(), dtype=np.float64)) if int(header["sform_code"]) > 0 else None
    qform = _qform(header) if int(header["qform_code"]) > 0 else None
    if sform is None and qform is None and (int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0):
        raise ScanError(f"The position of the head in '{name}' is damaged; export it again from the original scan.")
    if sform is None and qform is None:
        return _spacing_only(header, size, path, scale, notes)
    if sform is not None and qform is not None:
        notes = (*notes, *_conflict(sform, qform, size, name))
    chosen = sform if sform is not None else qform
    assert chosen is not None
    affine = chosen.copy()
    affine[:3] *= scale
    if int(header["sform_code"] if sform is not None else header["qform_code"]) in _TEMPLATE_CODES:
        notes = (*notes, FITTED_TO_TEMPLATE)
    if sform is not None and qform is None:
        pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
        if np.all(pixdim > 0) and np.any(np.abs(np.linalg.norm(sform[:3, :3], axis=0) / pixdim - 1) > 0.01):
            notes = (*notes, "The voxel size in the header differs from its sform matrix; the sform is used.")
    return affine, notes


def _millimetres(header: Any, name: str) -> tuple[float, tuple[str, ...]]:
    code = int(header["xyzt_units"]) & 7
    scale = _MM_PER_UNIT.get(code, 1.0)
    if scale == 1.0:
        return 1.0, ()
    pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64)) * scale
    if not np.all((pixdim > 0.01) & (pixdim < 100)):
        raise ScanError(
            f"'{name}' says its lengths are in {'metres' if code == 1 else 'micrometres'}, which cannot be true "
            "for a head scan; correct the units and open it again."
        )
    return scale, (f"Lengths were converted from {'metres' if code == 1 else 'micrometres'} to millimetres.",)


def _valid(affine: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """``affine`` when it spans a volume."""
    if not np.all(np.isfinite(affine)):
        return None
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if np.min(lengths) <= 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
        return None
    return affine


def _qform(header: Any) -> NDArray[np.float64] | None:
    if float(header["pixdim"][0]) not in (-1.0, 1.0):
        header["pixdim"][0] = 1.0
    try:
        return _valid(np.asarray(header.get_qform(), dtype=np.float64))
    except Exception:  # a quaternion longer than one, negative spacing
        return None


def _conflict(
    sform: NDArray[np.float64], qform: NDArray[np.float64], size: tuple[int, int, int], name: str
) -> tuple[str, ...]:
    # A qform cannot hold shear, so the lengths of the axes are compared and not the determinants.
    lengths = [np.linalg.norm(m[:3, :3], axis=0) for m in (sform, qform)]
    if np.max(np.abs(lengths[0] / lengths[1] - 1)) > _VOXEL_SIZE_TOLERANCE:
        own, other = (" x ".join(f"{n:.4g}" for n in axes) for axes in lengths)
        raise ScanError(
            f"'{name}' holds two different voxel sizes ({own} mm in its sform, {other} mm in its qform), "
            "so a volume cannot be trusted; open the unregistered original."
        )
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        raise ScanError(
            f"'{name}' holds two positions (sform and qform) that swap left and right; open the original scan."
        )
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in size], indexing="ij")).reshape(3, -1)
    shift = (sform - qform)[:3, :3] @ corners + (sform - qform)[:3, 3:]
    if np.max(np.linalg.norm(shift, axis=0)) > _POSITION_TOLERANCE_MM:
        return ("The file holds two positions of the head (sform and qform); the sform is used.",)
    return ()


def _spacing_only(
    header: Any, size: tuple[int, int, int], path: Path, scale: float, notes: tuple[str, ...]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """A file without an orientation code: its voxel size is known, the position is not."""
    pixdim = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    if not np.all(np.isfinite(pixdim)) or np.any(pixdim <= 0):
        raise no_voxel_size(path)
    return centred_affine(pixdim * scale, size), (*notes, ORIENTATION_UNKNOWN)


def centred_affine(voxel_size: NDArray[np.float64], size: tuple[int, int, int]) -> NDArray[np.float64]:
    """(4, 4) matrix to RAS mm for a grid of which only the voxel size in mm is known.

    The Analyze convention, which nibabel follows too: first axis to the patient's left, centre at the middle.
    """
    affine = np.diag([-voxel_size[0], voxel_size[1], voxel_size[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(size) - 1) / 2)
    return affine


def _scaling(header: Any) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or slope == 0:
        return 1.0, 0.0
    return slope, intercept if np.isfinite(intercept) else 0.0
