"""Opening a mask made here or by other software."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import check_readable, read_start
from hemaview.imaging.reading.formats import open_scan_file
from hemaview.imaging.reading.mask_grids import on_grid
from hemaview.imaging.reading.sources import looks_like_dicom
from hemaview.imaging.volume import LabelMap


def read_label_map(path: Path | str, like: Geometry | None = None) -> LabelMap:
    """A mask from any format outside DICOM: every voxel whose value rounds to something other than 0.

    With ``like``, the mask is returned on exactly that grid; a file that stores the same voxels in another axis
    order is turned without resampling, and one that ``write_label_map`` wrote for uneven slices gives them back.
    Raises ``ScanError`` when the grids differ or the file cannot be read.
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
    turned = on_grid(array, file.geometry, like)
    if turned is None:
        own, wanted = (" x ".join(map(str, g.size)) for g in (file.geometry, like))
        where = f"{own} voxels instead of {wanted}" if own != wanted else "another position or spacing"
        raise ScanError(f"'{target.name}' does not fit this scan ({where}); open the mask that was drawn on it.")
    return LabelMap(turned, like)
