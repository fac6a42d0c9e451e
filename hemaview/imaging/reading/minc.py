"""MINC1 (NetCDF) and MINC2 (HDF5) files.

SimpleITK opens MINC2 as well, but takes its world axes, which are RAS, for LPS; so nibabel scales the values, and the
axes are read here.
"""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from nibabel.minc1 import Minc1File
from nibabel.minc2 import Minc2File
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.files import MAX_DEFLATE_RATIO, incomplete, read_start
from hemaview.imaging.reading.scan_file import RAS_TO_LPS, Progress, ScanFile, damaged_header, no_voxel_size

_AXES = {"xspace": (1.0, 0.0, 0.0), "yspace": (0.0, 1.0, 0.0), "zspace": (0.0, 0.0, 1.0)}
"""The directions of MINC's axes, in RAS, where the file does not turn them."""

_COSINE_TOLERANCE = 0.01
_HDF5 = b"\x89HDF\r\n\x1a\n"


def is_minc1(start: bytes) -> bool:
    """Whether the first bytes of a file (unpacked) are NetCDF, the container of MINC1."""
    return start[:4] in (b"CDF\x01", b"CDF\x02")


def is_minc2(start: bytes) -> bool:
    """Whether the first bytes of a file are HDF5, the container of MINC2."""
    return start[:8] == _HDF5


def open_minc(path: Path) -> ScanFile:
    """A MINC file on the grid of its three spatial axes, in their stored order; a time axis gives several images.

    Raises ``ScanError`` for irregularly spaced axes, a missing step, vectors, other NetCDF and HDF5 files, and
    damaged ones.
    """
    with _opened(path) as (minc, axes):
        shape = tuple(int(n) for n in minc.get_data_shape())
        names = tuple(axes)
        dtype = np.dtype(minc.get_data_dtype())
    spatial = [axis for axis, name in enumerate(names) if name in _AXES]
    others = [axis for axis in range(len(names)) if axis not in spatial]
    if len(shape) != len(names) or len(spatial) != 3 or len(others) > 1 or "vector_dimension" in names:
        raise ScanError(f"'{path.name}' does not hold a volume of grey values; open the scan it was made from.")
    _check_size(path, shape, dtype)
    # The last axis runs fastest: it is i.
    ordered = [names[axis] for axis in reversed(spatial)]
    affine = _affine([axes[name] for name in ordered], ordered, path)
    size = (shape[spatial[2]], shape[spatial[1]], shape[spatial[0]])

    def read(index: int, progress: Progress | None = None) -> NDArray:
        return _values(path, others[0] if others else None, index, size[::-1])

    return ScanFile(
        format="MINC",
        geometry=Geometry.from_affine(RAS_TO_LPS @ affine, size),
        stored_dtype=dtype,
        read=read,
        count=shape[others[0]] if others else 1,
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Minc1File, Mapping[str, Mapping[str, Any]]]]:
    """The file's image, and the attributes of its axes by name in their stored order."""
    start = read_start(path, len(_HDF5))
    try:
        with warnings.catch_warnings(action="ignore"):
            # Both libraries are slow to load, and most programs never meet a MINC file.
            if is_minc2(start):
                import h5py

                with h5py.File(path, "r") as container:
                    axes = _regular(_axes_of_minc2(container, path), path)
                    yield Minc2File(container), axes
            else:
                from scipy.io import netcdf_file

                with _unpacked(path) as stream:
                    contents = netcdf_file(stream, mmap=False)
                    axes = _regular(_axes_of_minc1(contents, path), path)
                    yield Minc1File(contents), axes
    except ScanError:
        raise
    except MemoryError as error:
        raise ScanError(f"'{path.name}' is too large for this computer's memory; crop it and try again.") from error
    except Exception as error:  # the libraries below raise whatever a damaged file leads them to
        raise damaged_header(path, "MINC") from error


def _unpacked(path: Path) -> BinaryIO:
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path)) if packed else path.open("rb")


def _axes_of_minc1(container: Any, path: Path) -> dict[str, Mapping[str, Any]]:
    if "image" not in container.variables:
        raise _not_minc(path, "NetCDF")
    return {name: vars(container.variables[name]) for name in container.variables["image"].dimensions}


def _axes_of_minc2(container: Any, path: Path) -> dict[str, Mapping[str, Any]]:
    if "minc-2.0" not in container:
        raise _not_minc(path, "HDF5")
    image = container["minc-2.0/image/0/image"]
    names = image.attrs["dimorder"].decode().split(",")[: len(image.shape)]
    return {name: dict(container["minc-2.0/dimensions"][name].attrs) for name in names}


def _regular(axes: dict[str, Mapping[str, Any]], path: Path) -> dict[str, Mapping[str, Any]]:
    """``axes``, unless one of the three in space has no even steps, which nibabel does not always notice."""
    for name in _AXES:
        if bytes(np.bytes_(axes.get(name, {}).get("spacing", b""))).startswith(b"irregular"):
            raise ScanError(f"The slices in '{path.name}' are irregularly spaced; open the original scan.")
    return axes


def _not_minc(path: Path, container: str) -> ScanError:
    return ScanError(f"'{path.name}' is {container} data, but no MINC scan; open the scan it was made from.")


def _check_size(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise ``ScanError`` when the voxels cannot be in the file, before memory is taken for them."""
    claimed = float(np.prod(shape, dtype=np.float64)) * dtype.itemsize
    if min(shape) < 1 or claimed > path.stat().st_size * MAX_DEFLATE_RATIO:
        raise incomplete(path.name)


def _affine(axes: list[Mapping[str, Any]], names: list[str], path: Path) -> NDArray[np.float64]:
    """(4, 4) matrix from (i, j, k, 1) to RAS mm; ``axes`` are those of i, j and k."""
    matrix = np.eye(4)
    for column, (axis, name) in enumerate(zip(axes, names, strict=True)):
        step, start = (float(np.ravel(axis.get(key, missing))[0]) for key, missing in (("step", 0), ("start", 0)))
        if not np.isfinite(step) or step == 0:
            raise no_voxel_size(path)
        cosines = np.ravel(axis.get("direction_cosines", _AXES[name])).astype(np.float64)
        if cosines.shape != (3,) or abs(np.linalg.norm(cosines) - 1) > _COSINE_TOLERANCE:
            raise ScanError(f"The position of the head in '{path.name}' is damaged; export it again.")
        matrix[:3, column] = cosines * step
        matrix[:3, 3] += cosines * start
    return matrix


def _values(path: Path, image_axis: int | None, index: int, shape: tuple[int, int, int]) -> NDArray:
    with _opened(path) as (minc, axes):
        if image_axis is None:
            return np.asarray(minc.get_scaled_data())
        slicer: list[Any] = [slice(None)] * len(axes)
        slicer[image_axis] = index
        return np.asarray(minc.get_scaled_data(tuple(slicer))).reshape(shape)
