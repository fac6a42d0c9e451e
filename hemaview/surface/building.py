"""From a mask to a closed, outward, smooth surface that encloses the mask's volume."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ExportError
from hemaview.imaging import Geometry, LabelMap
from hemaview.surface.contour import level_surface
from hemaview.surface.interpolation import FineField, interpolate_slices
from hemaview.surface.mesh import Mesh
from hemaview.surface.topology import count_edges

THICK_SLICE_RATIO = 1.5
"""Voxels longer than this many times their shortest side are interpolated before they are contoured."""

MOST_TRIANGLES = 500_000
VOLUME_TOLERANCE = 0.01
FINEST_STEP_MM = 0.5
_LARGEST_STRETCH = 0.015
_LEVEL_STEPS = 3
_COARSER_STEPS = 2


def mesh_from_mask(mask: LabelMap, *, smooth: bool = True) -> Mesh:
    """The surface of a mask in LPS mm, closed and outward.

    Isotropic voxels: flying edges and a windowed-sinc filter. Thick or uneven slices: signed distances per slice,
    interpolated to isotropic voxels, then flying edges at the level that encloses the mask's volume. Small
    bodies, whose corners smoothing would cut off, take the second way too, and large ones, in larger steps.
    When more than 1 % of the volume is still missing or too much, the surface is scaled about its
    centroid and ``notes`` say so. ``smooth=False`` gives the bare voxel surface.

    The exact grid is used: oblique, sheared and left-handed ones give the right shape and hand. Raises
    ``ExportError`` for an empty mask.
    """
    bounds = mask.bounds()
    if bounds is None:
        raise ExportError("The mask is empty, so there is no surface; segment the haematoma first.")
    body = LabelMap(np.pad(mask.array[bounds], 1), mask.geometry.cropped(bounds, margin=1))
    volume = body.geometry.volume_ml(body.array)

    mesh: Mesh | None = None
    if smooth and _near_cubic(body.geometry):
        mesh = _voxel_surface(body, smooth=True)
        if not _usable(mesh) or abs(np.cbrt(volume / mesh.volume_ml) - 1) > _LARGEST_STRETCH:
            mesh = None
    if smooth and mesh is None:
        mesh = _enclosing(interpolate_slices(body, _fine_step(body.geometry, volume)), volume)
        if not _usable(mesh):
            mesh = None
    if mesh is None:
        mesh = _voxel_surface(body, smooth=False)
    if len(mesh.triangles) > MOST_TRIANGLES:
        mesh = _coarser(mesh, body, volume)
    if abs(mesh.volume_ml / volume - 1) > VOLUME_TOLERANCE:
        mesh = mesh.scaled_to(volume)
    return mesh


def _near_cubic(geometry: Geometry) -> bool:
    """Whether voxels are about as long as wide, so that their staircase can be smoothed away."""
    return not geometry.is_uneven and max(geometry.spacing) <= THICK_SLICE_RATIO * min(geometry.spacing)


def _fine_step(geometry: Geometry, volume: float) -> float:
    """Step in mm for interpolation: what the pixels show, finer for small bodies and for near-cubic voxels.

    Near-cubic voxels come here only when smoothing them took a fine shape away.
    """
    finest = min(*geometry.spacing[:2], float(geometry.slice_steps_mm.min()))
    step = finest / 2 if _near_cubic(geometry) else max(FINEST_STEP_MM, finest)
    return min(step, float(np.cbrt(volume * 1000)) / 8)


def _voxel_surface(body: LabelMap, *, smooth: bool) -> Mesh:
    """The surface between voxels, its staircase smoothed away or not; the outermost voxels of ``body`` are empty."""
    points, triangles = level_surface(body.array.astype(np.float32), 0.5, smooth=smooth)
    return _place(points, triangles, body.geometry)


def _place(points: NDArray[np.float64], triangles: NDArray[np.int32], geometry: Geometry) -> Mesh:
    """The surface at voxel indices in the patient, outward on left-handed grids too."""
    mesh = Mesh(geometry.index_to_lps(points), triangles)
    return mesh.flipped() if geometry.is_left_handed else mesh


def _usable(mesh: Mesh) -> bool:
    return len(mesh.triangles) > 0 and mesh.volume_ml > 0 and count_edges(mesh.triangles).closed


def _enclosing(field: FineField, volume: float) -> Mesh:
    """The level surface of ``field`` that encloses ``volume`` mL."""
    wanted = int(np.clip(round(volume / field.geometry.voxel_volume_ml), 1, field.values.size - 1))
    flat = field.values.ravel()
    level = float(np.partition(flat, flat.size - wanted)[flat.size - wanted])
    # A grid point exactly on the level would put several corners of the surface on one spot.
    margin = 0.01 * min(field.geometry.spacing)
    mesh = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32))
    for _ in range(_LEVEL_STEPS):
        near = field.values - np.float32(level)
        close = np.abs(near) < margin
        near[close] = np.where(near[close] >= 0, margin, -margin)
        points, triangles = level_surface(near, 0.0, smooth=False)
        mesh = _place(points, triangles, field.geometry)
        if len(triangles) == 0:
            break
        excess = mesh.volume_ml / volume - 1
        if abs(excess) < VOLUME_TOLERANCE / 2:
            break
        # Volume changes by area times the shift; the slope of a distance is 1.
        level += 0.7 * excess * volume * 1000 / mesh.area_mm2
    return mesh


def _coarser(mesh: Mesh, body: LabelMap, volume: float) -> Mesh:
    """The surface from larger steps, with about ``MOST_TRIANGLES`` triangles; unlike edge collapses never open."""
    finest = min(body.geometry.spacing)
    step = finest if _near_cubic(body.geometry) else max(FINEST_STEP_MM, finest)
    reduced = mesh
    for _ in range(_COARSER_STEPS):
        step *= 1.1 * math.sqrt(len(reduced.triangles) / MOST_TRIANGLES)
        reduced = _enclosing(interpolate_slices(body, step), volume)
        if not _usable(reduced):
            return mesh
        if len(reduced.triangles) <= MOST_TRIANGLES:
            break
    note = f"The surface was made in steps of {step:.1f} mm to keep it below {MOST_TRIANGLES} triangles."
    return Mesh(reduced.points, reduced.triangles, notes=(*mesh.notes, note))
