"""AFNI data sets: a text header (.HEAD) and its voxels (.BRIK, .BRIK.gz)."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.brikhead import AFNIHeader, parse_AFNI_header

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import read_start
from hemaview.imaging.reading.pairs import voxels_of
from hemaview.imaging.reading.scan_file import (
    FITTED_TO_TEMPLATE,
    RAS_TO_LPS,
    ScanFile,
    check_voxel_size,
    damaged_header,
)
from hemaview.imaging.reading.stored_voxels import StoredVoxels, readable_dtype

_HEADER_LIMIT = 16 << 20
_MOST_IMAGES = 100_000
_NUMBER_TYPES = {0, 1, 3}
"""Bytes, 16-bit integers and 32-bit floating point."""


def is_afni(start: bytes) -> bool:
    """Whether the first bytes of a file are an AFNI header."""
    text = start[:512].lstrip()
    return text.startswith(b"type") and b"-attribute" in text and b"name" in text


def open_afni(path: Path) -> ScanFile:
    """The header of an AFNI data set; every sub-brick is one image with its own scale factor.

    Raises ``ScanError`` for sub-bricks of different types, when matrix and voxel size contradict each other, and for
    damaged headers.
    """
    facts = _facts(path)
    types = set(np.atleast_1d(facts.get("BRICK_TYPES", ())))
    if not types or not types <= _NUMBER_TYPES or len(types) > 1:
        raise ScanError(
            f"'{path.name}' stores its voxels in several or unsupported types; convert one sub-brick to NIfTI."
        )
    try:
        if not 0 < int(facts["DATASET_RANK"][1]) <= _MOST_IMAGES:
            raise damaged_header(path, "AFNI")
        header = AFNIHeader(facts)
        affine = np.asarray(header.get_affine(), dtype=np.float64)
        i, j, k, count = (int(n) for n in header.get_data_shape())
        dtype = np.dtype(header.get_data_dtype())
        factors = header.get_data_scaling()
        stated = np.abs(np.asarray(facts["DELTA"], dtype=np.float64))
        scaling = tuple((float(f), 0.0) for f in factors) if factors is not None else ((1.0, 0.0),)
    except Exception as error:  # whatever nibabel raises, the header could not be decoded
        raise damaged_header(path, "AFNI") from error
    if min(i, j, k, count) < 1 or stated.shape != (3,):
        raise damaged_header(path, "AFNI")
    check_voxel_size(affine, stated, path)
    voxels = StoredVoxels(voxels_of(path), 0, readable_dtype(dtype, path), (i, j, k), scaling)
    return ScanFile(
        format="AFNI",
        geometry=Geometry.from_affine(RAS_TO_LPS @ affine, (i, j, k)),
        stored_dtype=dtype,
        read=voxels.read,
        count=count,
        notes=(FITTED_TO_TEMPLATE,) if _in_template_space(path, facts) else (),
    )


def _facts(path: Path) -> dict[str, Any]:
    """The attributes of the header by name."""
    text = read_start(path, _HEADER_LIMIT).decode("latin-1").replace("\r\n", "\n").strip()
    try:
        return dict(parse_AFNI_header(io.StringIO(re.sub(r"\n\s*\n", "\n\n", text))))
    except Exception as error:  # whatever nibabel raises, the header could not be decoded
        raise damaged_header(path, "AFNI") from error


def _in_template_space(path: Path, facts: dict[str, Any]) -> bool:
    space = str(facts.get("TEMPLATE_SPACE", "ORIG")).strip().upper()
    return "+tlrc" in path.name.lower() or space not in ("ORIG", "ACPC", "")
