"""Telling whether the images of a DICOM series form one stack, and if not, why.

Positions decide, never SliceThickness or file names: slices are sorted by ImagePositionPatient along the slice
normal, and their places are carried as they are, so a gantry tilt becomes a sheared grid and uneven gaps stay uneven.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pydicom.uid
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.geometry import Geometry
from hemaview.imaging.reading.dicom.header import Instance, uid_name
from hemaview.imaging.reading.dicom.slice_places import NotOnALine, place_slices, repeated

_MEASURABLE_CLASSES = {pydicom.uid.CTImageStorage: "CT", pydicom.uid.MRImageStorage: "MR"}
_ENHANCED_CLASSES = {
    pydicom.uid.EnhancedCTImageStorage,
    pydicom.uid.EnhancedMRImageStorage,
    pydicom.uid.EnhancedMRColorImageStorage,
    pydicom.uid.LegacyConvertedEnhancedCTImageStorage,
    pydicom.uid.LegacyConvertedEnhancedMRImageStorage,
}
_SAME_ORIENTATION = 2e-3
_SAME_SPACING = 1e-3
_RIGHT_ANGLE = 1e-2
_NOTE_SHARE = 0.01
_LARGEST_TILT_DEGREES = 45.0


@dataclass(frozen=True)
class Stack:
    """Images in slice order (axis k), the grid they form and sentences for the user."""

    instances: tuple[Instance, ...]
    geometry: Geometry
    notes: tuple[str, ...]
    tilt_degrees: float


class NotAStack(Exception):  # noqa: N818 - carries the reason to the caller, never to the user
    """The images do not form one measurable stack; ``str()`` is a clause that follows "because"."""


def form_stack(instances: Sequence[Instance], same_pixels: Callable[[Instance, Instance], bool]) -> Stack:
    """Order the images of one series and build their geometry in LPS mm.

    ``same_pixels`` compares two images, for files that are there twice. Raises ``NotAStack`` with the reason.
    """
    _check_kind(instances)
    instances, notes = _without_copies(instances, same_pixels)
    _check_pixels(instances)
    _check_same_frame(instances)
    first = instances[0]
    assert first.orientation is not None
    assert first.pixel_spacing is not None
    along_row, along_column = _unit(first.orientation[:3]), _unit(first.orientation[3:])
    normal = _unit(np.cross(along_row, along_column))
    positions = np.array([i.position for i in instances], dtype=np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    ordered = tuple(instances[n] for n in order)
    positions = positions[order]
    along: tuple[float, ...] | None = None
    if len(ordered) == 1:
        step = _nominal_step(first, normal)
        notes = (*notes, _SINGLE_SLICE)
    else:
        gaps = np.diff(positions @ normal)
        if repeated(gaps).any():
            raise NotAStack(_describe_repeats(ordered, ~repeated(gaps)))
        try:
            places = place_slices(positions, normal)
        except NotOnALine as problem:
            raise NotAStack(f"{problem}, at {_files([ordered[problem.slice]])}") from problem
        step, along = places.step, places.along
        notes = (*notes, *places.notes)
    tilt = float(np.degrees(np.arccos(np.clip(step @ normal / np.linalg.norm(step), -1, 1))))
    if tilt > _LARGEST_TILT_DEGREES:
        raise NotAStack(f"its slices run {tilt:.0f} degrees away from their normal")
    if tilt > 0.1:
        notes = (*notes, f"The gantry was tilted by {tilt:.1f} degrees; the slanted grid is kept exactly.")
    affine = np.eye(4)
    affine[:3, 0] = along_row * first.pixel_spacing[1]
    affine[:3, 1] = along_column * first.pixel_spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = positions[0]
    try:
        geometry = Geometry.from_affine(affine, (first.columns, first.rows, len(ordered)))
        geometry = replace(geometry, slice_positions=along)
    except ScanError as error:
        raise NotAStack("its positions and directions do not describe a grid") from error
    distance, thickness = float(step @ normal), first.slice_thickness
    if len(ordered) > 1 and along is None and thickness and abs(distance / thickness - 1) > _NOTE_SHARE:
        notes = (
            *notes,
            f"Slices lie {distance:.4g} mm apart but are {thickness:.4g} mm thick; volumes use the distance.",
        )
    return Stack(ordered, geometry, notes, tilt)


_SINGLE_SLICE = (
    "The series has only one slice and its thickness is nominal, so a volume measured on it is only a rough figure."
)


_ENHANCED = "is an enhanced multi-frame object, which is not supported yet; export it as single images"


def _check_kind(instances: Sequence[Instance]) -> None:
    """Refuse everything that is not a plain CT or MR image."""
    for instance in instances:
        what = kind_problem(instance)
        if what:
            raise NotAStack(f"{_files([instance])} {what}" if len(instances) > 1 else f"it {what}")


def kind_problem(instance: Instance) -> str | None:
    """Why this file is no plain CT or MR image: a predicate such as "is a scout view"; None when it is one."""
    if instance.sop_class in _ENHANCED_CLASSES:
        return _ENHANCED
    if instance.sop_class and instance.sop_class not in _MEASURABLE_CLASSES:
        name = uid_name(instance.sop_class)
        kind = f"of the kind '{name.removesuffix(' Storage')}'" if name else "of an unknown kind"
        return f"is a DICOM object {kind}, not a CT or MR scan"
    if instance.is_enhanced:
        return _ENHANCED
    if not instance.sop_class and instance.modality not in ("CT", "MR"):
        return "does not say that it is a CT or MR scan"
    if instance.is_mosaic:
        return "is a Siemens mosaic (many slices tiled into one picture), which is not supported yet"
    if instance.frames > 1:
        return f"holds {instance.frames} frames, which is not supported yet; export it as single images"
    if "LOCALIZER" in instance.image_type or "SCOUT" in instance.image_type:
        return "is a scout view"
    return None


def _check_pixels(instances: Sequence[Instance]) -> None:
    empty = [i for i in instances if not i.has_pixels]
    if len(empty) == len(instances):
        raise NotAStack("it holds no pixel data")
    if empty:
        raise NotAStack(f"{_files(empty)} {_verb(empty, 'holds', 'hold')} no pixel data")
    for instance in instances:
        if instance.samples != 1 or instance.photometric not in ("MONOCHROME1", "MONOCHROME2"):
            raise NotAStack(f"{_files([instance])} is a colour picture")
        if instance.photometric == "MONOCHROME1" and instance.modality == "CT":
            raise NotAStack(f"{_files([instance])} is stored as a negative (MONOCHROME1), so its HU are not known")
        if instance.bits_allocated not in (8, 16, 32) or not (
            1 <= instance.bits_stored <= instance.bits_allocated
            and instance.bits_stored - 1 <= instance.high_bit < instance.bits_allocated
        ):
            raise NotAStack(f"{_files([instance])} stores its pixels in an unusual way")
        if instance.has_lookup or instance.slope == 0:
            raise NotAStack(f"the values of {_files([instance])} cannot be rescaled")
        if instance.rows < 1 or instance.columns < 1:
            raise NotAStack(f"{_files([instance])} does not say how large the picture is")
        native = instance.is_plain
        if not (native or instance.is_compressed or instance.is_deflated):
            raise NotAStack(f"{_files([instance])} is encoded in an unknown way; export the series uncompressed")
        if instance.is_truncated or (native and (instance.pixel_length or 0) < instance.frame_bytes):
            raise NotAStack(f"{_files([instance])} ends before its picture does; copy it again")
        if native and instance.pixel_length is not None and instance.pixel_length >= 2 * instance.frame_bytes:
            raise NotAStack(f"{_files([instance])} holds more pixel data than one picture")


def _check_same_frame(instances: Sequence[Instance]) -> None:
    """All images have a full position and share size, spacing and orientation."""
    for field, name in (("position", "position"), ("orientation", "orientation"), ("pixel_spacing", "pixel spacing")):
        missing = [i for i in instances if getattr(i, field) is None]
        if missing:
            raise NotAStack(f"{_files(missing)} {_verb(missing, 'has', 'have')} no usable {name}")
    first = instances[0]
    sizes = Counter((i.columns, i.rows) for i in instances)
    if len(sizes) > 1:
        raise NotAStack("it mixes pictures of " + _listed(f"{w} x {h} ({n})" for (w, h), n in sizes.most_common()))
    spacing = np.array([i.pixel_spacing for i in instances])
    if np.min(spacing) <= 0:
        raise NotAStack("its pixel spacing is not positive")
    if np.max(np.abs(spacing / spacing[0] - 1)) > _SAME_SPACING:
        raise NotAStack("its pictures have different pixel spacings")
    orientation = np.array([i.orientation for i in instances])
    lengths = np.linalg.norm(orientation.reshape(-1, 2, 3), axis=2)
    if np.max(np.abs(lengths - 1)) > _RIGHT_ANGLE:
        raise NotAStack("its orientation is not usable")
    if abs(float(np.dot(orientation[0, :3], orientation[0, 3:]))) > _RIGHT_ANGLE:
        raise NotAStack("its rows and columns are not at right angles")
    differs = np.max(np.abs(orientation - orientation[0]), axis=1) > _SAME_ORIENTATION
    if differs.any():
        other = next(i for i, different in zip(instances, differs, strict=True) if different)
        raise NotAStack(f"it mixes pictures of different orientations, for example {_files([first, other])}")
    for what, values in (
        ("photometric interpretations", {i.photometric for i in instances}),
        ("modalities", {i.modality for i in instances}),
    ):
        if len(values) > 1:
            raise NotAStack(f"it mixes {what} ({_listed(sorted(values))})")


def _without_copies(
    instances: Sequence[Instance], same_pixels: Callable[[Instance, Instance], bool]
) -> tuple[Sequence[Instance], tuple[str, ...]]:
    """Drop files that are the same image a second time."""
    known: dict[tuple[str, tuple[float, ...] | None], Instance] = {}
    kept: list[Instance] = []
    # Damaged copies come last, so that an intact one is kept.
    for instance in sorted(instances, key=lambda i: i.is_truncated):
        key = (instance.sop_instance, instance.position)
        is_known = bool(instance.sop_instance) and key in known
        if is_known and (instance.is_truncated or same_pixels(known[key], instance)):
            continue
        known.setdefault(key, instance)
        kept.append(instance)
    dropped = len(instances) - len(kept)
    if not dropped:
        return instances, ()
    copies = "1 file is a copy" if dropped == 1 else f"{dropped} files are copies"
    return kept, (f"{copies} of another image in the series and left out.",)


def _nominal_step(instance: Instance, normal: NDArray[np.float64]) -> NDArray[np.float64]:
    if not instance.slice_thickness or instance.slice_thickness <= 0:
        raise NotAStack("it is a single slice that does not say how thick it is")
    return normal * instance.slice_thickness


def _describe_repeats(instances: Sequence[Instance], starts_new: NDArray[np.bool_]) -> str:
    """Why several images share a position: what differs between them."""
    groups: list[list[Instance]] = [[instances[0]]]
    for instance, new in zip(instances[1:], starts_new, strict=True):
        if new:
            groups.append([instance])
        else:
            groups[-1].append(instance)
    counts = {len(group) for group in groups}
    places = "1 position" if len(groups) == 1 else f"{len(groups)} positions"
    spread = (
        f"{places} with {max(counts)} pictures each" if len(counts) == 1 else f"{len(instances)} pictures at {places}"
    )
    repeated = max(groups, key=len)
    types = {i.image_type for i in repeated}
    for name, wording in (
        ("echo", "several echoes"),
        ("b-value", "several diffusion weightings"),
        ("time", "several time points"),
    ):
        values = {i.moments[name] for i in repeated} - {""}
        if len(values) > 1 and not (name == "time" and len(types) > 1):
            return f"it holds {wording} ({spread}); export one of them as its own series"
    if len(types) > 1:
        kinds = "kinds of picture, such as magnitude and phase" if repeated[0].modality == "MR" else "versions"
        return f"it holds several {kinds} ({spread}); export one of them as its own series"
    announced = {i.moments["times"] for i in repeated} - {"", "0", "1"}
    for name in ("acquisition", "clock", "trigger"):
        if announced or len({i.moments[name] for i in repeated} - {""}) > 1:
            return f"it holds several time points ({spread}); export one of them as its own series"
    return f"several pictures lie at the same position ({spread}), for example {_files(repeated[:2])}"


def _unit(vector: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    array = np.asarray(vector, dtype=np.float64)
    return np.asarray(array / np.linalg.norm(array))


def _files(instances: Sequence[Instance]) -> str:
    names = [f"'{i.source.name}'" for i in instances]
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return _listed(names)


def _verb(instances: Sequence[Instance], one: str, many: str) -> str:
    return one if len(instances) == 1 else many


def _listed(words: object) -> str:
    items = [str(word) for word in words]  # type: ignore[attr-defined]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
