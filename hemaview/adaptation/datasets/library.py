"""The cases of the window whose masks a person has corrected or checked."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from hemaview.adaptation.datasets.labelled import DataError, LabelledScan
from hemaview.case.library import LibraryMask, library_masks
from hemaview.case.loading import load_entry
from hemaview.imaging import LabelMap, Volume


def library_scans(root: Path, cases: Sequence[str] | None = None) -> tuple[LabelledScan, ...]:
    """Every corrected or checked mask below ``root``, of all cases or of the folders named in ``cases``.

    Cases are read without locking them, so they may be open in the window. A case is one patient; cases that hold the
    same scan are taken as the same patient. Raises ``DataError`` where there is nothing, and for a named case without
    such a mask.
    """
    # Named by their folders, not by when they were last changed: the same cases give the same split.
    masks = tuple(sorted(library_masks(root), key=lambda mask: (mask.case, mask.scan.id)))
    if cases is not None:
        known = {mask.case for mask in masks}
        for name in cases:
            if name not in known:
                raise DataError(
                    f"The case {name} has no mask that was corrected or marked as checked; do so in the window first."
                )
        masks = tuple(mask for mask in masks if mask.case in set(cases))
    if not masks:
        raise DataError(
            f"No case in {root} has a mask that was corrected or marked as checked; do so in the window first."
        )
    patients = _patients(masks)
    counts: dict[str, int] = {}
    scans = []
    for mask in masks:
        counts[mask.case] = counts.get(mask.case, 0) + 1
        extra = "" if counts[mask.case] == 1 else f" ({counts[mask.case]})"
        scans.append(
            LabelledScan(
                patient=patients[mask.case],
                case=f"{mask.case}{extra}",
                sequence=str(mask.scan.modality),
                origin=f"own cases, mask {mask.state}",
                read=functools.partial(_read, mask),
            )
        )
    return tuple(scans)


def _patients(masks: Sequence[LibraryMask]) -> dict[str, str]:
    """For every case the first case that shares a scan with it, directly or through others."""
    group = {mask.case: mask.case for mask in masks}

    def first(case: str) -> str:
        while group[case] != case:
            case = group[case]
        return case

    owner: dict[str, str] = {}
    for mask in masks:
        a, b = sorted((first(mask.case), first(owner.setdefault(mask.scan.digest, mask.case))))
        group[b] = a
    return {case: first(case) for case in group}


def _read(mask: LibraryMask) -> tuple[Volume, LabelMap]:
    entry = load_entry(mask.scan)
    if entry.volume is None:
        raise DataError(f"The case {mask.case} cannot be used: {entry.problem or 'its scan is missing.'}")
    return entry.volume, mask.mask
