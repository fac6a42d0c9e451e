"""DICOM series: the stacks of pictures they hold, each with its name and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hemaview.imaging.plane_name import plane_name
from hemaview.imaging.reading.dicom.copies import Copies, without_copies
from hemaview.imaging.reading.dicom.finding import find_pictures
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.labels import series_label
from hemaview.imaging.reading.dicom.splitting import Part, split
from hemaview.imaging.reading.dicom.stack import NotAStack, Stack, form_pile, form_stack
from hemaview.imaging.reading.dicom.traits import component_of
from hemaview.imaging.reading.dicom.verdicts import Kind, damage, kind_of, look_only, refusal
from hemaview.imaging.reading.dicom.wording import counted, file_names, natural_order
from hemaview.imaging.reading.sources import Source
from hemaview.imaging.reading.summary import SeriesSummary, Verdict
from hemaview.imaging.sequence import Sequence as ScanSequence
from hemaview.imaging.sequence import SequenceGuess, guess_sequence


@dataclass(frozen=True)
class Series:
    """One stack of a series, None where there is nothing to see, and every picture it was found in.

    ``copies`` are pictures that were left out, and ``guess`` is what kind of scan it seems to be.
    """

    summary: SeriesSummary
    stack: Stack | None
    instances: tuple[Instance, ...] = ()
    copies: Copies = ()
    guess: SequenceGuess = field(default_factory=SequenceGuess)


def find_series(sources: Sequence[Source], progress: Callable[[float], None] | None = None) -> tuple[Series, ...]:
    """All stacks of all series among ``sources``; files that are not DICOM are passed over."""
    return group_series(find_pictures(sources, progress).pictures)


def group_series(pictures: Iterable[Instance]) -> tuple[Series, ...]:
    """The stacks that ``pictures`` form, in the order of the series' numbers; reads no file.

    Of a picture that is there twice, the first is kept.
    """
    by_uid: dict[str, list[Instance]] = {}
    for picture in pictures:
        by_uid.setdefault(picture.series_uid, []).append(picture)
    found = [series for uid, group in by_uid.items() for series in _stacks(uid, group)]
    return tuple(sorted(found, key=_in_order))


def _in_order(series: Series) -> tuple[bool, int, str]:
    number = series.instances[0].series_number
    return number is None, number or 0, series.instances[0].series_uid


def _stacks(uid: str, group: Sequence[Instance]) -> list[Series]:
    """The stacks of the pictures that share a SeriesInstanceUID."""
    pictures, copies = without_copies(group)
    # Files come in any order; the numbers make keys and names the same each time.
    numbered = sorted(pictures, key=lambda p: (p.instance_number or 0, natural_order(p.source.name), p.frame))
    return [_series(uid, part, copies) for part in split(numbered)]


def _series(uid: str, part: Part, copies: Copies) -> Series:
    stack, verdict, reason, notes = _judged(part)
    own = {id(picture) for picture in part.pictures}
    copies = tuple(pair for pair in copies if id(pair[0]) in own)
    first = part.pictures[0]
    if copies:
        notes = (*notes, f"{counted(len(copies), 'file is a copy', 'files are copies')} and left out.")
    guess = _guess(first)
    is_placed = stack is not None and first.orientation is not None
    summary = SeriesSummary(
        uid=f"{uid}#{part.key}" if part.key else uid,
        label=series_label(part.pictures, part.words),
        modality=first.modality or "?",
        images=len(part.pictures),
        size=stack.geometry.size if stack else None,
        reason=reason,
        verdict=verdict,
        spacing=stack.geometry.spacing if stack and verdict is Verdict.MEASURABLE else None,
        plane=plane_name(stack.geometry) if stack and is_placed else "",
        sequence="" if guess.sequence is ScanSequence.UNKNOWN else str(guess.sequence),
        notes=(*part.notes, *notes),
        study=first.study,
    )
    return Series(summary, stack, part.pictures, copies, guess)


def _guess(picture: Instance) -> SequenceGuess:
    if kind_of(picture) in (Kind.OTHER, Kind.NOTHING):
        return SequenceGuess()
    component = component_of(picture)
    known = {**picture.technique, "component": component.upper()} if component else picture.technique
    return guess_sequence(picture.modality, known)


def _judged(part: Part) -> tuple[Stack | None, Verdict, str | None, tuple[str, ...]]:
    """The stack of a part, what can be done with it, why not more, and sentences for the user."""
    refused = {id(p): why for p in part.pictures if (why := refusal(p))}
    if len(refused) == len(part.pictures):
        return None, Verdict.REFUSED, next(iter(refused.values())), ()
    intact = [p for p in part.pictures if id(p) not in refused and not damage(p)]
    left_out = [p for p in part.pictures if id(p) in refused or damage(p)]
    if not intact:
        why = damage(left_out[0]) or "cannot be read"
        return None, Verdict.REFUSED, f"{file_names(left_out[:1])} {why}; copy it again", ()
    stack, reason = _stacked(intact)
    notes = (*stack.notes, *([_left_out(left_out)] if left_out else []))
    return stack, Verdict.VIEWABLE if reason else Verdict.MEASURABLE, reason, notes


def _stacked(pictures: Sequence[Instance]) -> tuple[Stack, str | None]:
    """The stack of pictures, and why nothing may be measured on it."""
    reason = next((why for p in pictures if (why := look_only(p))), None)
    if reason is None:
        try:
            return form_stack(pictures), None
        except NotAStack as problem:
            reason = str(problem)
    return form_pile(pictures), reason


def _left_out(pictures: Sequence[Instance]) -> str:
    damaged = counted(len(pictures), "damaged picture was", "damaged pictures were")
    return f"{damaged} left out ({file_names(pictures)}); copy the series again to see the whole of it."
