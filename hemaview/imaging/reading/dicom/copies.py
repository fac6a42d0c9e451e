"""Pictures that are there twice: told by their headers, proved by their pixels when the series is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.verdicts import damage

Copies = tuple[tuple[Instance, Instance], ...]
"""Pairs of the picture that is kept and a copy of it that is left out."""


def without_copies(pictures: Sequence[Instance]) -> tuple[tuple[Instance, ...], Copies]:
    """The pictures in their order, each once, and the copies; of a damaged and an intact one the intact is kept."""
    kept: dict[object, Instance] = {}
    copies: list[tuple[Instance, Instance]] = []
    for picture in pictures:
        identity = _identity(picture)
        known = kept.setdefault(identity, picture)
        if known is picture:
            continue
        if damage(known):
            kept[identity] = picture
        elif not damage(picture):
            copies.append((known, picture))
    return tuple(kept.values()), tuple(copies)


def _identity(picture: Instance) -> object:
    if not picture.sop_instance:
        return id(picture)
    return (
        picture.sop_instance, picture.frame, picture.tile, picture.position, picture.instance_number,
        picture.series_number,
    )  # fmt: skip


def check_copies(copies: Copies, stored: Callable[[Instance], NDArray]) -> None:
    """Raise ``ScanError`` when a picture that was left out as a copy differs from the one that was kept.

    A copy that is compressed in another way may have lost something, and one that cannot be decoded says nothing.
    """
    for known, copy in copies:
        is_recoded = known.syntax != copy.syntax and (known.is_compressed or copy.is_compressed)
        if not is_recoded and not _agree(known, copy, stored):
            raise ScanError(
                f"'{known.source.name}' and '{copy.source.name}' say they are the same picture but differ; remove the "
                "one that does not belong to the series."
            )


def _agree(known: Instance, copy: Instance, stored: Callable[[Instance], NDArray]) -> bool:
    try:
        pixels = stored(copy)
    except ScanError:
        return True
    return np.array_equal(stored(known), pixels)
