"""The masks of all cases that a person has vouched for, by correcting them or by marking them as checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from hemaview.case.history import Marks
from hemaview.case.opening import JOURNAL_NAME, look_into_case
from hemaview.case.scan_entry import ScanEntry
from hemaview.errors import CaseError
from hemaview.imaging import LabelMap
from hemaview.segmentation import Prompt


class MaskState(StrEnum):
    """What a person did to a mask; an engine's answer that nobody touched or checked has none."""

    CHECKED = "checked"
    CORRECTED = "corrected"


@dataclass(frozen=True, eq=False)
class LibraryMask:
    """One scan with a mask that a model may learn from.

    ``case`` is the name of the case's folder, by which a command names it; ``scan`` the scan without its pixels
    (``hemaview.case.loading.load_entry`` reads them); ``volume_ml`` that of the mask; ``modified`` has a time zone.
    """

    case: str
    directory: Path
    scan: ScanEntry
    mask: LabelMap
    prompt: Prompt
    state: MaskState
    volume_ml: float
    modified: datetime


def library_masks(root: Path) -> tuple[LibraryMask, ...]:
    """Every corrected or checked mask with a voxel in it below ``root``, last changed case first.

    A mask carried over from another scan is none of them: nobody drew it on this one. Takes no lock, so it sees the
    case that is open in a window too. Folders that are no case or cannot be read are passed over.
    """
    found: list[LibraryMask] = []
    for directory in sorted(path.parent for path in root.glob(f"*/{JOURNAL_NAME}")):
        try:
            found += _masks(directory)
        except (CaseError, OSError):
            continue
    return tuple(sorted(found, key=lambda one: (one.modified, one.case), reverse=True))


def _masks(directory: Path) -> list[LibraryMask]:
    state = look_into_case(directory)
    modified = datetime.fromtimestamp((directory / JOURNAL_NAME).stat().st_mtime, UTC)
    masks = []
    for scan_id, scan in state.scans.items():
        work = state.work[scan_id]
        if work.mask is None or not _is_vouched(work.marks) or not work.mask.voxel_count:
            continue
        vouched = MaskState.CHECKED if work.marks.checked else MaskState.CORRECTED
        volume = work.mask.geometry.volume_ml(work.mask.array)
        masks.append(
            LibraryMask(directory.name, directory, scan, work.mask, work.marks.prompt, vouched, volume, modified)
        )
    return masks


def _is_vouched(marks: Marks) -> bool:
    return (marks.checked or marks.edited) and marks.carried_from is None
