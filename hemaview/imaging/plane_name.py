"""The plane a scan's slices lie in, in a word or two."""

from __future__ import annotations

import numpy as np

from hemaview.imaging.geometry import Geometry

_NAMES = ("sagittal", "coronal", "axial")
_OBLIQUE_DEGREES = 10.0


def plane_name(geometry: Geometry) -> str:
    """The patient plane nearest to the slices, with "oblique" before it when they are more than 10 degrees off."""
    normal = np.cross(geometry.axes[:, 0], geometry.axes[:, 1])
    along = np.abs(normal) / np.linalg.norm(normal)
    nearest = int(np.argmax(along))
    name = _NAMES[nearest]
    return f"oblique {name}" if along[nearest] < np.cos(np.radians(_OBLIQUE_DEGREES)) else name
