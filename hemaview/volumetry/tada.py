"""The Tada formula (ABC/2) and its variants, measured on a mask as a surgeon measures on film."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import Geometry, LabelMap, Plane, acquisition_plane
from hemaview.volumetry.outline import diameters
from hemaview.volumetry.reading import Reading, ReadingKind
from hemaview.volumetry.shape import HII_LIMIT, irregularity_index

DISAGREEMENT_LIMIT = 0.15
"""Largest |ABC/2 - direct| / direct before the reading is called unreliable."""

Segment = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class TadaMeasurement:
    """A, B and C of the largest component of a mask, with what is needed to draw them.

    ``slice_index`` is the slice k with the largest area (between equal ones the nearest to the
    centroid, then the lower). ``a_segment``/``b_segment`` are pairs of LPS mm points in that slice's plane.
    ``c_mm`` is the extent of its ``slices`` along their normal: their number times the distance between slices, or
    the sum of their own intervals where they are unevenly spaced. ``weighted_slices`` counts
    them by Kothari's weights (area >= 75 % of the largest: 1, >= 25 %: 1/2, else 0), ``weighted_c_mm`` is the extent
    weighted likewise. ``component_ml`` is the
    direct volume of the measured component, ``components`` how many the mask has (26-connected).
    ``variants`` are mL by formula: "abc_2", "abc_2_weighted", "abc_3", "ellipsoid", "two_thirds_sh".
    """

    slice_index: int
    plane: Plane
    a_segment: Segment
    b_segment: Segment
    a_mm: float
    b_mm: float
    c_mm: float
    slices: int
    weighted_slices: float
    weighted_c_mm: float
    area_mm2: float
    component_ml: float
    components: int
    irregularity_index: float
    variants: Mapping[str, float]

    @property
    def volume_ml(self) -> float:
        """A x B x C / 2 in mL."""
        return self.variants["abc_2"]


def measure_tada(mask: LabelMap, *, all_components: bool = False) -> TadaMeasurement | None:
    """Measure A, B, C on the largest 3D component in the acquisition plane (Kothari 1996); None when empty.

    ``all_components`` measures the whole mask as if it were one body instead.

    A is the largest diameter between pixel corners on the slice of largest area, B the caliper extent
    perpendicular to it on the same slice, both in mm on the physical slice (non-square pixels and
    sheared grids included).
    """
    bounds = mask.bounds()
    if bounds is None:
        return None
    cropped = mask.array[bounds]
    component, components = _largest_component(cropped)
    if all_components:
        component = cropped
    geometry = mask.geometry
    counts = np.count_nonzero(component, axis=(1, 2))
    largest = int(counts.max())
    k = _largest_slice(counts, geometry.slice_places_mm[bounds[0]])
    rows, columns = bounds[1].start, bounds[2].start
    plane = _slice_frame(geometry)
    found = diameters(component[k], plane)
    weights = np.select([4 * counts >= 3 * largest, 4 * counts >= largest], [1.0, 0.5])
    extents = geometry.slice_extents_mm[bounds[0]]
    area = largest * float(abs(np.linalg.det(plane)))
    c, weighted_c = float(extents[counts > 0].sum()), float(np.dot(weights, extents))
    abc = found.a * found.b * c / 1000
    slice_index = k + bounds[0].start

    def segment(ends: NDArray[np.float64]) -> Segment:
        ijk = np.column_stack([ends[:, 0] + columns, ends[:, 1] + rows, np.full(2, slice_index)])
        start, stop = geometry.index_to_lps(ijk).tolist()
        return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])

    return TadaMeasurement(
        slice_index=slice_index,
        plane=acquisition_plane(geometry),
        a_segment=segment(found.a_ends),
        b_segment=segment(found.b_ends),
        a_mm=found.a,
        b_mm=found.b,
        c_mm=c,
        slices=int(np.count_nonzero(counts)),
        weighted_slices=float(weights.sum()),
        weighted_c_mm=weighted_c,
        area_mm2=area,
        component_ml=_volume_ml(counts, bounds[0], geometry),
        components=components,
        irregularity_index=irregularity_index(LabelMap(np.pad(component, 1), geometry.cropped(bounds, margin=1))),
        variants=MappingProxyType(
            {
                "abc_2": abc / 2,
                "abc_2_weighted": found.a * found.b * weighted_c / 2000,
                "abc_3": abc / 3,
                "ellipsoid": math.pi / 6 * abc,
                "two_thirds_sh": 2 / 3 * area * c / 1000,
            }
        ),
    )


def abc_over_2(mask: LabelMap) -> Reading:
    """The Tada reading: unweighted ABC/2 in mL, with its variants as inputs and a warning where it misleads."""
    return tada_reading(measure_tada(mask), mask)


def tada_reading(measured: TadaMeasurement | None, mask: LabelMap) -> Reading:
    """The Tada reading of a measurement already made on ``mask``."""
    if measured is None:
        return Reading(ReadingKind.TADA, None, reason="The mask is empty, so A, B and C cannot be measured.")
    direct = mask.geometry.volume_ml(mask.array)
    inputs: dict[str, float | str] = {
        "a_mm": measured.a_mm,
        "b_mm": measured.b_mm,
        "c_mm": measured.c_mm,
        "slice": float(measured.slice_index),
        "slices": float(measured.slices),
        "weighted_slices": measured.weighted_slices,
        "area_mm2": measured.area_mm2,
        "plane": str(measured.plane),
        "irregularity_index": measured.irregularity_index,
    }
    inputs |= {f"{name}_ml": value for name, value in measured.variants.items() if name != "abc_2"}
    return Reading(ReadingKind.TADA, measured.volume_ml, inputs=inputs, warnings=_warnings(measured, direct))


def _warnings(measured: TadaMeasurement, direct_ml: float) -> tuple[str, ...]:
    found: list[str] = []
    if measured.components > 1:
        found.append(
            f"Tada unreliable: measured on the largest of {measured.components} separate parts "
            f"({measured.component_ml:.1f} of {direct_ml:.1f} mL)."
        )
    if measured.irregularity_index > HII_LIMIT:
        found.append(
            f"Tada unreliable: the shape is irregular (index {measured.irregularity_index:.0f}, sphere 100); "
            "2/3 S H is the more robust hand formula."
        )
    deviation = measured.volume_ml / direct_ml - 1
    if abs(deviation) > DISAGREEMENT_LIMIT:
        found.append(f"Tada unreliable: it differs from the direct volume by {deviation:+.0%}.")
    if measured.slices == 1:
        found.append("The haematoma is on one slice only; C is one slice interval.")
    if measured.plane is not Plane.AXIAL:
        found.append(f"Measured in the {measured.plane} acquisition plane, not on axial slices.")
    return tuple(found)


def _largest_component(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], int]:
    """The 26-connected component with most voxels (the first of equals) and the number of components."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count == 1:
        return mask, 1
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax()), int(count)


