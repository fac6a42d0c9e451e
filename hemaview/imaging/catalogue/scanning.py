"""Looking through dropped paths for scans, reading headers only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from zipfile import ZipFile

from hemaview.imaging.catalogue.arranging import arrange
from hemaview.imaging.catalogue.contents import Catalogue, LeftOut, SeriesItem
from hemaview.imaging.catalogue.dicomdir import directory_notes
from hemaview.imaging.catalogue.index import Memory, ScanIndex
from hemaview.imaging.catalogue.looking import Kind, Look, look_at
from hemaview.imaging.catalogue.places import places_of
from hemaview.imaging.catalogue.whole_scans import whole_scan_items, without_second_halves
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.series import Series, group_series
from hemaview.imaging.reading.sources import Source

ScanProgress = Callable[[int, int], None]
"""Called with files looked at and files in all, 0 in all while they are still counted; may raise ``Cancelled``."""

_EXAMPLES = 3

_Seen = tuple[Source, Look]


def scan_paths(
    paths: Sequence[Path | str], *, index: ScanIndex | None = None, progress: ScanProgress | None = None
) -> Catalogue:
    """The patients, studies and series below ``paths``: folders, zips, DICOMDIRs and files in any mixture.

    A DICOM file stands for its folder, as in ``read_scan``; a DICOMDIR for everything below its folder, whether it
    lists it or not. Only headers are read, in the calling thread, and with ``index`` only those of files that are
    new or have changed. What is no scan is counted in ``left_out`` and stops nothing; a path that cannot be looked
    into is said in ``notes``. Raises only what ``progress`` raises.
    """
    report = progress or (lambda done, total: None)
    with ExitStack() as archives, index.open() if index else nullcontext(Memory()) as memory:
        places = places_of(paths, archives, lambda found: report(0, 0))
        sources = without_second_halves(places.sources)
        seen: list[_Seen] = []
        whole: list[SeriesItem] = []
        for source in sources:
            look = _look(source, memory)
            if look.kind is Kind.WHOLE_SCAN and source.member is None:
                whole += whole_scan_items(source.path)
            seen.append((source, look))
            report(len(seen), len(sources))
        items = (*_dicom_items(seen), *_packed_items(seen), *whole)
        notes = (*places.notes, *_directory_notes(seen))
        return Catalogue(arrange(items), _left_out(seen), notes, len(places.sources))


def _look(source: Source, memory: Memory) -> Look:
    look = memory.recall(source)
    if look is None:
        look = look_at(source)
        memory.remember(source, look)
    return look


def _dicom_items(seen: Iterable[_Seen]) -> list[SeriesItem]:
    """The series of all loose DICOM files on a disk together."""
    loose: dict[str, list[Instance]] = {}
    for source, look in seen:
        if source.member is None and look.pictures:
            loose.setdefault(source.path.anchor, []).extend(look.pictures)
    return [_dicom_item(series, _narrowest(series)) for found in loose.values() for series in group_series(found)]


def _packed_items(seen: Iterable[_Seen]) -> list[SeriesItem]:
    """The series in each zip by itself; one of DICOM opens as DICOM whatever else lies in it."""
    packed: dict[Path, list[Instance]] = {}
    for source, look in seen:
        if source.member is not None and look.kind in (Kind.PICTURES, Kind.WHOLE_SCAN):
            packed.setdefault(source.path, []).extend(look.pictures)
    items: list[SeriesItem] = []
    for path, found in packed.items():
        items += [_dicom_item(series, path) for series in group_series(found)] if found else whole_scan_items(path)
    return items


def _dicom_item(series: Series, path: Path) -> SeriesItem:
    pictures = series.stack.instances if series.stack else series.instances
    files = {picture.source for picture in series.instances}
    middle = pictures[len(pictures) // 2] if pictures else None
    return SeriesItem(series.summary, path, series.summary.uid, len(files), middle)


def _narrowest(series: Series) -> Path:
    """The one file of a series, or the narrowest folder below which all its files lie."""
    paths = {picture.source.path for picture in series.instances}
    return Path(os.path.commonpath(paths if len(paths) == 1 else {path.parent for path in paths}))


def _directory_notes(seen: Sequence[_Seen]) -> list[str]:
    """What the DICOMDIRs of the disk and of each zip list and nobody found there."""
    media: dict[ZipFile | None, list[Source]] = {}
    for source, look in seen:
        if look.kind is Kind.DIRECTORY:
            media.setdefault(source.archive, []).append(source)
    return [
        note
        for archive, directories in media.items()
        for note in directory_notes(directories, (source for source, _ in seen if source.archive is archive))
    ]


def _left_out(seen: Sequence[_Seen]) -> tuple[LeftOut, ...]:
    """Files that are no scans, counted by reason."""
    names: dict[Kind, list[str]] = {}
    for source, look in seen:
        names.setdefault(look.kind, []).append(source.name)
    reasons = (Kind.DAMAGED, Kind.CLOSED, Kind.EMPTY, Kind.FOREIGN)
    return tuple(LeftOut(k.value, len(names[k]), tuple(names[k][:_EXAMPLES])) for k in reasons if k in names)
