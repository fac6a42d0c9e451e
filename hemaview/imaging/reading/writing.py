"""Writing a mask as NIfTI."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from hemaview.errors import ExportError
from hemaview.imaging.reading.mask_grids import on_even_slices
from hemaview.imaging.reading.scan_file import RAS_TO_LPS
from hemaview.imaging.volume import LabelMap
from hemaview.saving import save_atomically

_SCANNER_SPACE = 1


def write_label_map(mask: LabelMap, path: Path | str) -> tuple[str, ...]:
    """Write a mask as uint8 NIfTI-1 (0 and 1) on its own grid, completely or not at all.

    ``path`` ends in ``.nii.gz`` or ``.nii``. The sform holds the grid exactly, sheared or not; the qform, which
    cannot hold shear, only when the axes are at right angles. Geometry is converted from LPS to RAS. Unevenly
    spaced slices, which NIfTI cannot hold, become thin even ones (``on_even_slices``). Returns sentences about what
    is not as in the scan. Raises ``ExportError``.
    """
    target = Path(path)
    name = target.name.lower()
    if not name.endswith((".nii.gz", ".nii")):
        raise ExportError(f"'{target.name}' is not a NIfTI name; let it end in .nii.gz.")
    notes: tuple[str, ...] = ()
    if mask.geometry.is_uneven:
        mask, note = on_even_slices(mask)
        notes = (note,)
    if max(mask.geometry.size) > 32767:
        raise ExportError("The mask was not saved because NIfTI-1 cannot hold an axis of more than 32767 voxels.")
    affine = RAS_TO_LPS @ mask.geometry.affine
    image = nib.Nifti1Image(mask.array.view(np.uint8).transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=_SCANNER_SPACE)
    if mask.geometry.is_sheared:
        image.set_qform(None, code=0)
        image.header["pixdim"][1:4] = mask.geometry.spacing
    else:
        image.set_qform(affine, code=_SCANNER_SPACE)
    image.header["cal_max"] = 1
    data = image.to_bytes()
    if name.endswith(".gz"):
        data = gzip.compress(data, compresslevel=6, mtime=0)
    save_atomically(target, data, "The mask")
    return notes
