"""Files that SimpleITK decodes: NRRD and MetaImage, whose sheared axes it keeps exactly.

SimpleITK fills in a spacing of 1 mm where a file names none, and believes any size; so ``nrrd`` and ``metaimage`` look
at the text header first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import incomplete
from hemaview.imaging.reading.scan_file import (
    COLOUR_PICTURE,
    MAGNITUDE_SHOWN,
    THICKNESS_UNKNOWN,
    Progress,
    ScanFile,
    check_voxel_size,
)
from hemaview.imaging.reading.stored_voxels import luminance
from hemaview.imaging.reading.text_header import check_holds

_COLOUR_CHANNELS = (3, 4)


@dataclass(frozen=True)
class TextFacts:
    """What the text header says: voxel lengths in mm along the image axes, where its data are, and what a voxel is.

    ``colour`` tells a colour from ``images`` that lie on one grid with their voxels interleaved; where both are False,
    a voxel of several numbers is refused.
    """

    lengths: tuple[float, ...]
    detached: str
    encoding: str
    colour: bool = False
    images: bool = False


def open_itk(path: Path, file_format: str, facts: TextFacts, notes: tuple[str, ...]) -> ScanFile:
    """The file as SimpleITK's header reading gives it. Raises ``ScanError`` where the two readings differ."""
    reader = _reader(path)
    size = tuple(int(n) for n in reader.GetSize())
    components = int(reader.GetNumberOfComponents())
    kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    if len(size) < 2 or min(size) < 1:
        raise incomplete(path.name)
    dtype = _dtype(kind)
    is_complex = "complex" in kind
    interleaved = components > 1 and facts.images
    is_colour = facts.colour and components in _COLOUR_CHANNELS and dtype == np.uint8
    if components > 1 and not (is_complex or interleaved or is_colour):
        raise ScanError(f"'{path.name}' holds vectors instead of grey values; open the scan it was made from.")
    claimed = float(np.prod(size, dtype=np.float64)) * components * dtype.itemsize
    check_holds(path, facts.detached, facts.encoding, claimed)
    geometry = _geometry(reader, size)
    check_voxel_size(geometry.affine, np.asarray(facts.lengths), path)

    def read(index: int, progress: Progress | None = None) -> NDArray:
        if interleaved:
            return _channel(_execute(_reader(path), path), index)
        return _grey(_execute(_reader(path, size, index), path), geometry.shape)

    flat = THICKNESS_UNKNOWN if len(size) < 3 else None
    return ScanFile(
        format=file_format,
        geometry=geometry,
        stored_dtype=dtype,
        read=read,
        count=components if interleaved else int(np.prod(size[3:], dtype=np.int64)),
        notes=(*notes, MAGNITUDE_SHOWN) if is_complex else notes,
        not_measurable=COLOUR_PICTURE if is_colour else flat,
    )


def _reader(path: Path, size: tuple[int, ...] = (), index: int = 0) -> sitk.ImageFileReader:
    """A reader that has read the header; with ``size`` it will read only the image ``index``."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise incomplete(path.name) from error
    if len(size) > 3:
        place = np.unravel_index(index, size[3:], order="F")
        reader.SetExtractIndex([0, 0, 0, *(int(n) for n in place)])
        reader.SetExtractSize([*size[:3], *(0 for _ in size[3:])])
    return reader


def _execute(reader: sitk.ImageFileReader, path: Path) -> sitk.Image:
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise incomplete(path.name) from error
    except MemoryError as error:
        raise ScanError(f"'{path.name}' is too large for this computer's memory; crop it and try again.") from error


def _dtype(kind: str) -> np.dtype:
    """Type of one number of a voxel from ITK's name of its pixel type."""
    words = kind.replace("complex of ", "").replace("vector of ", "").split()
    letter = "f" if "float" in words else "u" if "unsigned" in words else "i"
    bits = next((int(w.removesuffix("-bit")) for w in words if w.endswith("-bit")), 8)
    return np.dtype(f"{letter}{bits // 8}")


def _geometry(reader: sitk.ImageFileReader, size: tuple[int, ...]) -> Geometry:
    """The grid of the first three axes; a third axis of one voxel and 1 mm where there are only two."""
    rank = len(size)
    taken = min(rank, 3)
    directions = np.eye(3)
    directions[:taken, :taken] = np.reshape(reader.GetDirection(), (rank, rank))[:taken, :taken]
    x, y, z = (*size[:taken], 1)[:3]
    spacing = np.ones(3)
    spacing[:taken] = reader.GetSpacing()[:taken]
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:taken, 3] = reader.GetOrigin()[:taken]
    return Geometry.from_affine(affine, (x, y, z))


def _channel(image: sitk.Image, index: int) -> NDArray:
    return _array(sitk.VectorIndexSelectionCast(image, index))


def _grey(image: sitk.Image, shape: tuple[int, int, int]) -> NDArray:
    """``values[k, j, i]``: magnitude of complex numbers, luminance of colours."""
    if "complex" in image.GetPixelIDTypeAsString():
        image = sitk.ComplexToModulus(image)
    channels = image.GetNumberOfComponentsPerPixel()
    if channels == 1:
        return _array(image).reshape(shape)
    colours = [_array(sitk.VectorIndexSelectionCast(image, n)).reshape(shape) for n in range(3)]
    return luminance(dict(zip("RGB", colours, strict=True)))


def _array(image: sitk.Image) -> NDArray:
    return np.asarray(sitk.GetArrayViewFromImage(image)).copy()
