"""Which of the scans found is likely wanted, and what may be opened together; no Qt in it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from hemaview.imaging.catalogue import Catalogue, SeriesItem
from hemaview.imaging.reading import Verdict

MOST_TOGETHER_VOXELS = 400_000_000
"""More voxels than this are not opened as one case: a computer on a ward would run out of memory."""

_BEST_SEQUENCES = ("CT", "SWI", "T2*", "FLAIR", "T1", "T2", "T1c", "CT with contrast", "PD")


@dataclass(frozen=True)
class Offer:
    """What can be done with the chosen scans: the word on the button, and what speaks against it or is to be known."""

    text: str
    problem: str = ""
    caution: str = ""


def opens_at_once(catalogue: Catalogue) -> SeriesItem | None:
    """The series that leaves nothing to choose: the only one, or the only one that can be measured."""
    series = list(catalogue)
    measurable = [item for item in series if item.summary.measurable]
    for some in (measurable, series):
        if some:
            return some[0] if len(some) == 1 else None
    return None


def likely_best(catalogue: Catalogue) -> SeriesItem | None:
    """The series that most likely shows the haematoma: measurable, several slices, a sequence made for it, large."""
    return min(catalogue, key=_rank, default=None)


def likely_wanted(catalogue: Catalogue, paths: Sequence[Path]) -> tuple[SeriesItem, ...]:
    """The series to begin with: the best one, or those of several ``paths`` that leave no choice in any of them.

    Whoever drops the folder of the T1 and that of the FLAIR wants both.
    """
    each = [[item for item in catalogue if item.summary.measurable and item.path.is_relative_to(p)] for p in paths]
    if len(each) > 1 and all(len(found) == 1 for found in each):
        together = tuple(dict.fromkeys(found[0] for found in each))
        if not offer(together).problem:
            return together
    best = likely_best(catalogue)
    return () if best is None else (best,)


def _rank(item: SeriesItem) -> tuple[int, bool, int, int]:
    summary = item.summary
    verdict = list(Verdict).index(summary.verdict)
    size = summary.size or (0, 0, 0)
    kind = _BEST_SEQUENCES.index(summary.sequence) if summary.sequence in _BEST_SEQUENCES else len(_BEST_SEQUENCES)
    return verdict, size[2] < 2, kind, -math.prod(size)


def another_patient(items: Sequence[SeriesItem], case_patients: Collection[str]) -> str:
    """Why the chosen scans may not join a case of ``case_patients`` (digests), or empty; no digest tells nothing."""
    known = {item.summary.study.patient for item in items} - {""}
    others = known - set(case_patients) if any(case_patients) else set()
    return "The open case is of another patient." if others else ""


def offer(items: Sequence[SeriesItem]) -> Offer:
    """What the button that opens says of the chosen scans."""
    if not items:
        return Offer("Open", problem="Choose a series.")
    refused = [item for item in items if item.summary.verdict is Verdict.REFUSED]
    text = "Open" if len(items) == 1 else f"Open {len(items)} scans as one case"
    if refused:
        which = "This series" if len(items) == 1 else refused[0].summary.label
        return Offer(text, problem=f"{which} cannot be opened because {refused[0].summary.reason}.")
    if len({item.summary.study.patient for item in items}) > 1:
        return Offer(text, problem="These scans are of different patients; a case holds one patient.")
    if sum(math.prod(item.summary.size or (0, 0, 0)) for item in items) > MOST_TOGETHER_VOXELS and len(items) > 1:
        return Offer(text, problem="These scans together are too large for one case; choose fewer.")
    if any(item.summary.verdict is Verdict.VIEWABLE for item in items):
        if len(items) == 1:
            return Offer("Open to look only", caution="It can be looked at; tools and volumes stay off.")
        return Offer(text, caution="Some of these scans can only be looked at.")
    return Offer(text)
