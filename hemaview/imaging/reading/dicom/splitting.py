"""Which pictures of a series belong together: one series may hold echoes, time points, planes and much more.

Differences that no stack can hold always part a series. The others part it only where that makes sense of its
places: where several pictures lie at one place, or where evenly spaced stacks are interleaved. A stack whose parts
were merely made in different ways (a head scanned thinner below than above) stays whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.places import Places, places_of
from hemaview.imaging.reading.dicom.rounds import rounds_of
from hemaview.imaging.reading.dicom.traits import CONTRASTS, GRIDS, OBJECTS, REPEATS, SHAPES, Trait
from hemaview.imaging.reading.dicom.verdicts import Kind, kind_of
from hemaview.imaging.reading.dicom.wording import natural_order

_MOST_PARTS = 1000


@dataclass(frozen=True)
class Part:
    """Pictures that belong together. ``keys`` name them in a uid, ``words`` for the user; empty for a whole series."""

    pictures: tuple[Instance, ...]
    keys: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """For example "phase+te-20"; empty for a whole series."""
        return "+".join(self.keys)


def split(pictures: Sequence[Instance]) -> tuple[Part, ...]:
    """The parts of one series, each with a key of its own, in the order of their values."""
    objects = _parted_by([Part(tuple(pictures))], OBJECTS)
    return _with_own_keys(part for one in objects for part in _PARTED[kind_of(one.pictures[0])](one))


def _nothing(part: Part) -> list[Part]:
    return [part]


def _piles(part: Part) -> list[Part]:
    return _parted_by([part], SHAPES)


def _views(part: Part) -> list[Part]:
    return _parted_by(_piles(part), GRIDS)


def _stacks(part: Part) -> list[Part]:
    parts = [stretch for view in _views(part) for stretch in _stretches(view)]
    for trait in CONTRASTS:
        parts = [smaller for whole in parts for smaller in _parted_if_stacks(whole, trait)]
    return [smaller for whole in parts for smaller in _without_repeats(whole)]


_PARTED = {
    Kind.SCAN: _stacks,
    Kind.SCOUT: _views,
    Kind.PROJECTION: _piles,
    Kind.OTHER: _piles,
    Kind.NOTHING: _nothing,
}


def _parted_by(parts: list[Part], traits: Iterable[Trait]) -> list[Part]:
    for trait in traits:
        parts = [smaller for part in parts for smaller in _parted(part, trait)]
    return parts


def _parted(part: Part, trait: Trait) -> list[Part]:
    """``part`` by the values of a trait; itself when they are all the same."""
    values = trait.values(part.pictures)
    if len(set(values)) == 1:
        return [part]
    return [_share(part, values, value, trait) for value in sorted(set(values), key=natural_order)]


def _share(part: Part, values: Sequence[str], value: str, trait: Trait) -> Part:
    own = tuple(p for p, v in zip(part.pictures, values, strict=True) if v == value)
    word = trait.word_of(value)
    words = (*part.words, word) if word else part.words
    return replace(part, pictures=own, keys=(*part.keys, trait.key_of(value)), words=words)


def _stretches(part: Part) -> list[Part]:
    """``part`` in pieces that lie far from each other, such as a head and the slices that wait for its contrast."""
    places = places_of(part.pictures)
    if places is None or not (found := places.stretches).any():
        return [part]
    count = int(found.max()) + 1
    return [
        replace(
            part,
            pictures=tuple(p for p, n in zip(part.pictures, found, strict=True) if n == number),
            keys=(*part.keys, f"stretch-{number + 1}"),
            words=(*part.words, f"stretch {number + 1} of {count}"),
            notes=(*part.notes, "Pictures that lie far from these belong to a stack of their own."),
        )
        for number in range(count)
    ]


def _parted_if_stacks(part: Part, trait: Trait) -> list[Part]:
    """``part`` by the values of a trait if at least two pictures share each of them."""
    shares = _parted(part, trait)
    return shares if all(len(share.pictures) > 1 for share in shares) else [part]


def _without_repeats(part: Part) -> list[Part]:
    """``part`` in pieces of which none has two pictures at one place, as far as anything tells them apart."""
    places = places_of(part.pictures)
    # Pictures that all lie at one place are a film of it and stay together.
    if places is None or len(places.counts) == 1 or not (places.repeats or places.is_irregular):
        return [part]
    for trait in REPEATS:
        shares = _parted(part, trait)
        if 1 < len(shares) <= _MOST_PARTS and _makes_sense(shares, places):
            return [piece for share in shares for piece in _without_repeats(share)]
    return _rounds(part, places) if places.repeats else [part]


def _makes_sense(shares: Sequence[Part], whole: Places) -> bool:
    """Whether parting leaves fewer pictures at one place, or undoes the interleaving of even stacks."""
    each = [places_of(share.pictures) for share in shares]
    known = [places for places in each if places is not None]
    if len(known) < len(each):
        return False
    if whole.repeats:
        return len(shares) <= whole.most and sum(p.repeats for p in known) < whole.repeats
    return all(p.is_even for p in known) and _interleaved(known)


def _interleaved(stacks: Sequence[Places]) -> bool:
    """Whether all stacks lie within the same stretch, for at least half of the shortest one."""
    first = max(stack.along.min() for stack in stacks)
    last = min(stack.along.max() for stack in stacks)
    return bool(last - first >= 0.5 * min(float(np.ptp(stack.along)) for stack in stacks))


def _rounds(part: Part, places: Places) -> list[Part]:
    """``part`` by the rounds in which the scanner went over its places; itself when their order does not show them."""
    found = rounds_of(part.pictures, places)
    if found is None:
        return [part]
    count = max(found.numbers)
    key, word = ("time", "time point") if found.in_time else ("set", "set")
    return [
        replace(
            part,
            pictures=tuple(p for p, n in zip(part.pictures, found.numbers, strict=True) if n == number),
            keys=(*part.keys, f"{key}-{number}"),
            words=(*part.words, f"{word} {number} of {count}"),
            notes=(*part.notes, *found.notes),
        )
        for number in range(1, count + 1)
    ]


def _with_own_keys(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Parts whose keys differ, by a number behind those that do not."""
    met: dict[str, int] = {}
    found = []
    for part in parts:
        met[part.key] = met.get(part.key, 0) + 1
        again = met[part.key]
        found.append(replace(part, keys=(*part.keys, str(again))) if again > 1 else part)
    return tuple(found)
