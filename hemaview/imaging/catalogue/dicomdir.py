"""What the DICOMDIRs of a medium promise, held against the files that are there.

The files themselves are always looked at one by one, so a DICOMDIR that lists too few, too many or nonsense hides
nothing; it only tells what should have been copied as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.header import read_dataset
from hemaview.imaging.reading.sources import Source


def directory_notes(directories: Sequence[Source], present: Iterable[Source]) -> tuple[str, ...]:
    """Sentences about files that ``directories`` list and ``present`` lacks, and about lists that cannot be read."""
    notes: list[str] = []
    here = {_plain(_inner_path(source)) for source in present}
    missing: dict[str, str] = {}
    for directory in directories:
        try:
            listed = tuple(_listed_paths(directory))
        except (ScanError, Exception):  # pydicom raises many kinds for damaged files; the files speak for themselves
            notes.append(f"'{directory.name}' is damaged; the files beside it were looked at one by one.")
            continue
        # A list in a sub-folder may name its files as seen from the top of the medium.
        folders = [parent.as_posix() for parent in PurePosixPath(_inner_path(directory)).parents]
        for path in listed:
            if not any(_plain(f"{folder}/{path}") in here for folder in folders):
                missing.setdefault(path, directory.name)
    if missing:
        example, name = next(iter(missing.items()))
        files = "1 file that is" if len(missing) == 1 else f"{len(missing)} files that are"
        notes.append(f"'{name}' lists {files} not there (for example '{example}'); copy the whole medium to see all.")
    return tuple(notes)


def _listed_paths(directory: Source) -> Iterator[str]:
    """The files that the records refer to, relative to the DICOMDIR; records of patients and studies name none."""
    with directory.open() as stream:
        records: Any = read_dataset(stream, tags=["DirectoryRecordSequence"]).get("DirectoryRecordSequence") or ()
    for record in records:
        parts = record.get("ReferencedFileID") or ()
        if parts:
            yield parts if isinstance(parts, str) else "/".join(map(str, parts))


def _inner_path(source: Source) -> str:
    return source.member.filename if source.member is not None else source.path.as_posix()


def _plain(path: str) -> str:
    """Names as they compare on a CD: without case, version number and closing dot."""
    return path.lower().replace("\\", "/").removeprefix("./").removesuffix(";1").removesuffix(".")
