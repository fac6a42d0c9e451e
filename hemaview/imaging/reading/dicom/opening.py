"""Opening one stack of a DICOM series as a Volume, and which one where nobody said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.copies import check_copies
from hemaview.imaging.reading.dicom.finding import Found, find_pictures
from hemaview.imaging.reading.dicom.header import Instance, uid_name
from hemaview.imaging.reading.dicom.judging import Judgement, judge
from hemaview.imaging.reading.dicom.pixels import stored_pixels
from hemaview.imaging.reading.dicom.series import Series, group_series
from hemaview.imaging.reading.dicom.stack import Stack
from hemaview.imaging.reading.dicom.traits import component_of, made_of_others
from hemaview.imaging.reading.dicom.values import DamagedPictureError, read_values
from hemaview.imaging.reading.dicom.verdicts import Kind, kind_of
from hemaview.imaging.reading.dicom.wording import counted, file_names
from hemaview.imaging.reading.files import incomplete
from hemaview.imaging.reading.pixels import to_scan_values
from hemaview.imaging.reading.sources import Source
from hemaview.imaging.reading.summary import SeriesSummary
from hemaview.imaging.volume import Modality, Volume

Progress = Callable[[float], None]
Values = NDArray[np.int16] | NDArray[np.float32]

_HEADER_SHARE = 0.4
_MOST_BROKEN = 3
_MOST_HU = 32767
"""What 16 bits can hold; metal stays below it."""

_HOUNSFIELD_TYPES = ("", "HU", "US")


def read_series(
    sources: Sequence[Source],
    where: str,
    series_uid: str | None = None,
    progress: Progress | None = None,
    *,
    file: Path | None = None,
) -> Volume:
    """The stack ``series_uid`` among ``sources``, else the one that ``file`` belongs to, else the best there is.

    A ``series_uid`` without a part means the best stack of that series. ``where`` names the folder, file or zip in
    messages. A stack on which nothing can be measured opens with ``Volume.not_measurable``. Raises ``ScanError``.
    """
    headers = (lambda share: progress(_HEADER_SHARE * share)) if progress else None
    found = find_pictures(sources, headers)
    series = group_series(sorted(found.pictures, key=lambda picture: picture.source.path != file))
    if not series and file is not None:
        raise incomplete(file.name)
    if not series:
        raise ScanError(f"'{where}' holds {_no_image(found)}; choose the folder that holds the scan or copy it again.")
    chosen, notes = _best(_asked_for(series, where, series_uid, file), where)
    notes = (*notes, *_strays(chosen, series))
    if found.damaged:
        files = counted(len(found.damaged), "damaged file was", "damaged files were")
        notes = (*notes, f"{files} left out ('{found.damaged[0].name}'), so slices at the ends may be missing.")
    if found.closed:
        files = file_names([source for source, _ in found.closed])
        notes = (*notes, f"{files} could not be opened, so slices may be missing.")
    pixels = (lambda share: progress(_HEADER_SHARE + (1 - _HEADER_SHARE) * share)) if progress else None
    return _volume(chosen, notes, pixels)


def _no_image(found: Found) -> str:
    if found.damaged:
        return f"no intact DICOM image ('{found.damaged[0].name}' is damaged)"
    if found.closed:
        return f"no DICOM image that can be opened ('{found.closed[0][0].name}' cannot)"
    return "no DICOM image"


def _volume(chosen: Series, notes: tuple[str, ...], progress: Progress | None) -> Volume:
    check_copies(chosen.copies, stored_pixels)
    judgement, values, pixel_notes = _read(chosen, progress)
    stack, summary = judgement.stack, chosen.summary
    assert stack is not None
    array, value_notes = to_scan_values(values)
    hounsfield, value_warnings = _hounsfield(stack, float(array.min()), float(array.max()))
    return Volume(
        array=array,
        geometry=stack.geometry,
        modality=_modality(stack),
        name=summary.label,
        notes=(*notes, *judgement.notes, *chosen.notes, *pixel_notes, *value_notes, *value_warnings),
        attributes=MappingProxyType(_attributes(stack, summary)),
        not_measurable=judgement.reason,
        sequence=chosen.guess,
        study=summary.study,
        hounsfield=hounsfield,
    )


def _read(chosen: Series, progress: Progress | None) -> tuple[Judgement, Values, tuple[str, ...]]:
    """The values of a stack; a few pictures that turn out not to be readable are left out and judged anew."""
    judgement, broken = chosen.judgement, list[Instance]()
    while True:
        assert judgement.stack is not None
        try:
            return (judgement, *read_values(judgement.stack.instances, progress))
        except DamagedPictureError as damaged:
            broken.append(damaged.picture)
            judgement = judge(chosen.instances, broken)
            if judgement.stack is None or len(broken) > _MOST_BROKEN:
                raise


def _attributes(stack: Stack, summary: SeriesSummary) -> dict[str, str]:
    first = stack.instances[0]
    attributes = {"format": "DICOM", "series_uid": summary.uid, **first.technique}
    if first.slice_thickness:
        attributes["slice_thickness_mm"] = f"{first.slice_thickness:g}"
    if stack.tilt_degrees > 0.1:
        attributes["gantry_tilt_degrees"] = f"{stack.tilt_degrees:.2f}"
    return attributes


def _modality(stack: Stack) -> Modality:
    return {"CT": Modality.CT, "MR": Modality.MR}.get(stack.instances[0].modality, Modality.UNKNOWN)


def _hounsfield(stack: Stack, lowest: float, highest: float) -> tuple[bool | None, tuple[str, ...]]:
    """Whether the values of a CT are HU, None for other scans, and what to tell the user if they are not."""
    first = stack.instances[0]
    if first.modality != "CT":
        return None, ()
    if kind_of(first) is Kind.OTHER:
        return False, ()
    if first.rescale_type not in _HOUNSFIELD_TYPES:
        return False, (f"This CT is not in HU (it says '{first.rescale_type}'), so CT windows do not apply.",)
    if first.bits_stored <= 8:
        return False, ("This CT is stored in 8 bits, so its values are grey levels and not HU.",)
    if first.intercept is None and lowest > -500:
        return False, ("This CT does not say how its values become HU, so CT windows do not apply.",)
    if highest > _MOST_HU:
        return False, (
            f"This CT has values up to {highest:.0f}, which are no HU (negative values may have been written down as "
            "positive ones), so CT windows do not apply.",
        )
    return True, ()


def _asked_for(found: Sequence[Series], where: str, series_uid: str | None, file: Path | None) -> Sequence[Series]:
    if series_uid is not None:
        exactly = [s for s in found if s.summary.uid == series_uid]
        named = exactly or [s for s in found if s.instances[0].series_uid == series_uid]
        if not named:
            raise ScanError(f"'{where}' does not hold the series that was asked for any more; choose it again.")
        return named
    if file is not None:
        named = [s for s in found if any(p.source.path == file for p in s.instances)]
        if not named:
            raise incomplete(file.name)
        return named
    return found


def _best(found: Sequence[Series], where: str) -> tuple[Series, tuple[str, ...]]:
    """The first of those that are worth most, and a note that names the others that could be measured."""
    usable = [s for s in found if s.summary.measurable] or [s for s in found if s.stack is not None]
    if not usable:
        raise ScanError(_nothing_to_open(found, where))
    best = max(usable, key=_worth)
    if len(usable) == 1:
        return best, ()
    others = [s.summary.label for s in usable if s is not best]
    listed = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
    return best, (f"{best.summary.label} is one of {len(usable)} series here; the others are {listed}.",)


def _strays(chosen: Series, found: Sequence[Series]) -> tuple[str, ...]:
    """A note on pictures that seem to be slices of the chosen stack but are too damaged to join it."""
    strays = [picture for s in found if s is not chosen and _is_stray(s, chosen) for picture in s.instances]
    if not strays:
        return ()
    pictures = counted(len(strays), "picture of this series", "pictures of this series")
    return (f"{pictures} could not be used ({file_names(strays)}), so slices may be missing.",)


def _is_stray(other: Series, chosen: Series) -> bool:
    one, first = other.instances[0], chosen.instances[0]
    if other.summary.measurable or len(other.instances) >= len(chosen.instances):
        return False
    if other.stack is None and (not UID(one.series_uid).is_valid or one.series_number is None):
        return True  # whatever it was: the damage reaches into what says which series it is of
    if kind_of(one) is Kind.OTHER and one.series_uid == first.series_uid:
        return (one.rows, one.columns) == (first.rows, first.columns)
    is_of_it = one.series_uid in ("", first.series_uid) or one.series_number == first.series_number
    is_unclear = kind_of(one) in (Kind.SCAN, Kind.NOTHING) or uid_name(one.sop_class) is None
    return is_of_it and is_unclear and one.modality in ("", first.modality)


def _worth(series: Series) -> tuple[bool, bool, bool, int]:
    """Scans before everything else, acquired before computed pictures, stacks before single slices, then by size."""
    first = series.instances[0]
    is_scan = kind_of(first) is Kind.SCAN
    is_original = not component_of(first) and not made_of_others(first) and "DERIVED" not in first.image_type
    x, y, z = series.summary.size or (0, 0, 0)
    return is_scan, is_original, z > 1, x * y * z


def _nothing_to_open(found: Sequence[Series], where: str) -> str:
    if len(found) == 1:
        return f"{found[0].summary.label} cannot be opened because {found[0].summary.reason}."
    reasons = [f"{s.summary.label}: {s.summary.reason}" for s in found[:3]]
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    return f"None of the {len(found)} series in '{where}' can be opened ({'; '.join(reasons)}{more})."
