"""The direct (planimetric) volume: counted voxels times the volume of one, slice by slice."""

from __future__ import annotations

import numpy as np

from hemaview.imaging import Geometry, LabelMap
from hemaview.volumetry.reading import Reading, ReadingKind

UNEVEN_NOTE = "The slices are unevenly spaced; each counts with its own interval."

_MISSING = 1.5
"""A gap wider than both of its neighbours by this factor lacks a slice."""


def direct_volume(mask: LabelMap) -> Reading:
    """Volume of the mask: N x |det(direction x spacing)|, right for tilted and sheared grids.

    Where slices are unevenly spaced, every slice counts with the interval that belongs to it (half of the gaps on
    either side). An empty mask measures 0 mL. Never resamples the mask.
    """
    voxels = mask.voxel_count
    geometry = mask.geometry
    warnings: list[str] = []
    bounds = mask.bounds()
    if bounds is None:
        warnings.append("The mask is empty.")
    elif any(
        part.start == 0 or part.stop == length
        for part, length in zip(bounds, mask.array.shape, strict=True)
        if length > 1
    ):
        warnings.append("The mask touches the edge of the scan; the haematoma may continue outside it.")
    if bounds is not None:
        warnings += _missing_slices(geometry, bounds[0])
    return Reading(
        kind=ReadingKind.DIRECT,
        value_ml=geometry.volume_ml(mask.array),
        inputs={
            "voxels": float(voxels),
            "voxel_volume_mm3": geometry.voxel_volume_ml * 1000,
            "slices": float(0 if bounds is None else bounds[0].stop - bounds[0].start),
            "slice_spacing_mm": geometry.slice_spacing_mm,
            **_uneven_inputs(geometry),
        },
        notes=(UNEVEN_NOTE,) if geometry.is_uneven else (),
        warnings=tuple(warnings),
    )


def _missing_slices(geometry: Geometry, slices: slice) -> list[str]:
    """A sentence for every gap in or beside the mask that stands out from both of its neighbours."""
    if not geometry.is_uneven:
        return []
    gaps = np.diff(geometry.slice_places_mm)
    beside = np.pad(gaps, 1)
    usual = np.maximum(beside[:-2], beside[2:])
    wide = np.flatnonzero((gaps > _MISSING * usual) & (usual > 0))
    return [
        f"A slice seems to be missing between slices {k + 1} and {k + 2}; what lies there is taken from them."
        for k in wide
        if slices.start - 1 <= k < slices.stop
    ]


def _uneven_inputs(geometry: Geometry) -> dict[str, float]:
    if not geometry.is_uneven:
        return {}
    extents = geometry.slice_extents_mm
    return {"least_slice_interval_mm": float(extents.min()), "largest_slice_interval_mm": float(extents.max())}
