"""NRRD and MetaImage through SimpleITK.

SimpleITK keeps sheared axes of both formats exactly, but fills in a spacing of 1 mm where the file names none;
so the text header is looked at first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import access_error, incomplete
from hemaview.imaging.reading.nifti import RawScan

_HEADER_LIMIT = 1 << 20
_NRRD_SPACES = {
    "left-posterior-superior", "lps",
    "right-anterior-superior", "ras",
    "left-anterior-superior", "las",
}  # fmt: skip
_COLOUR_KINDS = ("color", "colour", "rgb", "vector", "matrix", "tensor", "complex", "quaternion", "normal", "gradient")


def is_nrrd(start: bytes) -> bool:
    """Whether the first bytes of a file are the NRRD magic."""
    return start[:4] == b"NRRD"


def is_metaimage(start: bytes) -> bool:
    """Whether the first bytes of a file are a MetaImage header."""
    text = start[:4096].lstrip()
    return text.startswith((b"ObjectType", b"NDims", b"Comment")) and b"NDims" in text


def read_nrrd(path: Path) -> RawScan:
    """The first 3D image of an NRRD or NHDR file; raises ``ScanError`` when spacing is missing or data end early."""
    fields = _header_fields(path, ":")
    notes: tuple[str, ...] = ()
    directions = fields.get("space directions", "")
    spacings = fields.get("spacings", "")
    if not directions and not spacings:
        raise _no_spacing(path)
    if not directions and sum(_is_positive(word) for word in spacings.split()) < 3:
        raise _no_spacing(path)
    space = fields.get("space", "").lower()
    if not directions or space.removesuffix("-time") not in _NRRD_SPACES:
        notes = ("The file does not say how the head lies: the R, L, A, P, S, I letters may be wrong.",)
    kinds = fields.get("kinds", "").lower()
    if any(word in kinds for word in _COLOUR_KINDS):
        raise ScanError(f"'{path.name}' holds colours or vectors instead of grey values; open the original scan.")
    return _read(path, notes, "NRRD", takes_first_component="list" in kinds)


def read_metaimage(path: Path) -> RawScan:
    """The first 3D image of a MetaImage (.mha, .mhd with its raw file); raises ``ScanError`` as ``read_nrrd`` does."""
    fields = _header_fields(path, "=")
    spacing = fields.get("elementspacing", fields.get("elementsize", ""))
    if sum(_is_positive(word) for word in spacing.split()) < 3:
        raise _no_spacing(path)
    notes: tuple[str, ...] = ()
    if not any(key in fields for key in ("transformmatrix", "rotation", "orientation")):
        notes = ("The file does not say how the head lies: the R, L, A, P, S, I letters may be wrong.",)
    return _read(path, notes, "MetaImage", takes_first_component=False)


def _read(path: Path, notes: tuple[str, ...], file_format: str, *, takes_first_component: bool) -> RawScan:
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        dimension = reader.GetDimension()
        if dimension < 3:
            raise ScanError(f"'{path.name}' is a flat picture without slice thickness; open the original scan.")
        image = reader.Execute()
    except RuntimeError as error:
        raise incomplete(path.name) from error
    except MemoryError as error:
        raise ScanError(f"'{path.name}' is too large for this computer's memory; crop it and try again.") from error
    if "complex" in image.GetPixelIDTypeAsString():
        raise ScanError(f"'{path.name}' holds complex numbers; export the magnitude image and open that.")
    components = image.GetNumberOfComponentsPerPixel()
    if components > 1:
        if not takes_first_component:
            raise ScanError(f"'{path.name}' holds colours or vectors instead of grey values; open the original scan.")
        image = sitk.VectorIndexSelectionCast(image, 0)
        notes = (*notes, f"The file holds {components} images of the same grid; the first is shown.")
    while image.GetDimension() > 3:
        frames = image.GetSize()[-1]
        if frames > 1:
            notes = (*notes, f"The file holds {frames} images of the same grid; the first is shown.")
        size = list(image.GetSize())
        size[-1] = 0
        image = sitk.Extract(image, size, [0] * len(size), sitk.ExtractImageFilter.DIRECTIONCOLLAPSETOSUBMATRIX)
    x, y, z = image.GetSize()
    geometry = Geometry((x, y, z), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    if min(x, y, z) == 1:
        notes = (*notes, "The scan has only one slice, so a volume measured on it is only a rough figure.")
    values = np.asarray(sitk.GetArrayViewFromImage(image)).copy()
    return RawScan(values, geometry, notes, values.dtype, file_format)


def _header_fields(path: Path, separator: str) -> dict[str, str]:
    """Field names in lower case to their text, up to the blank line or the data."""
    try:
        with path.open("rb") as stream:
            text = stream.read(_HEADER_LIMIT).decode("latin-1")
    except OSError as error:
        raise access_error(path.name, error) from error
    fields: dict[str, str] = {}
    for number, line in enumerate(text.splitlines()):
        line = line.strip()
        if not line and number and separator == ":":
            break
        name, found, value = line.partition(separator)
        if found and not line.startswith("#"):
            fields[name.strip().lower()] = value.strip().removeprefix("=").strip()
        if name.strip().lower() == "elementdatafile":
            break
    return fields


def _is_positive(word: str) -> bool:
    try:
        return 0 < abs(float(word)) < float("inf")
    except ValueError:
        return False


def _no_spacing(path: Path) -> ScanError:
    return ScanError(f"'{path.name}' does not say how large its voxels are; export it again from the original scan.")
