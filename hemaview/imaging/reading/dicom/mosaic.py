"""Slices that lie side by side in one frame: Siemens mosaics and the grids of United Imaging."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hemaview.imaging.reading.dicom.elements import decimal, floats, items, text
from hemaview.imaging.reading.dicom.header import Instance, Tile, tiles_in_frame

_UIH_CREATOR, _UIH_SLICES = (0x0065, 0x0010), (0x0065, 0x1051)
_LARGEST_COUNT = 4096
_NORMAL_AGREES = 1e-3


def mosaic_tiles(instance: Instance, dataset: Dataset) -> tuple[Instance, ...]:
    """One Instance per slice in a frame, in the order of acquisition space that the header states.

    Slices that cannot be placed have no position. A frame whose number of slices is unknown or does not fit its size
    stays one picture without position.
    """
    csa = _siemens_header(dataset)
    count = tiles_in_frame(dataset) or _count(csa)
    is_grid = text(dataset, _UIH_CREATOR) == "Image Private Header"
    shape = _grid_shape(instance, count) if is_grid else _square(count)
    if shape is None or instance.rows % shape[0] or instance.columns % shape[1]:
        return (replace(instance, position=None, orientation=None),)
    rows, columns = instance.rows // shape[0], instance.columns // shape[1]
    positions = _uih_positions(dataset, count) if is_grid else _siemens_positions(instance, dataset, csa, count, shape)
    frame_shape = (instance.rows, instance.columns)
    return tuple(
        replace(
            instance,
            rows=rows,
            columns=columns,
            position=position,
            tile=Tile(n // shape[1] * rows, n % shape[1] * columns, *frame_shape),
        )
        for n, position in enumerate(positions)
    )


def _square(count: int) -> tuple[int, int] | None:
    """Siemens fills the smallest square of tiles that holds all slices."""
    side = math.ceil(math.sqrt(count))
    return (side, side) if 1 < count <= _LARGEST_COUNT else None


def _grid_shape(instance: Instance, count: int) -> tuple[int, int] | None:
    """(tiles down, tiles across) of a United Imaging grid: as wide as a square, with or without its empty rows."""
    square = _square(count)
    if square is None or instance.pixel_spacing is None:
        return None
    across = square[1]
    height, width = (n * s for n, s in zip((instance.rows, instance.columns), instance.pixel_spacing, strict=True))
    down = {across, math.ceil(count / across)}
    if len(down) > 1:  # a slice is as high as wide unless the two ways of filling cannot be told apart
        down = {n for n in down if math.isclose(height / n, width / across, rel_tol=1e-3)}
    return (down.pop(), across) if len(down) == 1 else None


def _siemens_positions(
    instance: Instance, dataset: Dataset, csa: dict[str, Sequence[Any]], count: int, shape: tuple[int, int]
) -> Sequence[tuple[float, ...] | None]:
    """Centre of the first pixel of each slice, LPS mm.

    The header's position is that of a picture as large as the mosaic around the first slice's centre, and slices
    follow each other along the normal of the private header, which may be opposite to rows x columns
    (Siemens; the same computation is in nibabel.nicom.dicomwrappers.MosaicWrapper).
    """
    normal = csa.get("SliceNormalVector", ())
    step = decimal(dataset, "SpacingBetweenSlices")
    if instance.position is None or instance.orientation is None or instance.pixel_spacing is None:
        return (None,) * count
    if len(normal) != 3 or step is None or step <= 0:
        return (None,) * count
    row, column = np.array(instance.orientation[:3]), np.array(instance.orientation[3:])
    along = np.array([float(n) for n in normal])
    if abs(abs(float(along @ np.cross(row, column))) - 1) > _NORMAL_AGREES:
        return (None,) * count
    down, across = instance.pixel_spacing
    rows, columns = instance.rows // shape[0], instance.columns // shape[1]
    shift = row * across * (instance.columns - columns) / 2 + column * down * (instance.rows - rows) / 2
    first: NDArray[np.float64] = np.array(instance.position) + shift
    return [tuple(float(v) for v in first + n * step * along) for n in range(count)]


def _uih_positions(dataset: Dataset, count: int) -> Sequence[tuple[float, ...] | None]:
    """Positions that the grid's private sequence states slice by slice."""
    slices = items(dataset, _UIH_SLICES)
    if len(slices) != count:
        return (None,) * count
    return [floats(item, "ImagePositionPatient", 3) for item in slices]


def _siemens_header(dataset: Dataset) -> dict[str, Sequence[Any]]:
    """Names and values of the private CSA image header; empty when there is none or it is damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its DICOM readers experimental
        from nibabel.nicom import csareader
    try:
        header = csareader.get_csa_header(dataset, "image")
        return {name: tag["items"] for name, tag in header["tags"].items()} if header else {}
    except Exception:  # the private bytes are damaged, which raises many kinds
        return {}


def _count(csa: dict[str, Sequence[Any]]) -> int:
    counts = csa.get("NumberOfImagesInMosaic", ())
    return int(counts[0]) if len(counts) == 1 and str(counts[0]).isdigit() else 0
