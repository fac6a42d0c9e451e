"""A small grey picture of a series for lists, decoded from one picture of one file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.values import read_values
from hemaview.imaging.windowing import CT_AUTO_WINDOW, Window, to_grey8

_LARGEST_SIDE = 256
_PERCENTILES = (1.0, 99.5)
_HU_CONTRAST = 200


@dataclass(frozen=True)
class Thumbnail:
    """``grey`` is (rows, columns), at most 256 pixels a side; ``pixel_spacing`` (between rows, between columns).

    The spacing is in mm, or (1, 1) where only the picture's own proportions are known.
    """

    grey: NDArray[np.uint8]
    pixel_spacing: tuple[float, float]


def thumbnail_of(picture: Instance) -> Thumbnail | None:
    """The picture windowed as a radiologist would first see it; None when it cannot be decoded."""
    try:
        values = read_values([picture])[0][0]
    except ScanError:
        return None
    rows, columns = (max(1, -(-n // _LARGEST_SIDE)) for n in values.shape)
    small = np.ascontiguousarray(values[::rows, ::columns])
    down, across = picture.pixel_spacing or (1.0, 1.0)
    if down <= 0 or across <= 0:
        down = across = 1.0
    return Thumbnail(to_grey8(small, _window(small, picture)), (down * rows, across * columns))


def _window(values: NDArray, picture: Instance) -> Window:
    low, high = (float(v) for v in np.percentile(values, _PERCENTILES))
    holds_hu = picture.modality == "CT" and picture.bits_stored > 8 and picture.photometric == "MONOCHROME2"
    if holds_hu and low < CT_AUTO_WINDOW.lower and high - low > _HU_CONTRAST and "LOCALIZER" not in picture.image_type:
        return CT_AUTO_WINDOW
    return Window.between(low, high)
