"""FreeSurfer's MGH and MGZ files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import incomplete, read_start
from hemaview.imaging.reading.scan_file import (
    RAS_TO_LPS,
    ScanFile,
    check_voxel_size,
    damaged_header,
    no_voxel_size,
)
from hemaview.imaging.reading.stored_voxels import StoredVoxels, readable_dtype

_VERSION = b"\0\0\0\1"
_NUMBER_TYPES = range(0, 5)
_DATA_OFFSET = 284
_GOOD_RAS = slice(28, 30)
"""Where the header says whether it holds voxel size and position."""


def is_mgh(start: bytes) -> bool:
    """Whether the first bytes of a file (unpacked) are an MGH header: version 1, four sizes, a known type."""
    if len(start) < 28 or start[:4] != _VERSION:
        return False
    *sizes, number_type = np.frombuffer(start[4:24], dtype=">i4")
    return all(0 < n < 1 << 24 for n in sizes) and number_type in _NUMBER_TYPES


def open_mgh(path: Path) -> ScanFile:
    """An MGH or MGZ file; axes that are not at right angles are carried exactly.

    Raises ``ScanError`` when voxel size and direction cosines contradict each other, and for damaged files.
    """
    start = read_start(path, _DATA_OFFSET)
    if len(start) < _DATA_OFFSET:
        raise incomplete(path.name)
    try:
        header = MGHHeader(start, check=False)
        affine = np.asarray(header.get_affine(), dtype=np.float64)
        dtype = np.dtype(header.get_data_dtype())
    except Exception as error:  # whatever nibabel raises, the header could not be decoded
        raise damaged_header(path, "MGH") from error
    i, j, k, count = (int(n) for n in header["dims"])
    if min(i, j, k, count) < 1:
        raise ScanError(f"The MGH header of '{path.name}' holds an impossible size; export it again.")
    if int.from_bytes(start[_GOOD_RAS], "big", signed=True) <= 0:
        # The fields of voxel size and position then mean nothing; nibabel has filled in 1 mm.
        raise no_voxel_size(path)
    check_voxel_size(affine, np.asarray(header["delta"], dtype=np.float64), path)
    voxels = StoredVoxels(path, _DATA_OFFSET, readable_dtype(dtype, path), (i, j, k))
    return ScanFile(
        format="MGH",
        geometry=Geometry.from_affine(RAS_TO_LPS @ affine, (i, j, k)),
        stored_dtype=dtype,
        read=voxels.read,
        count=count,
    )
