"""Largest diameter and perpendicular extent of a 2D mask, measured between pixel corners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TIE = 1e-9


@dataclass(frozen=True)
class Diameters:
    """A and B of one slice.

    ``a``/``b`` are lengths in mm. ``a_ends``/``b_ends`` are their end points, (2, 2), as continuous
    pixel positions (column, row) with centres at integers. Both ends of A are corners of the outline. B is
    at right angles to A and as long as the mask's caliper extent; it stands where the mask bulges
    farthest from A's middle line, so at least one of its ends is a corner of the outline or the middle of a
    flat edge, the other lies on the caliper's opposite jaw.
    """

    a: float
    b: float
    a_ends: NDArray[np.float64]
    b_ends: NDArray[np.float64]


def corner_hull(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Convex hull (n, 2) of the pixel corners of ``mask[row, column]`` as (column, row), counter-clockwise.

    Exact: pixel corners are half-integers, and no three hull points lie on one line. Takes at least one pixel.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    # Twice the coordinates keeps everything in integers.
    left = np.concatenate([np.column_stack([2 * first - 1, 2 * rows + d]) for d in (-1, 1)])
    right = np.concatenate([np.column_stack([2 * last + 1, 2 * rows + d]) for d in (-1, 1)])
    points = np.unique(np.concatenate([left, right]), axis=0).tolist()
    lower = _half_hull(points)
    upper = _half_hull(points[::-1])
    return np.array(lower[:-1] + upper[:-1], dtype=np.float64) / 2


def _half_hull(points: list[list[int]]) -> list[list[int]]:
    hull: list[list[int]] = []
    for x, y in points:
        while len(hull) >= 2:
            (ax, ay), (bx, by) = hull[-2], hull[-1]
            if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                break
            hull.pop()
        hull.append([x, y])
    return hull


def diameters(mask: NDArray[np.bool_], plane: NDArray[np.float64]) -> Diameters:
    """A (maximum Feret diameter) and B (caliper extent perpendicular to A) of ``mask[row, column]``.

    ``plane`` (2, 2) takes (column, row) steps to mm in an orthonormal frame of the slice, so pixels may be
    non-square and the rows and columns need not be at right angles. Between equally long A the one with
    the longer B is taken, then the first in outline order.
    """
    corners = corner_hull(mask)
    points = corners @ plane.T
    difference = points[:, None, :] - points[None, :, :]
    length = np.sqrt((difference**2).sum(axis=-1))
    longest = float(length.max())
    pairs = np.argwhere(np.triu(length, 1) >= longest * (1 - _TIE))
    along = (points[pairs[:, 1]] - points[pairs[:, 0]]) / length[pairs[:, 0], pairs[:, 1]][:, None]
    across = np.column_stack([-along[:, 1], along[:, 0]])
    reach = across @ points.T
    extent = reach.max(axis=1) - reach.min(axis=1)
    best = int(np.flatnonzero(extent >= extent.max() * (1 - _TIE))[0])
    start, end = pairs[best]
    b_ends = _place_b(points, points[start], along[best], across[best])
    return Diameters(
        a=longest,
        b=float(extent[best]),
        a_ends=corners[[start, end]],
        b_ends=np.asarray(np.linalg.solve(plane, b_ends.T).T, dtype=np.float64),
    )


def _place_b(
    points: NDArray[np.float64],
    origin: NDArray[np.float64],
    along: NDArray[np.float64],
    across: NDArray[np.float64],
) -> NDArray[np.float64]:
    """End points (2, 2) in mm of the caliper extent, drawn through the support point that stands farther from A."""
    t = (points - origin) @ along
    u = (points - origin) @ across
    low, high = float(u.min()), float(u.max())
    tolerance = _TIE * max(high - low, 1.0)
    low_side = np.sort(t[u <= low + tolerance])
    high_side = np.sort(t[u >= high - tolerance])
    middle = float(t.max() + t.min()) / 2
    start, stop = max(low_side[0], high_side[0]), min(low_side[-1], high_side[-1])
    if start <= stop + tolerance:
        # Both jaws of the caliper touch the outline there, so the line is a true chord of the hull.
        position = float(np.clip(middle, start, max(start, stop)))
    else:
        side = low_side if abs(low) > abs(high) else high_side
        position = float(np.clip(middle, side[0], side[-1]))
    base = origin + position * along
    return np.stack([base + low * across, base + high * across])
