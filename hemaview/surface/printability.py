"""Whether a surface can be printed and still is the haematoma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ExportError
from hemaview.imaging import LabelMap
from hemaview.surface.building import VOLUME_TOLERANCE
from hemaview.surface.mesh import Mesh
from hemaview.surface.topology import count_edges, count_pinched_points, label_bodies

FRAGMENT_ML = 0.1
GUIDELINE_SLICE_MM = 1.25
"""Thickest source slices for printed models (RSNA 3D printing special interest group)."""

_LARGE_ML = 5.0
_SMALL_TOLERANCE = 0.05
_LARGEST_STRETCH = 0.015
_MOST_TRIANGLES = 500_000


@dataclass(frozen=True)
class Body:
    """One closed shell: its volume in mL (negative for a cavity) and whether it is a loose fragment."""

    volume_ml: float
    fragment: bool

    @property
    def cavity(self) -> bool:
        """Whether the shell is the wall of a hole inside another body."""
        return self.volume_ml < 0


@dataclass(frozen=True)
class PrintReport:
    """What was checked before a mesh leaves the program.

    ``blocks`` are sentences that forbid printing, ``warnings`` sentences to read first. ``bodies`` are
    sorted from the largest. ``size_mm`` is the extent along x, y, z (LPS). ``deviation`` is
    mesh / mask volume - 1.
    """

    blocks: tuple[str, ...]
    warnings: tuple[str, ...]
    bodies: tuple[Body, ...]
    open_edges: int
    crowded_edges: int
    twisted_edges: int
    pinched_points: int
    triangles: int
    size_mm: tuple[float, float, float]
    mesh_ml: float
    mask_ml: float
    deviation: float
    stretch: float
    space: str = "LPS"
    unit: str = "mm"

    @property
    def printable(self) -> bool:
        """Whether nothing forbids printing."""
        return not self.blocks

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything the user should read: what blocks, what to watch, and the size."""
        x, y, z = (side / 10 for side in self.size_mm)
        size = (
            f"{self.mesh_ml:.1f} mL, {x:.1f} x {y:.1f} x {z:.1f} cm, {self.triangles} triangles, "
            f"in {self.unit}, {self.space}: import at 1 unit = 1 mm and do not mirror."
        )
        return (*self.blocks, *self.warnings, size)


def check_printability(mesh: Mesh, mask: LabelMap) -> PrintReport:
    """Check a mesh against the mask it was made from.

    Blocks: open, non-manifold or inside-out surface, a volume off by more than 5 % (10 % below 5 mL). Warns:
    over 1 % (5 %), several bodies, fragments, cavities, thick slices, the surface farther from the mask's
    than its own voxels. Raises ``ExportError`` for an empty mask.
    """
    mask_ml = mask.geometry.volume_ml(mask.array)
    if mask_ml == 0:
        raise ExportError("The mask is empty, so there is nothing to print; segment the haematoma first.")
    edges = count_edges(mesh.triangles)
    pinched = count_pinched_points(mesh.triangles) if edges.closed else 0
    bodies = _bodies(mesh)
    deviation = mesh.volume_ml / mask_ml - 1
    blocks: list[str] = []
    if not edges.closed or len(mesh.triangles) == 0:
        blocks.append("The surface is not closed; smooth or repair the mask before printing.")
    if pinched:
        blocks.append(f"The surface touches itself in {pinched} points; smooth the mask before printing.")
    if mesh.volume_ml <= 0:
        blocks.append("The surface is inside out; make it again from the mask.")
    elif abs(deviation) > _tolerance(mask_ml, 0.05, 0.10):
        blocks.append(f"The surface encloses {deviation:+.1%} of the mask's volume; do not print it.")
    return PrintReport(
        blocks=tuple(blocks),
        warnings=(*_shape_warnings(mesh, mask, mask_ml, deviation), *_body_warnings(bodies)),
        bodies=bodies,
        open_edges=edges.open_edges,
        crowded_edges=edges.crowded_edges,
        twisted_edges=edges.twisted_edges,
        pinched_points=pinched,
        triangles=len(mesh.triangles),
        size_mm=mesh.size_mm,
        mesh_ml=mesh.volume_ml,
        mask_ml=mask_ml,
        deviation=deviation,
        stretch=mesh.stretch,
    )


def _tolerance(mask_ml: float, large: float, small: float) -> float:
    return large if mask_ml > _LARGE_ML else small


def _bodies(mesh: Mesh) -> tuple[Body, ...]:
    count, label = label_bodies(mesh.triangles, len(mesh.points))
    volumes = np.bincount(label, weights=mesh.corner_volumes_mm3, minlength=count) / 1000
    return tuple(Body(float(v), bool(0 <= v < FRAGMENT_ML and count > 1)) for v in sorted(volumes, reverse=True))


