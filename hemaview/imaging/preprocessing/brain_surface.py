"""The brain's surface on an MR scan: a balloon that grows until it meets the dark ring round the brain.

Smith SM. Fast robust automated brain extraction. Hum Brain Mapp 2002;17:143-155, written from the paper's formulas.
It needs no template and no learned appearance, only that brain is brighter than the skull and fluid or bone round it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 500
_SUBDIVISIONS = 4
_INWARDS_MM, _OUTWARDS_MM = 20, 10
_SHARPEST_MM, _FLATTEST_MM = 3.33, 10.0
_REPORT_EVERY = 20


@dataclass(frozen=True)
class Levels:
    """Grey values of a head: ``dark`` and ``bright`` are the 2nd and 98th percentile, ``edge`` a tenth of the way up.

    ``usual`` is the median within the head's equivalent sphere, ``centre`` (3,) the head's centre of mass in voxels
    (x, y, z) and ``radius_mm`` the radius of that sphere.
    """

    dark: float
    edge: float
    usual: float
    bright: float
    centre: NDArray[np.float64]
    radius_mm: float

    @classmethod
    def of(cls, head: NDArray[np.float32], step_mm: float) -> Levels:
        """Measure a head ``[z, y, x]`` on a cubic grid of ``step_mm``."""
        dark, bright = (float(v) for v in np.percentile(head, (2, 98)))
        edge = dark + 0.1 * (bright - dark)
        above = head > edge
        weight = np.where(above, np.minimum(head, bright) - dark, 0).astype(np.float64)
        total = max(float(weight.sum()), 1e-9)
        lines = (weight.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in (2, 1, 0))
        centre = np.array([np.dot(line, np.arange(len(line))) for line in lines]) / total
        radius = (3 * np.count_nonzero(above) / (4 * np.pi)) ** (1 / 3)
        z, y, x = np.ogrid[tuple(slice(n) for n in head.shape)]
        near = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 <= radius**2
        within = head[near & (head > dark) & (head < bright)]
        usual = float(np.median(within)) if within.size else edge
        return cls(dark, edge, usual, bright, centre, radius * step_mm)


def brain_surface(
    head: NDArray[np.float32],
    step_mm: float,
    *,
    threshold: float = 0.5,
    progress: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Vertices (n, 3) in voxels (x, y, z) and faces (m, 3) of the brain's surface.

    ``head`` is ``[z, y, x]`` on a cubic grid of ``step_mm``. ``threshold`` between 0 and 1: less gives a larger brain.
    """
    levels = Levels.of(head, step_mm)
    sphere, faces = icosphere(_SUBDIVISIONS)
    beside = _neighbours(faces, len(sphere))
    points = levels.centre * step_mm + sphere * levels.radius_mm / 2
    for number in range(_ROUNDS):
        points = points + _step(points, faces, beside, head, step_mm, levels, threshold)
        if progress is not None and number % _REPORT_EVERY == 0:
            progress(number / _ROUNDS)
    return points / step_mm, faces


def _step(
    points: NDArray[np.float64],
    faces: NDArray[np.intp],
    beside: NDArray[np.intp],
    head: NDArray[np.float32],
    step_mm: float,
    levels: Levels,
    threshold: float,
) -> NDArray[np.float64]:
    """How every vertex moves, in mm: evenly spread, smooth, and outwards while it is bright inside."""
    normals = _normals(points, faces)
    around = points[beside]
    away = around.mean(axis=1) - points
    inward = np.sum(away * normals, axis=1, keepdims=True)
    length = float(np.linalg.norm(around - points[:, None], axis=2).mean())
    # Curvature is forgiven below the flattest radius and corrected fully above the sharpest one.
    middle = (1 / _SHARPEST_MM + 1 / _FLATTEST_MM) / 2
    slope = 6 / (1 / _SHARPEST_MM - 1 / _FLATTEST_MM)
    bend = 2 * np.abs(inward) / length**2
    smooth = (1 + np.tanh(slope * (bend - middle))) / 2
    tangential = away - inward * normals
    push = _push(points, normals, head, step_mm, levels, threshold)
    return np.asarray(0.5 * tangential + smooth * inward * normals + 0.05 * length * push[:, None] * normals)


def _push(
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    head: NDArray[np.float32],
    step_mm: float,
    levels: Levels,
    threshold: float,
) -> NDArray[np.float64]:
    """Positive where what lies inside is brain, negative where it is darker than the local edge."""
    reach = np.arange(0, _INWARDS_MM, step_mm)
    grey = _look(head, points[:, None] - reach[:, None] * normals[:, None], step_mm)
    lowest = np.maximum(levels.dark, np.minimum(levels.usual, grey.min(axis=1)))
    highest = np.minimum(levels.usual, np.maximum(levels.edge, grey[:, reach <= _OUTWARDS_MM].max(axis=1)))
    local = (highest - levels.dark) * threshold + levels.dark
    return np.asarray(2 * (lowest - local) / np.maximum(highest - levels.dark, 1e-6))


def _look(head: NDArray[np.float32], places_mm: NDArray[np.float64], step_mm: float) -> NDArray[np.float32]:
    """The nearest voxel's value at places (..., 3) in mm (x, y, z); the border's outside."""
    nearest = np.rint(places_mm / step_mm).astype(np.intp)
    np.clip(nearest, 0, np.array(head.shape[::-1]) - 1, out=nearest)
    return np.asarray(head[nearest[..., 2], nearest[..., 1], nearest[..., 0]])


def _normals(points: NDArray[np.float64], faces: NDArray[np.intp]) -> NDArray[np.float64]:
    """Unit normals (n, 3) of the vertices, outwards."""
    a, b, c = (points[faces[:, n]] for n in range(3))
    across = np.cross(b - a, c - a)
    normals = np.stack(
        [np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), len(points)) for axis in range(3)], axis=1
    )
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


def _neighbours(faces: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """(n, 6) vertices joined to each vertex; the twelve with five neighbours name their first one twice."""
    near: list[list[int]] = [[] for _ in range(count)]
    for a, b, c in faces.tolist():
        near[a].append(b)
        near[b].append(c)
        near[c].append(a)
    return np.array([(*them, them[0])[:6] for them in near], dtype=np.intp)


def icosphere(subdivisions: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Vertices (n, 3) of length 1 and faces (m, 3), outward, of an icosahedron whose triangles are split in four."""
    golden = (1 + np.sqrt(5)) / 2
    vertices = [(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    vertices = vertices + [(b, 0, a) for _, a, b in vertices] + [(a, b, 0) for _, a, b in vertices]
    points = np.array(vertices, dtype=np.float64)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    from scipy.spatial import ConvexHull

    faces = _outwards(points, np.asarray(ConvexHull(points).simplices, dtype=np.intp))
    for _ in range(subdivisions):
        points, faces = _split(points, faces)
    return points, faces


def _split(points: NDArray[np.float64], faces: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, which = np.unique(edges, axis=0, return_inverse=True)
    middles = points[unique].mean(axis=1)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    ab, bc, ca = (which.reshape(-1, 3) + len(points)).T
    a, b, c = faces.T
    split = np.concatenate([np.stack(f, axis=1) for f in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))])
    return np.concatenate([points, middles]), split


def _outwards(points: NDArray[np.float64], faces: NDArray[np.intp]) -> NDArray[np.intp]:
    a, b, c = (points[faces[:, n]] for n in range(3))
    inside_out = np.sum(np.cross(b - a, c - a) * a, axis=1) < 0
    return np.where(inside_out[:, None], faces[:, ::-1], faces)
