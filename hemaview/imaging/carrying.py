"""A mask from one scan laid on another scan's grid, to look at; never to measure from."""

from __future__ import annotations

from itertools import product

import numpy as np

from hemaview.imaging.geometry import Geometry
from hemaview.imaging.rigid import RigidMap
from hemaview.imaging.volume import LabelMap


def carried(mask: LabelMap, target: Geometry, move: RigidMap | None = None) -> LabelMap:
    """The voxels of ``target`` whose centre lies in a voxel of ``mask``.

    ``move`` takes the mask's LPS points to the target's; without it patient coordinates alone decide, which is right
    where the head did not move between the scans. Nothing is smoothed. Tilted grids and uneven slices are followed
    through ``Geometry``. Empty where the mask lies outside ``target``.
    """
    move = move or RigidMap()
    back = move.inverse
    found = LabelMap.empty(target)
    bounds = mask.bounds()
    if bounds is None:
        return found
    first, last = _reach(bounds, mask.geometry, target, move)
    rows, columns = np.arange(first[1], last[1] + 1), np.arange(first[0], last[0] + 1)
    if not rows.size or not columns.size:
        return found
    i, j = np.meshgrid(columns, rows)
    for k in range(first[2], last[2] + 1):
        points = target.index_to_lps(np.stack([i, j, np.full_like(i, k)], axis=-1))
        nearest = np.floor(mask.geometry.lps_to_index(back(points)) + 0.5).astype(np.intp)
        inside = np.all((nearest >= 0) & (nearest < mask.geometry.size), axis=-1)
        x, y, z = nearest[inside].T
        page = np.zeros(i.shape, dtype=np.bool_)
        page[inside] = mask.array[z, y, x]
        found.array[k, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = page
    return found


def _reach(
    bounds: tuple[slice, slice, slice], source: Geometry, target: Geometry, move: RigidMap
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First and last voxels (i, j, k) of ``target`` that the box ``bounds`` (k, j, i) of ``source`` can reach.

    The corners decide, because indices along each axis rise steadily with the distance along it, uneven or not.
    """
    edges = [(part.start - 0.5, part.stop - 0.5) for part in reversed(bounds)]
    corners = target.lps_to_index(move(source.index_to_lps(np.array(list(product(*edges))))))
    first = np.maximum(np.ceil(corners.min(axis=0)), 0).astype(int)
    last = np.minimum(np.floor(corners.max(axis=0)), np.array(target.size) - 1).astype(int)
    return tuple(int(n) for n in first), tuple(int(n) for n in last)