def _shape_warnings(mesh: Mesh, mask: LabelMap, mask_ml: float, deviation: float) -> list[str]:
    found = list(mesh.notes)
    if abs(deviation) > _tolerance(mask_ml, VOLUME_TOLERANCE, _SMALL_TOLERANCE):
        found.append(f"The surface's volume differs from the mask's by {deviation:+.1%}.")
    if abs(mesh.stretch) > _LARGEST_STRETCH:
        found.append("Parts of the mask are too fine for a smooth surface; their size is not to scale.")
    thickest = max(_largest_interval(mask), *mask.geometry.spacing[:2])
    if thickest > GUIDELINE_SLICE_MM:
        found.append(
            f"The slices are {'up to ' if mask.geometry.is_uneven else ''}{thickest:.1f} mm apart; printed models "
            f"should come from slices of at most {GUIDELINE_SLICE_MM} mm, the shape between them is interpolated."
        )
    stray = _stray_points(mesh, mask)
    if stray:
        found.append(f"At {stray} points the surface is more than half a voxel's diagonal from the mask.")
    if len(mesh.triangles) > _MOST_TRIANGLES:
        found.append(f"The surface has {len(mesh.triangles)} triangles; some slicers are slow above {_MOST_TRIANGLES}.")
    return found


def _largest_interval(mask: LabelMap) -> float:
    """Extent in mm of the mask's thickest slice along the slice normal."""
    bounds = mask.bounds()
    return 0.0 if bounds is None else float(mask.geometry.slice_extents_mm[bounds[0]].max())


def _body_warnings(bodies: tuple[Body, ...]) -> list[str]:
    found = []
    solid = [body for body in bodies if not body.cavity]
    if len(solid) > 1:
        listed = ", ".join(f"{body.volume_ml:.1f}" for body in solid[:5]) + (", ..." if len(solid) > 5 else "")
        found.append(f"The print falls into {len(solid)} separate bodies ({listed} mL).")
    fragments = sum(body.fragment for body in bodies)
    if fragments:
        what = "One is a fragment" if fragments == 1 else f"{fragments} of them are fragments"
        found.append(f"{what} below {FRAGMENT_ML} mL; erase what is not haematoma.")
    cavities = [body for body in bodies if body.cavity]
    if cavities:
        volume = -sum(body.volume_ml for body in cavities)
        found.append(f"There is a closed cavity of {volume:.2f} mL inside, which traps resin or powder.")
    return found


def _stray_points(mesh: Mesh, mask: LabelMap) -> int:
    """Points that lie farther from the voxels' outer faces than half a voxel's diagonal."""
    from scipy.spatial import cKDTree

    if len(mesh.points) == 0:
        return 0
    geometry = mask.geometry
    faces = geometry.index_to_lps(_face_samples(mask))
    sides = np.array([*geometry.spacing[:2], float(geometry.slice_steps_mm.max())])
    limit = float(np.linalg.norm(geometry.axes @ sides)) / 2 + min(geometry.spacing) / 2
    distance, _ = cKDTree(faces).query(mesh.points, distance_upper_bound=limit)
    return int(np.count_nonzero(~np.isfinite(distance)))


def _face_samples(mask: LabelMap) -> NDArray[np.float64]:
    """Points (i, j, k) on all faces between mask and background, about the finest voxel side apart."""
    bounds = mask.bounds()
    if bounds is None:
        return np.zeros((0, 3))
    voxels = np.pad(mask.array[bounds], 1).astype(np.int8)
    start = np.array([part.start for part in bounds]) - 1
    x, y, _ = mask.geometry.spacing
    spacing = float(mask.geometry.slice_steps_mm.max()), y, x
    pieces = [max(1, round(side / min(spacing))) for side in spacing]
    found = []
    for axis in range(3):
        face = np.argwhere(np.diff(voxels, axis=axis) != 0) + start
        middle = face.astype(np.float64)
        middle[:, axis] += 0.5
        others = [a for a in range(3) if a != axis]
        grid = np.zeros((pieces[others[0]], pieces[others[1]], 3))
        for place, a in enumerate(others):
            steps = (np.arange(pieces[a]) + 0.5) / pieces[a] - 0.5
            grid[..., a] = steps[:, None] if place == 0 else steps[None, :]
        found.append((middle[:, None, :] + grid.reshape(1, -1, 3)).reshape(-1, 3))
    return np.concatenate(found)[:, ::-1]
