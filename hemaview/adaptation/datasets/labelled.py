"""One scan with its mask, wherever both come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hemaview.errors import ScanError
from hemaview.imaging import LabelMap, Volume


class DataError(ScanError):
    """Training data are missing, do not fit together or are too few."""


@dataclass(frozen=True)
class LabelledScan:
    """A scan whose lesion somebody has drawn, named but not yet read.

    ``patient`` groups what must not be divided between training and measuring; ``case`` names this scan and is unique
    in its source; ``sequence`` is free text ("flair", "ct", "" where unknown). ``origin`` says in words where the scan
    comes from; for made-up scans it holds the word "synthetic".
    """

    patient: str
    case: str
    sequence: str
    origin: str
    read: Callable[[], tuple[Volume, LabelMap]] = field(repr=False, compare=False)

    def load(self) -> tuple[Volume, LabelMap]:
        """The scan and its mask on one grid; ``DataError`` or ``ScanError`` in one sentence that names the case.

        A mask without a single voxel is refused: the box that prompts a model is drawn round it.
        """
        volume, mask = self.read()
        if not volume.geometry.matches(mask.geometry):
            raise DataError(f"The mask of {self.case} does not lie on its scan; save it again on that scan's grid.")
        if not mask.array.any():
            raise DataError(f"The mask of {self.case} is empty; draw the lesion or leave this scan out.")
        return volume, mask


def patients_of(scans: Sequence[LabelledScan]) -> tuple[str, ...]:
    """Every patient once, sorted."""
    return tuple(sorted({scan.patient for scan in scans}))


def check_cases(scans: Sequence[LabelledScan]) -> None:
    """Refuse two scans of one name, because tables and splits could not tell them apart."""
    seen: set[str] = set()
    for scan in scans:
        if scan.case in seen:
            raise DataError(f"Two scans are called {scan.case}; give every scan its own name.")
        seen.add(scan.case)
