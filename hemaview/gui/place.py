"""A place in the head, taken from the scan that was on display to the next one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import Geometry
from hemaview.imaging.rigid import RigidMap


@dataclass(frozen=True, eq=False)
class Place:
    """``point`` (3,) in LPS mm of the scan before; ``move`` takes its LPS points to those of the next scan."""

    point: NDArray[np.float64]
    move: RigidMap = field(default_factory=RigidMap)

    def index_in(self, geometry: Geometry) -> NDArray[np.float64] | None:
        """Voxel indices (i, j, k) in the next scan; None where it does not hold the place."""
        index = geometry.lps_to_index(self.move(self.point))
        inside = np.all((index >= -0.5) & (index <= np.asarray(geometry.size) - 0.5))
        return index if inside else None
