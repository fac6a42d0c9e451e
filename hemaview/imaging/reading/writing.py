"""Writing a mask or a scan as NIfTI."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ExportError
from hemaview.imaging.even_slices import EvenSlices
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.mask_grids import on_even_slices
from hemaview.imaging.reading.scan_file import RAS_TO_LPS
from hemaview.imaging.volume import LabelMap, Volume
from hemaview.saving import save_atomically

_SCANNER_SPACE = 1

INTERPOLATED = (
    "The scan's slices are unevenly spaced, which NIfTI cannot hold; the file has thin even slices with values between."
)


def write_label_map(mask: LabelMap, path: Path | str) -> tuple[str, ...]:
    """Write a mask as uint8 NIfTI-1 (0 and 1) on its own grid, completely or not at all.

    ``path`` ends in ``.nii.gz`` or ``.nii``. The sform holds the grid exactly, sheared or not; the qform, which
    cannot hold shear, only when the axes are at right angles. Geometry is converted from LPS to RAS. Unevenly
    spaced slices, which NIfTI cannot hold, become thin even ones (``on_even_slices``). Returns sentences about what
    is not as in the scan. Raises ``ExportError``.
    """
    target = _named(path)
    notes: tuple[str, ...] = ()
    if mask.geometry.is_uneven:
        mask, note = on_even_slices(mask)
        notes = (note,)
    _write(target, mask.array.view(np.uint8), mask.geometry, "The mask", top=1)
    return notes


def write_volume(volume: Volume, path: Path | str) -> tuple[str, ...]:
    """Write a scan's values as int16 or float32 NIfTI-1 on its own grid, completely or not at all.

    Uneven slices, which NIfTI cannot hold, become thin even ones with values linear between them. The header's
    description names the steps that changed the values. Returns sentences about what is not as in the scan. Raises
    ``ExportError``.
    """
    target = _named(path)
    array, geometry = volume.array, volume.geometry
    notes: tuple[str, ...] = ()
    if geometry.is_uneven:
        even = EvenSlices.about(geometry, float(geometry.slice_steps_mm.min()))
        array, geometry = even.mixed(volume.array), even.geometry
        notes = (INTERPOLATED,)
    about = f"HEMAVIEW prepared: {', '.join(volume.prepared)}" if volume.prepared else "HEMAVIEW"
    _write(target, array, geometry, "The scan", about=about)
    return notes


def _named(path: Path | str) -> Path:
    target = Path(path)
    if not target.name.lower().endswith((".nii.gz", ".nii")):
        raise ExportError(f"'{target.name}' is not a NIfTI name; let it end in .nii.gz.")
    return target


def _write(target: Path, array: NDArray, geometry: Geometry, what: str, *, top: float = 0, about: str = "") -> None:
    """Write ``array[k, j, i]`` on an even grid; ``what`` names it where that fails."""
    if max(geometry.size) > 32767:
        raise ExportError(f"{what} was not saved because NIfTI-1 cannot hold an axis of more than 32767 voxels.")
    affine = RAS_TO_LPS @ geometry.affine
    image = nib.Nifti1Image(array.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=_SCANNER_SPACE)
    if geometry.is_sheared:
        image.set_qform(None, code=0)
        image.header["pixdim"][1:4] = geometry.spacing
    else:
        image.set_qform(affine, code=_SCANNER_SPACE)
    image.header["cal_max"] = top
    image.header["descrip"] = about.encode("ascii", "replace")[:79]
    data = image.to_bytes()
    if target.name.lower().endswith(".gz"):
        data = gzip.compress(data, compresslevel=6, mtime=0)
    save_atomically(target, data, what)
