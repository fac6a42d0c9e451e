"""The grid that the pictures of one part of a series form, and if they form none, why.

Positions decide, never SliceThickness or file names: slices are sorted by ImagePositionPatient along the slice
normal, and their places are carried as they are, so a gantry tilt becomes a sheared grid and uneven gaps stay uneven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.places import places_of
from hemaview.imaging.reading.dicom.slice_places import NotOnALine, SlicePlaces, place_slices
from hemaview.imaging.reading.dicom.wording import counted, file_names

# Twice what pictures may differ from the first of their plane.
_SAME_ORIENTATION = 4e-3
_RIGHT_ANGLE = 1e-2
_NOTE_SHARE = 0.01
_LARGEST_TILT_DEGREES = 45.0
_NOTED_TILT_DEGREES = 0.1
_LOST_TILT_DEGREES = 2.0
_UNKNOWN_MM = 1.0
_PIXEL_MM = (0.005, 50.0)
_THICKEST_MM = 100.0
_SINGLE_SLICE = (
    "The series has only one slice and its thickness is nominal, so a volume measured on it is only a rough figure."
)


@dataclass(frozen=True)
class Stack:
    """Pictures in slice order (axis k), the grid they form and sentences for the user."""

    instances: tuple[Instance, ...]
    geometry: Geometry
    notes: tuple[str, ...] = ()
    tilt_degrees: float = 0.0


class NotAStack(Exception):  # noqa: N818 - carries the reason to the caller, never to the user
    """The pictures do not form one measurable stack; ``str()`` is a clause that follows "because"."""


def form_stack(pictures: Sequence[Instance]) -> Stack:
    """Order pictures of one size and build their geometry in LPS mm. Raises ``NotAStack`` with the reason."""
    _check_frame(pictures)
    first = pictures[0]
    along_row, along_column, normal = _axes(first)
    positions = np.array([p.position for p in pictures], dtype=np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    ordered, positions = tuple(pictures[n] for n in order), positions[order]
    places = _slice_places(ordered, positions, normal)
    tilt = _degrees_between(places.step, normal)
    if tilt > _LARGEST_TILT_DEGREES:
        raise NotAStack(f"its slices run {tilt:.0f} degrees away from their normal")
    geometry = _grid(first, len(ordered), (along_row, along_column, places.step), positions[0])
    notes = [*places.notes, *_tilt_notes(first, tilt, normal)]
    distance, thickness = float(places.step @ normal), first.slice_thickness
    if places.along is None and len(ordered) > 1 and thickness and abs(distance / thickness - 1) > _NOTE_SHARE:
        notes.append(f"Slices lie {distance:.4g} mm apart but are {thickness:.4g} mm thick; volumes use the distance.")
    return Stack(ordered, replace(geometry, slice_positions=places.along), tuple(notes), tilt)


def _tilt_notes(first: Instance, tilt: float, normal: NDArray[np.float64]) -> list[str]:
    """What to say of a gantry tilt: that it is kept, or that the header speaks of one and the geometry shows none."""
    if tilt > _NOTED_TILT_DEGREES:
        return [f"The gantry was tilted by {tilt:.1f} degrees; the slanted grid is kept exactly."]
    stated = _degrees(first.technique.get("stated_tilt_degrees", ""))
    if stated < _LOST_TILT_DEGREES or _degrees_between(np.abs(normal), np.array((0.0, 0.0, 1.0))) > stated / 2:
        return []
    excess = 100 * (1 / np.cos(np.radians(min(stated, _LARGEST_TILT_DEGREES))) - 1)
    return [
        f"The header says the gantry was tilted by {stated:.1f} degrees, but the positions of the slices are straight; "
        f"unless the scanner straightened them, volumes come out {excess:.0f} % too large."
    ]


def _degrees(text: str) -> float:
    try:
        degrees = abs(float(text))
    except ValueError:
        return 0.0
    return degrees if degrees <= 90 else 0.0


def form_pile(pictures: Sequence[Instance]) -> Stack:
    """Pictures of one size on a grid for looking at them: in a sensible order, 1 mm where a length is not known."""
    first = pictures[0]
    axes = _usable_axes(pictures)
    places = places_of(pictures)
    if places is not None and not places.repeats:
        ordered = tuple(pictures[n] for n in np.argsort(places.along, kind="stable"))
        distance = float(np.mean(places.gaps)) if places.gaps.size else _UNKNOWN_MM
    else:
        ordered = tuple(sorted(pictures, key=lambda p: (p.instance_number or 0, p.source.name, p.frame)))
        distance = _UNKNOWN_MM
    known = first.pixel_spacing
    spacing = known if known and all(_PIXEL_MM[0] <= s <= _PIXEL_MM[1] for s in known) else (_UNKNOWN_MM, _UNKNOWN_MM)
    origin = np.array(ordered[0].position or (0.0, 0.0, 0.0))
    scaled = replace(first, pixel_spacing=spacing)
    return Stack(ordered, _grid(scaled, len(ordered), (axes[0], axes[1], axes[2] * distance), origin))


def _usable_axes(pictures: Sequence[Instance]) -> tuple[NDArray[np.float64], ...]:
    """The axes of pictures that look in one known direction, else those of the patient."""
    try:
        _check_orientation(pictures)
    except NotAStack:
        return tuple(np.eye(3))
    return _axes(pictures[0])


def _check_frame(pictures: Sequence[Instance]) -> None:
    """All pictures say where they lie and how large their pixels are, and look in one direction."""
    if any(p.position is None or p.orientation is None for p in pictures):
        raise NotAStack("it does not say where its pictures lie in the patient")
    if any(p.pixel_spacing is None for p in pictures):
        raise NotAStack("it does not say how large its pixels are")
    for size in (size for p in pictures for size in p.pixel_spacing or ()):
        if not _PIXEL_MM[0] <= size <= _PIXEL_MM[1]:
            raise NotAStack(f"its pixel spacing of {size:.4g} mm cannot be right")
    _check_orientation(pictures)


def _check_orientation(pictures: Sequence[Instance]) -> None:
    if any(p.orientation is None for p in pictures):
        raise NotAStack("it does not say in which direction its pictures look")
    orientation = np.array([p.orientation for p in pictures])
    lengths = np.linalg.norm(orientation.reshape(-1, 2, 3), axis=2)
    if np.max(np.abs(lengths - 1)) > _RIGHT_ANGLE:
        raise NotAStack("its orientation is not usable")
    if abs(float(np.dot(orientation[0, :3], orientation[0, 3:]))) > _RIGHT_ANGLE:
        raise NotAStack("its rows and columns are not at right angles")
    if np.max(np.abs(orientation - orientation[0])) > _SAME_ORIENTATION:
        raise NotAStack("its pictures look in different directions")


def _axes(picture: Instance) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors in LPS along the rows, down the columns and at right angles to both."""
    along_row, along_column = (_unit(half) for half in np.reshape(np.array(picture.orientation), (2, 3)))
    return along_row, along_column, _unit(np.cross(along_row, along_column))


