"""Philips PAR/REC: a text header with one line per picture (.PAR) and the pictures (.REC)."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.parrec import PARRECHeader
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import read_range, read_start
from hemaview.imaging.reading.pairs import voxels_of
from hemaview.imaging.reading.scan_file import RAS_TO_LPS, Progress, ScanFile, check_voxel_size, damaged_header
from hemaview.imaging.sequence import sequence_in_name

_COMPONENTS = {0: "MAGNITUDE", 1: "REAL", 2: "IMAGINARY", 3: "PHASE"}
_HEADER_LIMIT = 64 << 20
_PLACE_TOLERANCE_MM = 0.1
_PSL_TO_LPS = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
"""PAR files give places as (anterior to posterior, feet to head, right to left)."""


def is_par(start: bytes) -> bool:
    """Whether the first bytes of a file are a PAR header."""
    text = start[:4096]
    return text.lstrip().startswith(b"#") and (b"DATA DESCRIPTION FILE" in text or b"image export tool" in text)


@dataclass(frozen=True)
class _Pictures:
    """Pictures of ``shape`` (rows, columns) in a REC file, in the order (image, slice).

    ``places``, ``slopes`` and ``intercepts`` are (images, slices): the number of the picture in the file, and its
    scaling to the values on the scanner's console.
    """

    path: Path
    dtype: np.dtype
    shape: tuple[int, int]
    places: NDArray[np.int64]
    slopes: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def read(self, index: int, progress: Progress | None = None) -> NDArray:
        """``values[k, j, i]`` of one image. Raises ``ScanError``."""
        rows, columns = self.shape
        length = rows * columns * self.dtype.itemsize
        first, last = int(self.places[index].min()), int(self.places[index].max())
        data = read_range(self.path, first * length, (last - first + 1) * length)
        stored = data.view(self.dtype).reshape(-1, rows, columns)
        volume = np.empty((self.places.shape[1], rows, columns), dtype=np.float32)
        for k, place in enumerate(self.places[index]):
            volume[k] = stored[place - first] * self.slopes[index, k] + self.intercepts[index, k]
            if progress:
                progress((k + 1) / len(volume))
        return volume


def open_par(path: Path) -> ScanFile:
    """The PAR half; values as on the scanner's console, a sheared or uneven stack is refused.

    Of a recording that ended early the complete images are kept, which a note says. Raises ``ScanError`` when the
    pictures' places contradict the scan's position, and for damaged headers.
    """
    header, complete = _header(path)
    try:
        i, j, k, *images = (int(n) for n in header.get_data_shape())
        affine = np.asarray(header.get_affine(), dtype=np.float64)
        pictures = _pictures(path, header, (i, j, k), images[0] if images else 1)
        zooms = np.asarray(header.get_zooms()[:3], dtype=np.float64)
        centres = _slice_centres(header, k)
        facts = _facts(header)
    except ScanError:
        raise
    except Exception as error:  # whatever nibabel raises, the header could not be decoded
        raise damaged_header(path, "PAR") from error
    check_voxel_size(affine, zooms, path)
    geometry = Geometry.from_affine(RAS_TO_LPS @ affine, (i, j, k))
    _check_places(geometry, centres, path)
    return ScanFile(
        format="PAR/REC",
        geometry=geometry,
        stored_dtype=pictures.dtype,
        read=pictures.read,
        count=len(pictures.places),
        modality="MR",
        facts=facts,
        notes=() if complete else ("The recording ended early; only its complete images can be opened.",),
    )


def _header(path: Path) -> tuple[PARRECHeader, bool]:
    """The decoded header, and whether all images it announces are there."""
    text = read_start(path, _HEADER_LIMIT).decode("latin-1").replace("\r\n", "\n")
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            header = PARRECHeader.from_fileobj(io.StringIO(text), permit_truncated=True, strict_sort=True)
            complete = not any("Header inconsistency" in str(w.message) or "partial" in str(w.message) for w in said)
            return header, complete
    except Exception as error:  # whatever nibabel raises, the header could not be decoded
        raise damaged_header(path, "PAR") from error


def _pictures(path: Path, header: PARRECHeader, size: tuple[int, int, int], images: int) -> _Pictures:
    order = np.asarray(header.get_sorted_slice_indices())
    numbers = np.asarray(header.image_defs["index in REC file"], dtype=np.int64)
    slopes, intercepts = (np.asarray(s, dtype=np.float64) for s in header.get_data_scaling(method="dv"))
    if min(*size, images) < 1 or len(order) != images * size[2] or len(np.unique(numbers)) != len(numbers):
        raise damaged_header(path, "PAR")
    if numbers.min() < 0 or numbers.max() >= len(numbers) or not np.all(np.isfinite([slopes, intercepts])):
        raise damaged_header(path, "PAR")
    by_image = (images, size[2])
    return _Pictures(
        path=voxels_of(path),
        dtype=np.dtype(header.get_data_dtype()),
        shape=(size[1], size[0]),
        places=numbers[order].reshape(by_image),
        slopes=slopes.reshape(size[2], images, order="F").T,
        intercepts=intercepts.reshape(size[2], images, order="F").T,
    )


def _facts(header: PARRECHeader) -> dict[str, str]:
    """What the kind of sequence is guessed from; of the protocol's name only the kind it names is kept."""
    facts = {
        "repetition_time_ms": f"{float(np.ravel(header.general_info['repetition_time'])[0]):g}",
        "echo_time_ms": f"{float(header.image_defs['echo_time'][0]):g}",
        "flip_degrees": f"{float(header.image_defs['image_flip_angle'][0]):g}",
    }
    named = sequence_in_name(str(header.general_info["protocol_name"]))
    components = {_COMPONENTS.get(int(code)) for code in header.image_defs["image_type_mr"]}
    if named:
        facts["named"] = str(named)
    if len(components) == 1 and (component := components.pop()):
        facts["component"] = component
    return facts


def _slice_centres(header: PARRECHeader, slices: int) -> NDArray[np.float64]:
    """(images, slices, 3) LPS mm of the middle of every picture."""
    order = np.asarray(header.get_sorted_slice_indices())
    places = np.asarray(header.image_defs["image offcentre"], dtype=np.float64)[order]
    return np.asarray(places.reshape(-1, slices, 3) @ _PSL_TO_LPS.T)


def _check_places(geometry: Geometry, centres: NDArray[np.float64], path: Path) -> None:
    """Raise ``ScanError`` unless every picture lies where the scan's position puts its slice."""
    i, j, k = geometry.size
    expected = geometry.index_to_lps([((i - 1) / 2, (j - 1) / 2, slice_) for slice_ in range(k)])
    if not np.all(np.linalg.norm(centres - expected, axis=-1) <= _PLACE_TOLERANCE_MM):
        raise ScanError(
            f"The slices in '{path.name}' do not lie where its position and spacing put them; "
            "open the DICOM files of this scan."
        )