def _largest_slice(counts: NDArray[np.integer], places: NDArray[np.float64]) -> int:
    """Slice with most voxels; between equal ones the nearest (``places`` in mm) to the centroid, then the lower."""
    centroid = float(np.dot(counts, places) / counts.sum())
    candidates = np.flatnonzero(counts == counts.max())
    return int(min(candidates, key=lambda k: (round(abs(float(places[k]) - centroid), 6), k)))


def _volume_ml(counts: NDArray[np.integer], slices: slice, geometry: Geometry) -> float:
    """Volume of a body with ``counts`` voxels on each of ``slices``."""
    whole = np.zeros(geometry.size[2])
    whole[slices] = counts
    return geometry.volume_ml(whole)


def _slice_frame(geometry: Geometry) -> NDArray[np.float64]:
    """(2, 2) matrix from (column, row) steps to mm in an orthonormal frame of the slice, x along the rows."""
    column = geometry.axes[:, 0] * geometry.spacing[0]
    row = geometry.axes[:, 1] * geometry.spacing[1]
    x = column / np.linalg.norm(column)
    y = row - np.dot(row, x) * x
    y /= np.linalg.norm(y)
    return np.array([[np.dot(column, x), np.dot(row, x)], [np.dot(column, y), np.dot(row, y)]])
