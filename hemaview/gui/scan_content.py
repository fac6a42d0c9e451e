"""Where in a scan the head is, which values it has, and where a mask lies: what viewers need to fit and scale."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.imaging import Volume
from hemaview.imaging.scan_advice import scan_advice
from hemaview.imaging.windowing import Window, auto_window

Region = tuple[slice, slice, slice]

_AIR_BELOW_HU = -500.0


@dataclass(frozen=True, eq=False)
class ScanLooks:
    """What a viewer needs of a scan before it can show it: see ``content_bounds``, ``value_range``, ``auto_window``.

    ``advice`` are the sentences of ``scan_advice``.
    """

    content: tuple[NDArray[np.float64], NDArray[np.float64]]
    value_range: tuple[float, float]
    window: Window
    advice: tuple[str, ...]


_known: WeakKeyDictionary[Volume, ScanLooks] = WeakKeyDictionary()


def scan_looks(volume: Volume) -> ScanLooks:
    """Measured once per scan; who reads a scan asks first, in its own thread, so that the window need not."""
    looks = _known.get(volume)
    if looks is None:
        looks = _known[volume] = ScanLooks(
            content_bounds(volume), value_range(volume), auto_window(volume), scan_advice(volume)
        )
    return looks


def mask_extent(mask: NDArray[np.bool_]) -> Region | None:
    """Smallest (k, j, i) slices that hold the mask, or None; looks at each page once."""
    pages = np.flatnonzero(mask.reshape(mask.shape[0], -1).any(axis=1))
    if not len(pages):
        return None
    k = slice(int(pages[0]), int(pages[-1]) + 1)
    shadow = np.any(mask[k], axis=0)
    rows, columns = (np.flatnonzero(np.any(shadow, axis=axis)) for axis in (1, 0))
    return k, slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def content_bounds(volume: Volume) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper faces (i, j, k) of what stands out from the background; the whole scan when nothing does.

    Of a scan for looking only, a scout or a page of text, all of it.
    Background is air in a CT in HU, else what lies below a tenth of the way from the 1st to the 99th percentile.
    Of what remains the largest connected body counts, so that neither noise nor the head rest does.
    """
    lower = np.full(3, -0.5)
    upper = np.asarray(volume.geometry.size) - 0.5
    if volume.not_measurable is not None:
        return lower, upper
    sample, steps = _sample(volume)
    if volume.is_hounsfield:
        bright = sample > _AIR_BELOW_HU
    else:
        low, high = (float(v) for v in np.percentile(sample, (1, 99)))
        bright = sample > low + 0.1 * (high - low)
    # Eroding parts what only touches; the scan's border is no border of the body.
    bodies, count = ndimage.label(ndimage.binary_erosion(bright, border_value=1))
    if count == 0:
        return lower, upper
    largest = ndimage.find_objects(bodies)[int(np.argmax(np.bincount(bodies.ravel())[1:]))]
    for axis, part in enumerate(largest):
        # Two samples of margin: one was eroded, and the border may lie between two samples.
        lower[2 - axis] = max(lower[2 - axis], (part.start - 2) * steps[axis])
        upper[2 - axis] = min(upper[2 - axis], (part.stop + 1) * steps[axis] + 0.5)
    return lower, upper


def value_range(volume: Volume) -> tuple[float, float]:
    """The 0.1st to 99.9th percentile of the scan, at least 1e-3 apart."""
    sample, _ = _sample(volume)
    low, high = (float(v) for v in np.percentile(sample, (0.1, 99.9)))
    return low, max(high, low + 1e-3)


def _sample(volume: Volume) -> tuple[NDArray[np.float32], tuple[int, int, int]]:
    """About 64 samples along each axis, with the steps (k, j, i) between them."""
    k, j, i = (max(1, n // 64) for n in volume.array.shape)
    return volume.array[::k, ::j, ::i].astype(np.float32), (k, j, i)
