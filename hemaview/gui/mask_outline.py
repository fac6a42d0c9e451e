"""The outline of a 2D mask along its pixel edges, as closed loops ready for a pen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MOST_EDGES_CHAINED = 8000


def outline_loops(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Polylines ``(n, 2)`` of picture (x, y) that run exactly between pixels inside and outside of ``mask[row, col]``.

    Pixel centres are integers, so all coordinates end in .5. Loops are closed (the first point is repeated) and
    have a point at every corner only. A mask of noise with thousands of corners is answered with single
    edges instead of loops, which look the same under a solid pen.
    """
    edges = outline_edges(mask)
    if len(edges) > _MOST_EDGES_CHAINED:
        return list(edges.reshape(-1, 2, 2) - 0.5)
    leaving: dict[tuple[int, int], list[int]] = {}
    rows: list[list[int]] = edges.tolist()
    for number, (x0, y0, _, _) in enumerate(rows):
        leaving.setdefault((x0, y0), []).append(number)
    loops = []
    used = [False] * len(rows)
    for first in range(len(rows)):
        if used[first]:
            continue
        points = [(rows[first][0], rows[first][1])]
        number = first
        while not used[number]:
            used[number] = True
            end = (rows[number][2], rows[number][3])
            points.append(end)
            # As many edges leave a corner as reach it, so a chain can only end where it began.
            following = leaving[end]
            while following and used[following[-1]]:
                following.pop()
            if not following:
                break
            number = following.pop()
        loops.append(np.array(points, dtype=np.float64) - 0.5)
    return loops


def outline_edges(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Directed straight edges ``(n, 4)`` = x0, y0, x1, y1 in pixel corners (corner n lies at n - 0.5).

    The inside is on the right of every edge (on a screen whose y grows downwards).
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.empty((0, 4), dtype=np.int32)
    top, left = int(rows[0]), int(columns[0])
    inside = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(np.int8)
    # +1: the inside lies below, the edge runs right; -1: it lies above, the edge runs left.
    y, x0, x1, sign = _runs(np.diff(inside, axis=0))
    forward = sign > 0
    across = np.stack([np.where(forward, x0, x1), y, np.where(forward, x1, x0), y], axis=1)
    # +1: the inside lies right, the edge runs up; -1: it lies left, the edge runs down.
    x, y0, y1, sign = _runs(np.diff(inside, axis=1).T)
    upward = sign > 0
    down = np.stack([x, np.where(upward, y1, y0), x, np.where(upward, y0, y1)], axis=1)
    return np.asarray(np.concatenate([across, down]) + np.array([left, top, left, top]), dtype=np.int32)


def _runs(steps: NDArray[np.int8]) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Runs of equal non-zero values along the rows of ``steps``: line, start, stop, value; the border is zero."""
    changes = np.diff(steps, axis=1)
    starts = np.argwhere((changes != 0) & (steps[:, 1:] != 0))
    stops = np.argwhere((changes != 0) & (steps[:, :-1] != 0))
    value = steps[starts[:, 0], starts[:, 1] + 1]
    # The padding shifts line and position by one and one; a run starts after the change, corner = column index.
    return starts[:, 0], starts[:, 1], stops[:, 1], value
