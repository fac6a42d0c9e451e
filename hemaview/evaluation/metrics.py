"""How well a mask agrees with a reference: overlap, volume and boundary distances.

Boundary convention (that of google-deepmind/surface-distance 1f805ce): the surface runs through the corners
shared by eight voxels of which some are inside and some outside the mask; what lies beyond the array is
outside. Distances in mm run between such corners, by the exact Euclidean distance transform. Each corner
has the weight of the surface in its cell, in mm²: the length of the vector area that marching cubes' own face
polygons give by Gauss' theorem. It equals the surface-distance table for every flat piece.

Empty masks: both empty is perfect agreement (Dice 1, distances 0, NSD 1); one empty is total
disagreement (Dice 0, NSD 0, distances infinite). Callers that average must report how often that happened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from hemaview.imaging import LabelMap

Mask = NDArray[np.bool_]


def dice(mask: ArrayLike, reference: ArrayLike) -> float:
    """2|A∩B| / (|A|+|B|) of two boolean arrays of one shape; 1 when both are empty, 0 when one is."""
    a, b = _pair(mask, reference)
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 1.0 if total == 0 else 2.0 * int(np.count_nonzero(a & b)) / total


def jaccard(mask: ArrayLike, reference: ArrayLike) -> float:
    """|A∩B| / |A∪B| of two boolean arrays of one shape; 1 when both are empty, 0 when one is."""
    a, b = _pair(mask, reference)
    union = int(np.count_nonzero(a | b))
    return 1.0 if union == 0 else int(np.count_nonzero(a & b)) / union


@dataclass(frozen=True)
class VolumeError:
    """Difference of two volumes: ``difference_ml`` = mask - reference, ``percent`` of the reference.

    ``percent`` is 0 when both are empty and NaN when only the reference is.
    """

    volume_ml: float
    reference_ml: float

    @property
    def difference_ml(self) -> float:
        """Mask minus reference in mL."""
        return self.volume_ml - self.reference_ml

    @property
    def percent(self) -> float:
        """Signed error in per cent of the reference."""
        if self.reference_ml == 0:
            return 0.0 if self.volume_ml == 0 else math.nan
        return 100.0 * self.difference_ml / self.reference_ml


def volume_error(mask: LabelMap, reference: LabelMap) -> VolumeError:
    """Volumes of two masks."""
    return VolumeError(mask.geometry.volume_ml(mask.array), reference.geometry.volume_ml(reference.array))


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distances in mm from each surface element of one mask to the nearest of the other, with areas in mm².

    ``forward`` runs from the mask to the reference, ``backward`` the other way. An empty other side gives
    infinite distances.
    """

    forward: NDArray[np.float64]
    forward_area: NDArray[np.float64]
    backward: NDArray[np.float64]
    backward_area: NDArray[np.float64]

    def hausdorff(self, percentile: float = 100.0) -> float:
        """The larger of both directed distances at ``percentile`` of the surface area (95 for HD95) in mm."""
        return max(
            _weighted_percentile(self.forward, self.forward_area, percentile),
            _weighted_percentile(self.backward, self.backward_area, percentile),
        )

    def mean(self) -> tuple[float, float]:
        """Average distance in mm (mask → reference, reference → mask), weighted by area."""
        return (
            _weighted_mean(self.forward, self.forward_area),
            _weighted_mean(self.backward, self.backward_area),
        )

    def average_symmetric(self) -> float:
        """ASSD in mm: the area-weighted mean over both surfaces together."""
        return _weighted_mean(
            np.concatenate([self.forward, self.backward]), np.concatenate([self.forward_area, self.backward_area])
        )

    def normalised_dice(self, tolerance_mm: float) -> float:
        """NSD: share of both surfaces that lies within ``tolerance_mm`` of the other one."""
        total = float(self.forward_area.sum() + self.backward_area.sum())
        if total == 0:
            return 1.0
        near = float(self.forward_area[self.forward <= tolerance_mm].sum())
        near += float(self.backward_area[self.backward <= tolerance_mm].sum())
        return near / total


def surface_distances(mask: ArrayLike, reference: ArrayLike, spacing: ArrayLike) -> SurfaceDistances:
    """Surface distances of two boolean arrays; ``spacing`` in mm in array order (for ``[k, j, i]``: k, j, i)."""
    a, b = _pair(mask, reference)
    steps = np.asarray(spacing, dtype=np.float64)
    if steps.shape != (a.ndim,) or np.any(~np.isfinite(steps)) or np.any(steps <= 0):
        raise ValueError(f"spacing {spacing!r} does not fit an array of {a.ndim} dimensions")
    a, b = _crop_to_both(a, b)
    (surface_a, area_a), (surface_b, area_b) = _surface(a, steps), _surface(b, steps)
    return SurfaceDistances(
        _distance_to(surface_b, steps)[surface_a],
        area_a[surface_a],
        _distance_to(surface_a, steps)[surface_b],
        area_b[surface_b],
    )


