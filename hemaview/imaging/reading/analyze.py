"""Analyze 7.5 pairs (.hdr, .img): voxel size and values are known, left and right are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel.spm2analyze import Spm2AnalyzeHeader

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import incomplete, read_start
from hemaview.imaging.reading.nifti import centred_affine, is_nifti
from hemaview.imaging.reading.pairs import voxels_of
from hemaview.imaging.reading.scan_file import (
    COLOUR_PICTURE,
    MAGNITUDE_SHOWN,
    RAS_TO_LPS,
    ScanFile,
    damaged_header,
    no_voxel_size,
)
from hemaview.imaging.reading.stored_voxels import StoredVoxels, readable_dtype

_SIZE = 348
_LEFT_RIGHT_UNKNOWN = (
    "Analyze files do not say which side of the head is left, nor which way is up: "
    "the R, L, A, P, S, I letters may be wrong."
)


def is_analyze(start: bytes) -> bool:
    """Whether the first bytes of a file are an Analyze 7.5 header: its size in either byte order, and no NIfTI."""
    return start[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and not is_nifti(start)


def open_analyze(path: Path) -> ScanFile:
    """The header of an Analyze pair; volumes can be measured, sides cannot be trusted, which a note says.

    SPM's scale factor is applied where one is set. Raises ``ScanError`` when voxel size or image half are missing.
    """
    start = read_start(path, _SIZE)
    if len(start) < _SIZE:
        raise incomplete(path.name)
    try:
        header = Spm2AnalyzeHeader(start, check=False)
        dtype = np.dtype(header.get_data_dtype())
    except Exception as error:  # whatever nibabel raises, the header could not be decoded
        raise damaged_header(path, "Analyze") from error
    rank, *dims = (int(n) for n in header["dim"])
    if not 3 <= rank <= 4 or any(n < 1 for n in dims[:rank]):
        raise ScanError(f"The Analyze header of '{path.name}' holds an impossible size; export it again.")
    size = (dims[0], dims[1], dims[2])
    voxel_size = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    if not np.all(np.isfinite(voxel_size)) or np.any(voxel_size == 0):
        raise no_voxel_size(path)
    offset = float(header["vox_offset"])
    voxels = StoredVoxels(
        path=voxels_of(path),
        offset=int(offset) if 0 <= offset < 2**62 else 0,
        dtype=readable_dtype(dtype, path),
        size=size,
        scaling=(_scaling(header),),
    )
    return ScanFile(
        format="Analyze",
        geometry=Geometry.from_affine(RAS_TO_LPS @ centred_affine(voxel_size, size), size),
        stored_dtype=dtype,
        read=voxels.read,
        count=dims[3] if rank == 4 else 1,
        notes=(_LEFT_RIGHT_UNKNOWN, MAGNITUDE_SHOWN) if voxels.is_complex else (_LEFT_RIGHT_UNKNOWN,),
        not_measurable=COLOUR_PICTURE if voxels.is_colour else None,
    )


def _scaling(header: Spm2AnalyzeHeader) -> tuple[float, float]:
    slope, intercept = header.get_slope_inter()
    return (1.0, 0.0) if not slope else (float(slope), float(intercept or 0.0))
