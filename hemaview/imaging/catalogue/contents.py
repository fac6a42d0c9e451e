"""The tree that the browser shows: patients, studies, series, and what was left out of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.summary import SeriesSummary


@dataclass(frozen=True)
class SeriesItem:
    """One scan that can be chosen; ``read_scan(item.path, series_uid=item.series_uid)`` opens it.

    ``path`` is the narrowest folder below which all its files lie, the zip that holds them, or the file itself where
    one file is one scan; ``series_uid`` is None where ``path`` says everything. ``files`` counts its files and
    ``preview`` is its middle picture, which can be decoded without looking at the other files (None outside DICOM).
    """

    summary: SeriesSummary
    path: Path
    series_uid: str | None
    files: int
    preview: Instance | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Study:
    """One examination: ``key`` is a digest that says nothing of the patient, ``date`` is YYYYMMDD or empty.

    Scans that carry no study (NIfTI and the like) form one study per folder, which is then ``folder``.
    """

    key: str
    date: str
    description: str
    series: tuple[SeriesItem, ...]
    folder: Path | None = None


@dataclass(frozen=True)
class Patient:
    """One patient under a digest; an empty ``key`` gathers the scans whose files name nobody."""

    key: str
    studies: tuple[Study, ...]

    @property
    def series(self) -> tuple[SeriesItem, ...]:
        """Every series of the patient, in the order of the studies."""
        return tuple(item for study in self.studies for item in study.series)


@dataclass(frozen=True)
class LeftOut:
    """Files that are no scans, and why: ``reason`` follows a count ("12 files: not a scan"); some of their names."""

    reason: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """What was found. ``files`` counts the files looked at; ``notes`` are sentences about the place as a whole."""

    patients: tuple[Patient, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    files: int = 0

    def __iter__(self) -> Iterator[SeriesItem]:
        """Every series, patient by patient."""
        return (item for patient in self.patients for item in patient.series)
