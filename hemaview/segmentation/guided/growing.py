"""A first guess of a lesion's extent from a point: the region of like grey values that stands out most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.plan import Point
from hemaview.segmentation.guided.protocols import Check

_REACH_MM = 60.0
"""Half the side of the part of the scan that is looked at, beyond the points."""
_PIXEL_MM = 1.5
"""Pixels in plane are made about this large; finer ones only cost time."""
_TOLERANCES = np.linspace(0.01, 0.6, 24)
"""Tried differences from the point's grey value, as quantiles of all differences."""
_LIMITS_ML = 0.1, 160.0


def grown_box(points: Sequence[Point], frame: Frame, check: Check) -> Box | None:
    """The box round the best region through the first point; None where no region stands out.

    Of all regions whose grey values differ from the point's by less than a tolerance, the one is taken whose own
    values and those of the shell round it are furthest apart (the 90th percentile inside against the 30th outside),
    a robust form of growing to the largest contrast across the boundary (Hojjatolislami and Kittler, IEEE TIP 1998).
    """
    spacing = np.array(frame.spacing_kji)
    places = np.array([(p.k, p.j, p.i) for p in points])
    low = np.maximum(np.floor(places.min(axis=0) - _REACH_MM / spacing), 0).astype(int)
    high = np.minimum(np.ceil(places.max(axis=0) + _REACH_MM / spacing) + 1, frame.shape).astype(int)
    stride = max(1, round(_PIXEL_MM / float(spacing[1])))
    values = frame.window((slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])))
    blur = [min(0.5, 0.75 / spacing[0]), 1.2 / spacing[1], 1.2 / spacing[2]]
    values = ndimage.gaussian_filter(values, blur)[:, ::stride, ::stride]
    steps = np.array([1, stride, stride])
    seed = np.minimum(np.round((places[0] - low) / steps).astype(int), np.array(values.shape) - 1)
    centre = slice(seed[0], seed[0] + 1), *(slice(max(0, n - 1), n + 2) for n in seed[1:])
    apart = np.abs(values - np.median(values[centre]))
    cell_ml = float(np.prod(spacing * steps)) / 1000
    best: NDArray[np.bool_] | None = None
    best_gap = 0.0
    for tolerance in np.quantile(apart, _TOLERANCES):
        check()
        region = _region(apart <= tolerance, centre)
        if region is None or not _LIMITS_ML[0] <= np.count_nonzero(region) * cell_ml <= _LIMITS_ML[1]:
            continue
        shell = ndimage.binary_dilation(region, iterations=2) & ~ndimage.binary_dilation(region)
        if not shell.any():
            continue
        gap = float(np.quantile(apart[shell], 0.3) - np.quantile(apart[region], 0.9))
        if best is None or gap > best_gap:
            best, best_gap = region, gap
    if best is None:
        return None
    lower, upper = [], []
    for number, window in enumerate(ndimage.find_objects(best.astype(np.uint8))[0]):
        lower.append(float(low[number] + (window.start - 0.5) * steps[number]))
        upper.append(float(low[number] + (window.stop - 0.5) * steps[number]))
    box = Box((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))
    return box.joined((places.min(axis=0) - 0.5).tolist(), (places.max(axis=0) + 0.5).tolist())


def _region(alike: NDArray[np.bool_], centre: tuple[slice, ...]) -> NDArray[np.bool_] | None:
    """The part through the point without thin bridges and holes."""
    labels, _ = ndimage.label(alike)
    here = labels[centre]
    if not here.any():
        return None
    opened, _ = ndimage.label(ndimage.binary_opening(labels == here[here > 0][0]))
    here = opened[centre]
    if not here.any():
        return None
    return np.asarray(ndimage.binary_fill_holes(opened == here[here > 0][0]))
