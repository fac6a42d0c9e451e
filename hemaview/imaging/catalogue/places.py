"""Which files dropped paths stand for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.finding import DICOMDIR_CLASS
from hemaview.imaging.reading.dicom.header import read_instance
from hemaview.imaging.reading.files import check_readable, read_start
from hemaview.imaging.reading.sources import Source, archive_sources, looks_like_dicom, open_archive

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass
class Places:
    """Every file below the dropped paths once, and sentences about what could not be looked into."""

    sources: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def places_of(
    paths: Sequence[Path | str], archives: ExitStack, found: Callable[[int], None], *, siblings: bool = True
) -> Places:
    """The files that ``paths`` stand for, in the order given; ``found`` hears how many there are so far.

    A folder stands for everything below it, a DICOMDIR for everything below its folder, another DICOM file with
    ``siblings`` for the files beside it, any other file for itself, and a zip, wherever it lies, for the files in it,
    which can be read until ``archives`` is closed. Links to folders are not followed.
    """
    places = Places()
    seen: set[Path] = set()
    for path in map(Path, paths):
        try:
            check_readable(path)
            files = _stands_for(path.absolute(), places.notes, siblings=siblings)
        except ScanError as error:
            places.notes.append(str(error))
            continue
        for file in files:
            if file not in seen:
                seen.add(file)
                places.sources += _contents(file, archives, places.notes)
                found(len(places.sources))
    return places


def _stands_for(path: Path, notes: list[str], *, siblings: bool) -> Iterator[Path]:
    if path.is_dir():
        return _below(path, notes, recursive=True)
    if not looks_like_dicom(read_start(path, 132)):
        return iter((path,))
    instance = read_instance(Source(path.name, path))
    is_directory = instance is not None and instance.sop_class == DICOMDIR_CLASS
    if not is_directory and not siblings:
        return iter((path,))
    return _below(path.parent, notes, recursive=is_directory)


def _below(folder: Path, notes: list[str], *, recursive: bool) -> Iterator[Path]:
    """Files of a folder in name order; a folder that cannot be opened is said and passed over."""

    def closed(error: OSError) -> None:
        name = Path(error.filename or folder).name
        notes.append(f"The folder '{name}' cannot be opened ({error.strerror or 'read error'}) and was passed over.")

    for root, folders, names in os.walk(folder, onerror=closed):
        folders[:] = sorted(folders) if recursive else []
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file():
                yield path


def _contents(file: Path, archives: ExitStack, notes: list[str]) -> Sequence[Source]:
    """The file itself, or the members of a zip."""
    try:
        if not file.name.lower().endswith(".zip") or read_start(file, 4) not in _ZIP_MAGIC:
            return (Source(file.name, file),)
        return archive_sources(file, archives.enter_context(open_archive(file)))
    except ScanError as error:
        notes.append(str(error))
        return ()