def hd95(mask: ArrayLike, reference: ArrayLike, spacing: ArrayLike) -> float:
    """95th percentile Hausdorff distance in mm, the larger of the two directions."""
    return surface_distances(mask, reference, spacing).hausdorff(95.0)


def assd(mask: ArrayLike, reference: ArrayLike, spacing: ArrayLike) -> float:
    """Average symmetric surface distance in mm."""
    return surface_distances(mask, reference, spacing).average_symmetric()


def nsd(mask: ArrayLike, reference: ArrayLike, spacing: ArrayLike, tolerance_mm: float = 1.0) -> float:
    """Normalised surface Dice at ``tolerance_mm``."""
    return surface_distances(mask, reference, spacing).normalised_dice(tolerance_mm)


def _pair(mask: ArrayLike, reference: ArrayLike) -> tuple[Mask, Mask]:
    a, b = np.asarray(mask, dtype=np.bool_), np.asarray(reference, dtype=np.bool_)
    if a.shape != b.shape:
        raise ValueError(f"masks of different shape: {a.shape} and {b.shape}")
    return a, b


def _crop_to_both(a: Mask, b: Mask) -> tuple[Mask, Mask]:
    """Both masks cut to their common bounding box with a margin of one, so that transforms stay small."""
    union = a | b
    window = []
    for axis in range(a.ndim):
        line = np.flatnonzero(union.any(axis=tuple(n for n in range(a.ndim) if n != axis)))
        if not len(line):
            return np.zeros((1,) * a.ndim, np.bool_), np.zeros((1,) * a.ndim, np.bool_)
        window.append(slice(int(line[0]), int(line[-1]) + 1))
    return np.pad(a[tuple(window)], 1), np.pad(b[tuple(window)], 1)


def _surface(mask: Mask, spacing: NDArray[np.float64]) -> tuple[Mask, NDArray[np.float64]]:
    """Which corners between voxels lie on the surface, and the area in mm² each stands for.

    A corner's cell joins the centres of its ``2**ndim`` voxels. The part of a cell's face inside the mask is what
    marching squares cuts off there; the difference of opposite faces is the surface's vector area.
    """
    solid = mask.astype(np.float64)
    count = solid
    for axis in range(mask.ndim):
        count = _neighbour_sum(count, axis)
    on_surface = (count > 0) & (count < 2**mask.ndim)
    squared = np.zeros(on_surface.shape)
    for axis in range(mask.ndim):
        share = _face_share(mask, axis)
        squared += (np.diff(share, axis=axis) * float(np.prod(np.delete(spacing, axis)))) ** 2
    return on_surface, np.sqrt(squared)


def _face_share(mask: Mask, axis: int) -> NDArray[np.float64]:
    """Share of each cell face at right angles to ``axis`` that lies inside the mask."""
    others = [n for n in range(mask.ndim) if n != axis]
    count = mask.astype(np.float64)
    for other in others:
        count = _neighbour_sum(count, other)
    if mask.ndim != 3:
        return count / 2.0 ** len(others)
    share = np.array([0.0, 1 / 8, 1 / 2, 7 / 8, 1.0])[count.astype(np.intp)]
    near = np.take(mask, range(mask.shape[others[0]] - 1), axis=others[0])
    far = np.take(mask, range(1, mask.shape[others[0]]), axis=others[0])
    crossed = near != far
    straight = np.take(near, range(near.shape[others[1]] - 1), axis=others[1])
    beside = np.take(near, range(1, near.shape[others[1]]), axis=others[1])
    both = np.take(crossed, range(crossed.shape[others[1]] - 1), axis=others[1])
    both &= np.take(crossed, range(1, crossed.shape[others[1]]), axis=others[1])
    share[both & (straight != beside)] = 1 / 4
    return share


def _neighbour_sum(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    length = values.shape[axis]
    return np.asarray(np.take(values, range(length - 1), axis=axis) + np.take(values, range(1, length), axis=axis))


def _distance_to(surface: Mask, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    if not surface.any():
        return np.full(surface.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~surface, sampling=spacing), dtype=np.float64)


def _weighted_percentile(values: NDArray[np.float64], weights: NDArray[np.float64], percentile: float) -> float:
    """Smallest value with at least ``percentile`` % of the weight at or below it; 0 for no values."""
    if not len(values):
        return 0.0
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    index = int(np.searchsorted(reached, percentile / 100 * reached[-1] * (1 - 1e-12)))
    return float(values[order][-1] if percentile >= 100 else values[order][min(index, len(values) - 1)])


def _weighted_mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    counted = weights > 0  # an infinite distance with no area must not make the mean undefined
    total = float(weights[counted].sum())
    return 0.0 if total == 0 else float((values[counted] * weights[counted]).sum()) / total