def _slice_places(
    ordered: Sequence[Instance], positions: NDArray[np.float64], normal: NDArray[np.float64]
) -> SlicePlaces:
    if len(ordered) == 1:
        thickness = ordered[0].slice_thickness
        if not thickness or not 0 < thickness <= _THICKEST_MM:
            raise NotAStack("it is a single slice that does not say how thick it is")
        return SlicePlaces(normal * thickness, None, (_SINGLE_SLICE,))
    places = places_of(ordered)
    if places is not None and places.repeats:
        raise NotAStack(_describe_repeats(ordered, places.counts))
    try:
        return place_slices(positions, normal)
    except NotOnALine as problem:
        raise NotAStack(f"{problem}, at {file_names([ordered[problem.slice]])}") from problem


def _describe_repeats(ordered: Sequence[Instance], counts: NDArray[np.int64]) -> str:
    places = counted(len(counts), "position", "positions")
    shared = len(set(counts)) == 1
    spread = f"{places} with {counts[0]} pictures each" if shared else f"{len(ordered)} pictures at {places}"
    start = int(np.sum(counts[: int(np.argmax(counts))]))
    example = file_names(ordered[start : start + 2])
    return f"several of its pictures lie at the same position ({spread}) and nothing tells them apart, as in {example}"


def _grid(first: Instance, slices: int, axes: tuple[NDArray[np.float64], ...], origin: NDArray[np.float64]) -> Geometry:
    assert first.pixel_spacing is not None
    affine = np.eye(4)
    affine[:3, 0] = axes[0] * first.pixel_spacing[1]
    affine[:3, 1] = axes[1] * first.pixel_spacing[0]
    affine[:3, 2] = axes[2]
    affine[:3, 3] = origin
    try:
        return Geometry.from_affine(affine, (first.columns, first.rows, slices))
    except ScanError as error:
        raise NotAStack("its positions and directions do not describe a grid") from error


def _degrees_between(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector))
