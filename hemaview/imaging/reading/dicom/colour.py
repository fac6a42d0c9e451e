"""Colour pictures as the grey they look like, for secondary captures that can only be looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
"""ITU-R BT.601, as in DICOM's own YBR_FULL (PS3.3 C.7.6.3.1.2)."""

_RGB = ("RGB", "YBR_RCT", "YBR_ICT")
PALETTE = "PALETTE COLOR"


def luminance(pixels: NDArray, photometric: str) -> NDArray:
    """(rows, columns) brightness of (rows, columns, 3) ``pixels`` in the type they have."""
    if photometric not in _RGB:  # the first channel of every YBR kind is the brightness
        return pixels[..., 0]
    grey = pixels.astype(np.float32) @ np.array([_RED, _GREEN, _BLUE], dtype=np.float32)
    return np.asarray(np.rint(grey), dtype=pixels.dtype)


def separate_channels(values: NDArray, rows: int, columns: int, *, by_plane: bool) -> NDArray:
    """(rows, columns, 3) of the uncompressed values of one frame, stored pixel by pixel or ``by_plane``."""
    if by_plane:
        return np.moveaxis(values.reshape(3, rows, columns), 0, -1)
    return values.reshape(rows, columns, 3)


def brightness_of_422(values: NDArray, rows: int, columns: int) -> NDArray:
    """(rows, columns) brightness where two pixels share their colours: Y Y Cb Cr (PS3.5 8.2.1, YBR_FULL_422)."""
    return values.reshape(-1, 4)[:, :2].reshape(rows, columns)


def palette_brightness(indices: NDArray, palette: Dataset) -> NDArray:
    """(rows, columns) brightness of the colours that ``indices`` choose; raises anything pydicom raises."""
    return luminance(apply_color_lut(indices, palette), "RGB")
