"""Evenly spaced slices laid over uneven ones: for pictures, and for files that cannot hold uneven slices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hemaview.imaging.geometry import Geometry

_MANY = 1024
_LONGER = 1.25
"""Up to this many times as many slices as asked for are laid down where their faces then fall on the own ones."""


@dataclass(frozen=True, eq=False)
class EvenSlices:
    """``count`` even slices between the outermost faces of the grid ``own``, whose slices may be uneven.

    Every even slice stands for the own slice that holds its centre (``source``). Both kinds are counted by continuous
    indices with centres at integers.
    """

    own: Geometry
    count: int

    @classmethod
    def about(cls, own: Geometry, step_mm: float) -> EvenSlices:
        """Even slices of at most ``step_mm``, two or more for each gap between own ones, unless that takes very many.

        Their number is the one near it at which the faces of the own slices fall best on theirs.
        """
        step = min(step_mm, float(np.diff(own.slice_places_mm).min()) / 2)
        most = max(_MANY, 2 * own.size[2])
        fewest = min(int(np.ceil(float(own.slice_steps_mm.sum()) / step - 1e-6)), most)
        counts = np.arange(fewest, max(min(int(fewest * _LONGER), most), fewest) + 1)
        shares = np.cumsum(own.slice_steps_mm)[:-1] / own.slice_steps_mm.sum()
        faces = shares[:, None] * counts
        misfit = np.max(np.abs(faces - np.rint(faces)), axis=0, initial=0.0) / counts
        return cls(own, int(counts[np.argmin(np.round(misfit, 9))]))

    @property
    def step_mm(self) -> float:
        """Distance between even slices along axis k in mm."""
        return float(self.own.slice_steps_mm.sum()) / self.count

    @property
    def first_mm(self) -> float:
        """Way in mm along axis k from own slice 0 to even slice 0."""
        return (self.step_mm - float(self.own.slice_steps_mm[0])) / 2

    @cached_property
    def source(self) -> NDArray[np.intp]:
        """(count,) the own slice for which each even slice stands. Treat as read-only."""
        inside = np.floor(self.to_own(np.arange(self.count)) + 0.5).astype(np.intp)
        found = np.asarray(np.clip(inside, 0, self.own.size[2] - 1))
        found.setflags(write=False)
        return found

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """(own slices,) where the centre of every own slice lies among the even ones. Treat as read-only."""
        found = self.from_own(np.arange(self.own.size[2]))
        found.setflags(write=False)
        return found

    @property
    def geometry(self) -> Geometry:
        """The even grid."""
        columns, rows, _ = self.own.size
        origin = self.own.index_to_lps((0.0, 0.0, float(self.to_own(0.0))))
        return replace(
            self.own,
            size=(columns, rows, self.count),
            spacing=(*self.own.spacing[:2], self.step_mm),
            origin=(float(origin[0]), float(origin[1]), float(origin[2])),
            slice_positions=None,
        )

    def to_own(self, index: ArrayLike) -> NDArray[np.float64]:
        """Own slice positions of even ones, both continuous indices."""
        way = self.first_mm + np.asarray(index, dtype=np.float64) * self.step_mm
        return self.own.mm_to_index(_on_axis(way))[..., 2]

    def from_own(self, index: ArrayLike) -> NDArray[np.float64]:
        """Even slice positions of own ones; inverse of ``to_own``."""
        way = self.own.index_to_mm(_on_axis(np.asarray(index, dtype=np.float64)))[..., 2]
        return np.asarray((way - self.first_mm) / self.step_mm)

    def mixed(self, slices: NDArray) -> NDArray[np.float32]:
        """``slices`` (own slices first) at the even slices, linearly between their centres, as float32."""
        position = np.clip(self.to_own(np.arange(self.count)), 0, self.own.size[2] - 1)
        below = np.minimum(position.astype(np.intp), self.own.size[2] - 2)
        share = (position - below).astype(np.float32).reshape(-1, *[1] * (slices.ndim - 1))
        return np.asarray(slices[below] * (1 - share) + slices[below + 1] * share, dtype=np.float32)


def _on_axis(values: NDArray[np.float64]) -> NDArray[np.float64]:
    points = np.zeros((*values.shape, 3))
    points[..., 2] = values
    return points
