"""How the mask is laid over the scan, and what stands in for it while a stroke is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaview.gui.scan_content import Region


@dataclass(frozen=True)
class OverlayStyle:
    """How the mask is laid over the scan; ``opacity`` of the fill is 0 to 1."""

    visible: bool = True
    opacity: float = 0.35
    outline: bool = True
    fill: bool = True


@dataclass(frozen=True, eq=False)
class MaskPatch:
    """Voxels that stand in for the mask's while a stroke is painted: ``values[k, j, i]`` over ``region``."""

    region: Region
    values: NDArray[np.bool_]
