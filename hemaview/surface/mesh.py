"""A triangle surface in patient coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Mesh:
    """Closed triangle surface: ``points`` float64 (n, 3) in LPS mm, ``triangles`` int32 (m, 3).

    Corners run counter-clockwise seen from outside (inside for the wall of a cavity). ``stretch`` is the
    linear scale, minus 1, that was applied about the centroid to keep the mask's volume; ``notes`` are
    sentences for the report about what was done to the surface.
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int32]
    stretch: float = 0.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        points = np.ascontiguousarray(self.points, dtype=np.float64).reshape(-1, 3)
        triangles = np.ascontiguousarray(self.triangles, dtype=np.int32).reshape(-1, 3)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "triangles", triangles)

    @cached_property
    def corner_volumes_mm3(self) -> NDArray[np.float64]:
        """(m,) signed volumes of the tetrahedra between each triangle and the middle of the mesh."""
        points = self.points - self.points.mean(axis=0)
        a, b, c = (points[self.triangles[:, corner]] for corner in range(3))
        return np.asarray(np.einsum("ij,ij->i", a, np.cross(b, c)) / 6)

    @cached_property
    def volume_ml(self) -> float:
        """Enclosed volume in mL; cavities count negative."""
        return float(self.corner_volumes_mm3.sum()) / 1000

    @cached_property
    def area_mm2(self) -> float:
        """Area of the surface in mm2, walls of cavities included."""
        a, b, c = (self.points[self.triangles[:, corner]] for corner in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2

    @property
    def size_mm(self) -> tuple[float, float, float]:
        """Extent along x, y, z of the patient in mm."""
        x, y, z = np.ptp(self.points, axis=0).tolist()
        return x, y, z

    def flipped(self) -> Mesh:
        """The same surface turned inside out."""
        return Mesh(self.points, self.triangles[:, ::-1], self.stretch, self.notes)

    def scaled_to(self, volume_ml: float) -> Mesh:
        """The surface scaled about its centroid to enclose ``volume_ml``, saying so in ``notes``."""
        middle = self.points.mean(axis=0)
        thirds = (self.points[self.triangles] - middle).sum(axis=1) / 4
        centroid = middle + (thirds * self.corner_volumes_mm3[:, None]).sum(axis=0) / self.corner_volumes_mm3.sum()
        factor = float(np.cbrt(volume_ml / self.volume_ml))
        note = f"The surface was scaled by {factor - 1:+.2%} about its centroid to keep the mask's volume."
        return Mesh(
            centroid + factor * (self.points - centroid),
            self.triangles,
            (1 + self.stretch) * factor - 1,
            (*self.notes, note),
        )
