"""DICOM series: the stacks of pictures they hold, each with its name and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hemaview.imaging.plane_name import plane_name
from hemaview.imaging.reading.dicom.copies import Copies, without_copies
from hemaview.imaging.reading.dicom.finding import find_pictures
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.judging import Judgement, judge
from hemaview.imaging.reading.dicom.labels import series_label
from hemaview.imaging.reading.dicom.splitting import Part, split
from hemaview.imaging.reading.dicom.stack import Stack
from hemaview.imaging.reading.dicom.traits import component_of
from hemaview.imaging.reading.dicom.verdicts import Kind, kind_of
from hemaview.imaging.reading.dicom.wording import counted, natural_order
from hemaview.imaging.reading.sources import Source
from hemaview.imaging.reading.summary import SeriesSummary
from hemaview.imaging.sequence import Sequence as ScanSequence
from hemaview.imaging.sequence import SequenceGuess, guess_sequence


@dataclass(frozen=True)
class Series:
    """One stack of a series, the judgement on it and every picture it was found in.

    ``copies`` are pictures that were left out, ``guess`` is what kind of scan it seems to be, and ``notes`` are
    sentences beside those of the judgement.
    """

    summary: SeriesSummary
    judgement: Judgement
    instances: tuple[Instance, ...]
    copies: Copies
    guess: SequenceGuess
    notes: tuple[str, ...]

    @property
    def stack(self) -> Stack | None:
        """The pictures in order and their grid, None where there is nothing to see."""
        return self.judgement.stack


def find_series(sources: Sequence[Source], progress: Callable[[float], None] | None = None) -> tuple[Series, ...]:
    """All stacks of all series among ``sources``; files that are not DICOM are passed over."""
    return group_series(find_pictures(sources, progress).pictures)


def group_series(pictures: Iterable[Instance]) -> tuple[Series, ...]:
    """The stacks that ``pictures`` form, in the order of the series' numbers, else as they come; reads no file.

    Of a picture that is there twice, the first is kept.
    """
    by_uid: dict[str, list[Instance]] = {}
    for picture in pictures:
        by_uid.setdefault(picture.series_uid, []).append(picture)
    found = [series for uid, group in by_uid.items() for series in _stacks(uid, group)]
    return tuple(sorted(found, key=_in_order))


def _in_order(series: Series) -> tuple[bool, int]:
    number = series.instances[0].series_number
    return number is None, number or 0


def _stacks(uid: str, group: Sequence[Instance]) -> list[Series]:
    """The stacks of the pictures that share a SeriesInstanceUID."""
    pictures, copies = without_copies(group)
    # Files come in any order; the numbers make keys and names the same each time.
    numbered = sorted(pictures, key=lambda p: (p.instance_number or 0, natural_order(p.source.name), p.frame))
    return [_series(uid, part, copies) for part in split(numbered)]


def _series(uid: str, part: Part, copies: Copies) -> Series:
    judgement = judge(part.pictures)
    stack, first = judgement.stack, part.pictures[0]
    own = {id(picture) for picture in part.pictures}
    copies = tuple(pair for pair in copies if id(pair[0]) in own)
    notes = part.notes
    if copies:
        notes = (*notes, f"{counted(len(copies), 'file is a copy', 'files are copies')} and left out.")
    guess = _guess(first)
    summary = SeriesSummary(
        uid=f"{uid}#{part.key}" if part.key else uid,
        label=series_label(part.pictures, part.words),
        modality=first.modality or "?",
        images=len(part.pictures),
        size=stack.geometry.size if stack else None,
        reason=judgement.reason,
        verdict=judgement.verdict,
        spacing=stack.geometry.spacing if stack and judgement.reason is None else None,
        plane=plane_name(stack.geometry) if stack and first.orientation else "",
        sequence="" if guess.sequence is ScanSequence.UNKNOWN else str(guess.sequence),
        notes=(*judgement.notes, *notes),
        study=first.study,
    )
    return Series(summary, judgement, part.pictures, copies, guess, notes)


def _guess(picture: Instance) -> SequenceGuess:
    if kind_of(picture) in (Kind.OTHER, Kind.NOTHING):
        return SequenceGuess()
    component = component_of(picture)
    known = {**picture.technique, "component": component.upper()} if component else picture.technique
    return guess_sequence(picture.modality, known)
