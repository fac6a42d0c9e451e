"""Opening a mask made here or by other software."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import check_readable, read_start
from hemaview.imaging.reading.formats import open_scan_file
from hemaview.imaging.reading.sources import looks_like_dicom
from hemaview.imaging.volume import LabelMap

_SAME_PLACE_MM = 0.05


def read_label_map(path: Path | str, like: Geometry | None = None) -> LabelMap:
    """A mask from any format outside DICOM: every voxel whose value rounds to something other than 0.

    With ``like``, the mask is returned on exactly that grid; a file that stores the same voxels in another axis
    order is turned without resampling. Raises ``ScanError`` when the grids differ or the file cannot be read.
    """
    target = Path(path)
    check_readable(target)
    if target.is_dir() or looks_like_dicom(read_start(target, 132)):
        raise ScanError(f"'{target.name}' is not a mask that can be opened; export the mask as NIfTI or NRRD.")
    file = open_scan_file(target)
    values = file.read(0, None)
    if values.dtype.kind == "f":
        # Scaled masks hold 0.99999997 where 1 is meant.
        array = np.nan_to_num(np.rint(values), nan=0.0) != 0
    else:
        array = values != 0
    if like is None:
        return LabelMap(array, file.geometry)
    turned = _on_grid(array, file.geometry, like)
    if turned is None:
        own, wanted = (" x ".join(map(str, g.size)) for g in (file.geometry, like))
        where = f"{own} voxels instead of {wanted}" if own != wanted else "another position or spacing"
        raise ScanError(f"'{target.name}' does not fit this scan ({where}); open the mask that was drawn on it.")
    return LabelMap(turned, like)


def _on_grid(array: NDArray[np.bool_], own: Geometry, like: Geometry) -> NDArray[np.bool_] | None:
    """``array[k, j, i]`` with its axes swapped and flipped so that it lies on ``like``; None when it does not fit."""
    if own.matches(like, _SAME_PLACE_MM):
        return array
    # For each axis of the wanted grid, the own axis that runs along it.
    relation = own.inverse_affine[:3, :3] @ like.affine[:3, :3]
    turn = np.rint(relation)
    if np.max(np.abs(relation - turn)) > 0.01 or not np.array_equal(np.abs(turn).sum(axis=0), np.ones(3)):
        return None
    if not np.array_equal(np.abs(turn).sum(axis=1), np.ones(3)):
        return None
    source = [int(np.argmax(np.abs(turn[:, axis]))) for axis in range(3)]
    flipped = [turn[source[axis], axis] < 0 for axis in range(3)]
    size = tuple(own.size[s] for s in source)
    matrix = own.affine[:3, :3][:, source] * np.where(flipped, -1.0, 1.0)
    corner = [0, 0, 0]
    for axis in range(3):
        corner[source[axis]] = own.size[source[axis]] - 1 if flipped[axis] else 0
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = own.index_to_lps(corner)
    if not Geometry.from_affine(affine, (size[0], size[1], size[2])).matches(like, _SAME_PLACE_MM):
        return None
    by_ijk = array.transpose(2, 1, 0).transpose(source)
    by_ijk = by_ijk[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]
    return np.ascontiguousarray(by_ijk.transpose(2, 1, 0))
