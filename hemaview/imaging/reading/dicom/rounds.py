"""Pictures of the same places that nothing tells apart but the order in which they came: the rounds of a scanner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.places import Places

_BY_NUMBER = "Pictures of one place are told apart by their numbers alone."


@dataclass(frozen=True)
class Rounds:
    """``numbers`` is the round of every picture, from 1; rounds are points in time or just sets of pictures."""

    numbers: tuple[int, ...]
    in_time: bool
    notes: tuple[str, ...] = ()


def rounds_of(pictures: Sequence[Instance], places: Places) -> Rounds | None:
    """The rounds by time of day, else by the pictures' numbers; None when neither goes over the places in turn."""
    clocks = _numbers(picture.moments.get("clock", "") for picture in pictures)
    if clocks is not None and (found := _in_order(clocks, places)) is not None:
        return Rounds(found, in_time=True)
    counted = _numbers("" if p.instance_number is None else str(p.instance_number) for p in pictures)
    if counted is not None and (found := _in_order(counted, places)) is not None:
        announced = any(picture.moments.get("times", "") not in ("", "0", "1") for picture in pictures)
        return Rounds(found, in_time=announced, notes=() if announced else (_BY_NUMBER,))
    return None


def _numbers(texts: Iterable[str]) -> NDArray[np.float64] | None:
    try:
        return np.array([float(text) for text in texts])
    except ValueError:
        return None


def _in_order(keys: NDArray[np.float64], places: Places) -> tuple[int, ...] | None:
    """Rounds of pictures sorted by ``keys``: all places in turn, or all pictures of a place in turn."""
    pairs = set(zip(keys, places.number, strict=True))
    if len(pairs) < len(keys):
        return None
    order = np.argsort(keys, kind="stable")
    return _place_after_place(order, places) or _round_after_round(order, places)


def _round_after_round(order: NDArray[np.int64], places: Places) -> tuple[int, ...] | None:
    """A new round begins where a place comes again; there are no more rounds than pictures of one place."""
    numbers = np.zeros(len(order), dtype=int)
    current, seen = 1, set[int]()
    for picture in order:
        place = int(places.number[picture])
        if place in seen:
            current, seen = current + 1, set()
        seen.add(place)
        numbers[picture] = current
    return tuple(int(n) for n in numbers) if current == places.most else None


def _place_after_place(order: NDArray[np.int64], places: Places) -> tuple[int, ...] | None:
    """All pictures of one place follow each other, the same number at every place."""
    if len(set(places.counts)) > 1:
        return None
    blocks = places.number[order].reshape(-1, places.most)
    if places.most == 1 or not (blocks == blocks[:, :1]).all():
        return None
    numbers = np.zeros(len(order), dtype=int)
    numbers[order] = np.tile(np.arange(1, places.most + 1), len(places.counts))
    return tuple(int(n) for n in numbers)
