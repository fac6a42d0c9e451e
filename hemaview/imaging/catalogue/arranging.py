"""Series sorted into patients and studies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hemaview.imaging.catalogue.contents import Patient, SeriesItem, Study


def arrange(items: Iterable[SeriesItem]) -> tuple[Patient, ...]:
    """Patients in the order in which they were found, their studies by date, their series as they came.

    Scans whose files name no patient come last, one study per folder.
    """
    by_patient: dict[str, list[SeriesItem]] = {}
    for item in items:
        by_patient.setdefault(item.summary.study.patient, []).append(item)
    nameless = by_patient.pop("", [])
    patients = [Patient(key, _studies(own)) for key, own in by_patient.items()]
    if nameless:
        patients.append(Patient("", _studies(nameless)))
    return tuple(patients)


def _studies(items: Iterable[SeriesItem]) -> tuple[Study, ...]:
    by_study: dict[tuple[str, Path | None], list[SeriesItem]] = {}
    for item in items:
        key = item.summary.study.study
        by_study.setdefault((key, None if key else _folder(item)), []).append(item)
    studies = [_study(key, folder, own) for (key, folder), own in by_study.items()]
    return tuple(sorted(studies, key=lambda study: (study.date, study.key, str(study.folder or ""))))


def _folder(item: SeriesItem) -> Path:
    return item.path if item.path.is_dir() else item.path.parent


def _study(key: str, folder: Path | None, items: list[SeriesItem]) -> Study:
    about = [item.summary.study for item in items]
    date = min((study.date for study in about if study.date), default="")
    description = next((study.description for study in about if study.description), "")
    return Study(key, date, description, tuple(items), folder)
