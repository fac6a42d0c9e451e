"""Whether a triangle surface is closed, and of how many bodies it consists; counted here, not taken from VTK."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EdgeCount:
    """``open_edges`` belong to one triangle, ``crowded_edges`` to three or more.

    ``twisted_edges`` belong to two that disagree on which side is outside.
    """

    open_edges: int
    crowded_edges: int
    twisted_edges: int

    @property
    def closed(self) -> bool:
        """Whether every edge is shared by exactly two triangles that agree."""
        return self.open_edges == self.crowded_edges == self.twisted_edges == 0


def count_edges(triangles: NDArray[np.integer]) -> EdgeCount:
    """Count the faulty edges of ``triangles`` (m, 3)."""
    start = triangles.ravel().astype(np.int64)
    stop = np.roll(triangles, -1, axis=1).ravel().astype(np.int64)
    width = int(triangles.max(initial=0)) + 1
    # One number per undirected edge, its direction in the lowest bit: neighbours after one sort.
    keys = np.sort((np.minimum(start, stop) * width + np.maximum(start, stop)) * 2 + (start > stop))
    edges = keys >> 1
    first = np.flatnonzero(np.concatenate([[True], edges[1:] != edges[:-1]])) if len(edges) else np.zeros(0, int)
    uses = np.diff(np.append(first, len(edges)))
    pairs = first[uses == 2]
    return EdgeCount(
        open_edges=int(np.count_nonzero(uses == 1)),
        crowded_edges=int(np.count_nonzero(uses > 2)),
        twisted_edges=int(np.count_nonzero(keys[pairs] == keys[pairs + 1])),
    )


def count_pinched_points(triangles: NDArray[np.integer]) -> int:
    """Number of points where two sheets of an edge-manifold surface (m, 3) touch in that point only."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(triangles)
    if count == 0:
        return 0
    # A node per triangle corner; corners at the same point are joined across each shared edge.
    corner = np.arange(3 * count).reshape(count, 3)
    start, stop = triangles, np.roll(triangles, -1, axis=1)
    low_corner = np.where(start < stop, corner, np.roll(corner, -1, axis=1)).ravel()
    high_corner = np.where(start < stop, np.roll(corner, -1, axis=1), corner).ravel()
    width = int(triangles.max()) + 1
    key = (np.minimum(start, stop).astype(np.int64) * width + np.maximum(start, stop)).ravel()
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    here, there = order[same], order[same + 1]
    rows = np.concatenate([low_corner[here], high_corner[here]])
    columns = np.concatenate([low_corner[there], high_corner[there]])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(3 * count, 3 * count))
    fans, _ = connected_components(graph, directed=False)
    return int(fans) - len(np.unique(triangles))


def label_bodies(triangles: NDArray[np.integer], point_count: int) -> tuple[int, NDArray[np.int32]]:
    """Number of shells that hang together and, per triangle, which one it belongs to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if len(triangles) == 0:
        return 0, np.zeros(0, dtype=np.int32)
    rows = np.concatenate([triangles[:, 0], triangles[:, 1]])
    columns = np.concatenate([triangles[:, 1], triangles[:, 2]])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(point_count, point_count))
    _, labels = connected_components(graph, directed=False)
    found, body = np.unique(labels[triangles[:, 0]], return_inverse=True)
    return len(found), body.astype(np.int32)
