"""What is known of a scan before its pixels are read: which series, of which study, and whether it can be measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hemaview.imaging.study import StudyKey as StudyKey


class Verdict(StrEnum):
    """What can be done with a series."""

    MEASURABLE = "measurable"
    VIEWABLE = "viewable only"
    REFUSED = "refused"


@dataclass(frozen=True)
class SeriesSummary:
    """One stack of pictures that ``read_scan`` opens or refuses.

    ``uid`` is what ``read_scan(series_uid=...)`` takes: the SeriesInstanceUID, with ``#part`` behind it where one
    series holds several stacks (echoes, time points, magnitude and phase, orientations). ``label`` is technical
    (modality, number, technique, part), without patient or free text. ``images`` counts its pictures. ``size``
    (x, y, z in voxels) and ``spacing`` (x, y, z in mm, the mean one where slices are uneven) are None when unknown,
    ``plane`` is "axial", "coronal", "sagittal", "oblique ..." or empty. ``reason`` is a clause that says why the
    verdict is not measurable, None when it is. ``notes`` are sentences about what reading will do.
    ``sequence`` is the value of ``hemaview.imaging.sequence.Sequence`` that was guessed, or empty.
    """

    uid: str
    label: str
    modality: str
    images: int
    size: tuple[int, int, int] | None
    reason: str | None
    verdict: Verdict = Verdict.MEASURABLE
    spacing: tuple[float, float, float] | None = None
    plane: str = ""
    sequence: str = ""
    notes: tuple[str, ...] = ()
    study: StudyKey = field(default_factory=StudyKey)

    @property
    def measurable(self) -> bool:
        """Whether volumes may be measured on it."""
        return self.verdict is Verdict.MEASURABLE
