"""Voxels that lie in a file as a plain block: one image after the other, the first axis running fastest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.reading.files import read_range
from hemaview.imaging.reading.pixels import apply_scaling
from hemaview.imaging.reading.scan_file import Progress

_LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey that an eye sees (ITU-R BT.601)."""


@dataclass(frozen=True)
class StoredVoxels:
    """Images of ``size`` (i, j, k) voxels from byte ``offset`` of ``path``, which may be gzipped.

    ``dtype`` is the type of a voxel in the file: a number, a complex number, or fields of red, green and blue.
    ``scaling`` holds one (slope, intercept) for all images, or one for each.
    """

    path: Path
    offset: int
    dtype: np.dtype
    size: tuple[int, int, int]
    scaling: tuple[tuple[float, float], ...] = ((1.0, 0.0),)

    @property
    def is_complex(self) -> bool:
        """Whether a voxel is a complex number."""
        return self.dtype.kind == "c"

    @property
    def is_colour(self) -> bool:
        """Whether a voxel is a colour."""
        return self.dtype.names is not None

    def read(self, index: int, progress: Progress | None = None) -> NDArray:
        """``values[k, j, i]`` of one image, scaled; magnitude of complex numbers, luminance of colours.

        Only its own bytes are read, and never more than the file can hold. Raises ``ScanError``.
        """
        if progress:
            progress(0.1)
        length = self.size[0] * self.size[1] * self.size[2] * self.dtype.itemsize
        data = read_range(self.path, self.offset + index * length, length)
        if progress:
            progress(0.7)
        stored = data.view(self.dtype).reshape(self.size[::-1])
        slope, intercept = self.scaling[index if len(self.scaling) > 1 else 0]
        if self.is_colour:
            return luminance(stored)
        if self.is_complex:
            return np.abs(stored * slope + intercept)
        return apply_scaling(stored, slope, intercept)


def readable_dtype(dtype: np.dtype, path: Path) -> np.dtype:
    """``dtype`` when its numbers can be shown; raises ``ScanError`` otherwise."""
    if dtype.names is None and (dtype.kind not in "iufc" or dtype.itemsize > 16):
        raise ScanError(f"'{path.name}' stores its voxels in an unsupported type ({dtype}); export it again.")
    return dtype


def luminance(colours: Mapping[str, NDArray] | NDArray) -> NDArray[np.uint8]:
    """Grey levels, 0 to 255, of an array with the fields R, G and B, or of three arrays by these names."""
    red, green, blue = (colours[name].astype(np.float32) * w for name, w in zip("RGB", _LUMINANCE, strict=True))
    return np.asarray(np.rint(red + green + blue), dtype=np.uint8)
