"""DICOM folders, files and zips: which series are there, and the one to open as a Volume.

Uniform single-frame CT and MR series are read; everything else is refused with its reason, never misread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.header import Instance, read_instance
from hemaview.imaging.reading.dicom.pixels import stored_pixels
from hemaview.imaging.reading.dicom.stack import NotAStack, Stack, form_stack
from hemaview.imaging.reading.dicom.values import read_values
from hemaview.imaging.reading.pixels import to_scan_values
from hemaview.imaging.reading.sources import Source
from hemaview.imaging.reading.summary import SeriesSummary, Verdict
from hemaview.imaging.volume import Modality, Volume

Progress = Callable[[float], None]

DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
_DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")
_HEADER_SHARE = 0.4


@dataclass(frozen=True)
class Series:
    """A series, the stack its images form, if they do, and every image it was found in."""

    summary: SeriesSummary
    stack: Stack | None
    instances: tuple[Instance, ...] = ()


def find_series(sources: Sequence[Source], progress: Progress | None = None) -> tuple[Series, ...]:
    """All series among ``sources`` in the order of their numbers; files that are not DICOM are passed over."""
    return group_series(_read_headers(sources, progress)[0])


def _read_headers(sources: Sequence[Source], progress: Progress | None) -> tuple[list[Instance], list[Source]]:
    """The headers of those ``sources`` that are DICOM objects (not DICOMDIR), and DICOM files that are damaged."""
    instances: list[Instance] = []
    damaged: list[Source] = []
    for done, source in enumerate(sources, start=1):
        instance = read_instance(source)
        if instance is None:
            if source.name.lower().endswith(_DICOM_SUFFIXES):
                damaged.append(source)
        elif not instance.series_uid and not instance.has_pixels and not instance.modality:
            # What is left of a file that was cut off in its header.
            if instance.sop_class != DICOMDIR_CLASS:
                damaged.append(source)
        elif instance.sop_class != DICOMDIR_CLASS:
            instances.append(instance)
        if progress:
            progress(done / len(sources))
    return instances, damaged


def group_series(instances: Iterable[Instance]) -> tuple[Series, ...]:
    """Instances grouped by SeriesInstanceUID, each group diagnosed, in the order of their numbers."""
    groups: dict[str, list[Instance]] = {}
    for instance in instances:
        groups.setdefault(instance.series_uid, []).append(instance)
    found = [_series(uid, group) for uid, group in groups.items()]
    return tuple(sorted(found, key=lambda s: (_number(groups[s.summary.uid]), s.summary.uid)))


def _number(group: Sequence[Instance]) -> int:
    return group[0].series_number if group[0].series_number is not None else 1 << 30


def _series(uid: str, group: Sequence[Instance]) -> Series:
    stack: Stack | None = None
    reason: str | None = None
    try:
        stack = form_stack(group, _same_pixels)
    except NotAStack as problem:
        reason = str(problem)
    size = stack.geometry.size if stack else None
    spacing = stack.geometry.spacing if stack else None
    verdict = Verdict.MEASURABLE if stack else Verdict.REFUSED
    modality = group[0].modality or "?"
    return Series(
        SeriesSummary(uid, _label(group), modality, len(group), size, reason, verdict, spacing), stack, tuple(group)
    )


def _same_pixels(first: Instance, second: Instance) -> bool:
    try:
        return bool(np.array_equal(stored_pixels(first), stored_pixels(second)))
    except ScanError:
        return False


def _label(group: Sequence[Instance]) -> str:
    """For example "MR series 4 (3D GR, TR 2300, TE 2.9 ms)"."""
    first = group[0]
    words = []
    if first.modality == "CT":
        if "kernel" in first.technique:
            words.append(f"kernel {first.technique['kernel']}")
        if first.slice_thickness:
            words.append(f"{first.slice_thickness:.3g} mm")
    elif first.modality == "MR":
        kind = " ".join(first.technique[k] for k in ("acquisition", "sequence") if k in first.technique)
        times = [
            f"{name} {float(first.technique[key]):.4g}"
            for name, key in (("TR", "repetition_time_ms"), ("TE", "echo_time_ms"), ("TI", "inversion_time_ms"))
            if _is_number(first.technique.get(key, ""))
        ]
        words = [*([kind] if kind else []), *times]
    number = f" {first.series_number}" if first.series_number is not None else ""
    return f"{first.modality or 'DICOM'} series{number}" + (f" ({', '.join(words)})" if words else "")


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def read_series(
    sources: Sequence[Source], where: str, series_uid: str | None = None, progress: Progress | None = None
) -> Volume:
    """The series ``series_uid`` among ``sources``, or the only or largest one that can be measured.

    ``where`` names the folder, file or zip in messages. Raises ``ScanError``.
    """
    headers = (lambda share: progress(_HEADER_SHARE * share)) if progress else None
    instances, damaged = _read_headers(sources, headers)
    found = group_series(instances)
    if not found:
        what = f"no intact DICOM image ('{damaged[0].name}' is damaged)" if damaged else "no DICOM image"
        raise ScanError(f"'{where}' holds {what}; choose the folder that holds the scan or copy it again.")
    chosen, notes = _choose(found, where, series_uid)
    if damaged:
        files = "1 damaged file was" if len(damaged) == 1 else f"{len(damaged)} damaged files were"
        notes = (*notes, f"{files} left out ('{damaged[0].name}'), so slices at the ends may be missing.")
    stack = chosen.stack
    assert stack is not None
    pixels = (lambda share: progress(_HEADER_SHARE + (1 - _HEADER_SHARE) * share)) if progress else None
    values, pixel_notes = read_values(stack.instances, pixels)
    array, value_notes = to_scan_values(values)
    first = stack.instances[0]
    modality, modality_notes = _modality(stack, float(array.min()))
    attributes = {"format": "DICOM", "series_uid": first.series_uid, **first.technique}
    if first.slice_thickness:
        attributes["slice_thickness_mm"] = f"{first.slice_thickness:g}"
    if stack.tilt_degrees > 0.1:
        attributes["gantry_tilt_degrees"] = f"{stack.tilt_degrees:.2f}"
    return Volume(
        array=array,
        geometry=stack.geometry,
        modality=modality,
        name=chosen.summary.label,
        notes=(*notes, *stack.notes, *pixel_notes, *value_notes, *modality_notes),
        attributes=MappingProxyType(attributes),
    )


def _choose(found: Sequence[Series], where: str, series_uid: str | None) -> tuple[Series, tuple[str, ...]]:
    if series_uid is not None:
        named = [s for s in found if s.summary.uid == series_uid]
        if not named:
            raise ScanError(f"'{where}' does not hold the series that was asked for any more; choose it again.")
        if named[0].stack is None:
            raise ScanError(_refusal(named[0].summary))
        return named[0], ()
    usable = [s for s in found if s.stack is not None]
    if not usable:
        raise ScanError(_no_usable(found, where))
    best = max(usable, key=_voxels)
    if len(usable) == 1:
        return best, ()
    others = [s.summary.label for s in usable if s is not best]
    listed = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
    return best, (f"{best.summary.label} is the largest of {len(usable)} series here; the others are {listed}.",)


def _voxels(series: Series) -> tuple[bool, int]:
    """Stacks before single slices, then the larger one."""
    x, y, z = series.summary.size or (0, 0, 0)
    return z > 1, x * y * z


def _refusal(summary: SeriesSummary) -> str:
    return f"{summary.label} cannot be measured because {summary.reason}."


def _no_usable(found: Sequence[Series], where: str) -> str:
    if len(found) == 1:
        return _refusal(found[0].summary)
    reasons = [f"{s.summary.label}: {s.summary.reason}" for s in found[:3]]
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    return f"None of the {len(found)} series in '{where}' can be measured ({'; '.join(reasons)}{more})."


def _modality(stack: Stack, lowest: float) -> tuple[Modality, tuple[str, ...]]:
    first = stack.instances[0]
    if first.modality != "CT":
        return Modality.MR if first.modality == "MR" else Modality.UNKNOWN, ()
    if first.rescale_type not in ("", "HU", "US"):
        return Modality.UNKNOWN, (
            f"This CT is not in HU (it says '{first.rescale_type}'), so CT windows do not apply.",
        )
    if first.bits_stored <= 8:
        return Modality.UNKNOWN, ("This CT is stored in 8 bits, so its values are grey levels and not HU.",)
    if first.intercept is None and lowest > -500:
        return Modality.UNKNOWN, ("This CT does not say how its values become HU, so CT windows do not apply.",)
    return Modality.CT, ()
