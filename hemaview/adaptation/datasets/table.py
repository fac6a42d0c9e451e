"""A cohort as a CSV table: one line per scan with the columns image, mask, patient and sequence."""

from __future__ import annotations

import csv
import functools
import io
from pathlib import Path

from hemaview.adaptation.datasets.labelled import DataError, LabelledScan, check_cases
from hemaview.errors import ScanError
from hemaview.imaging import LabelMap, Volume
from hemaview.imaging.reading import read_label_map, read_scan

COLUMNS = ("image", "mask", "patient", "sequence")
"""Columns that a table must have; ``case`` may be added and names the scan."""


def table_scans(path: Path) -> tuple[LabelledScan, ...]:
    """Every line of the CSV at ``path``; file names are relative to its folder.

    Commas, semicolons and tabs are taken as separators. Files are looked for here and read later: a missing file, a
    missing or empty column, a scan that is listed twice or under two patients, and names of patients that differ only
    in blanks or capitals raise ``DataError`` with the line's number.
    """
    lines = _lines(path)
    scans: list[LabelledScan] = []
    images: dict[Path, tuple[int, str]] = {}
    spellings: dict[str, str] = {}
    known: dict[tuple[str, str, str], int] = {}
    for number, line in lines:
        values = {column: (line.get(column) or "").strip() for column in (*COLUMNS, "case")}
        for column in ("image", "mask", "patient"):
            if not values[column]:
                raise DataError(f'Line {number} of {path.name} has nothing in the column "{column}"; fill it in.')
        image, mask = (_file(path, number, values[column]) for column in ("image", "mask"))
        patient, sequence, case = values["patient"], values["sequence"], values["case"]
        _check_spelling(path, number, patient, spellings)
        if image in images:
            first, whose = images[image]
            other = "" if whose == patient else f", there for the patient {whose}"
            raise DataError(
                f"Line {number} of {path.name} lists {values['image']} again (first in line {first}{other}); "
                "list every scan once."
            )
        images[image] = (number, patient)
        key = (patient, sequence, case)
        if key in known:
            raise DataError(
                f"Line {number} of {path.name} lists the patient {patient} with the same sequence as line "
                f'{known[key]}; tell the two scans apart in a column "case" or take one out.'
            )
        known[key] = number
        name = case or " ".join(part for part in (patient, sequence) if part)
        scans.append(
            LabelledScan(
                patient=patient,
                case=name,
                sequence=sequence,
                origin=f"table {path.name}",
                read=functools.partial(_read, path, number, image, mask),
            )
        )
    if not scans:
        raise DataError(f"The table {path.name} has no line below its first; add one per scan.")
    check_cases(scans)
    return tuple(scans)


def _lines(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"There is no table {path}; name a CSV file.") from None
    except UnicodeDecodeError:
        raise DataError(f"The table {path.name} is not plain text in UTF-8; save it as CSV (UTF-8).") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataError(f"The table {path.name} cannot be read ({reason}); choose another one.") from error
    head = text.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    missing = [column for column in COLUMNS if column not in reader.fieldnames]
    if missing:
        raise DataError(
            f"The table {path.name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"its first line must name {', '.join(COLUMNS)}."
        )
    return [(reader.line_num, line) for line in reader if any((value or "").strip() for value in _texts(line))]


def _texts(line: dict[str, str | None]) -> list[str | None]:
    return [value for value in line.values() if isinstance(value, str)]


def _file(table: Path, number: int, name: str) -> Path:
    found = (table.parent / Path(name).expanduser()).resolve()
    if not found.exists():
        raise DataError(
            f"Line {number} of {table.name} names {name}, which is not there; "
            "write file names as seen from the table's own folder."
        )
    return found


def _check_spelling(path: Path, number: int, patient: str, spellings: dict[str, str]) -> None:
    """Two spellings of one patient would put the same person into training and measuring."""
    plain = "".join(patient.split()).casefold()
    before = spellings.setdefault(plain, patient)
    if before != patient:
        raise DataError(
            f'Line {number} of {path.name} writes the patient "{patient}", an earlier line "{before}"; '
            "write every patient in one way."
        )


def _read(table: Path, number: int, image: Path, mask: Path) -> tuple[Volume, LabelMap]:
    try:
        volume = read_scan(image)
        return volume, read_label_map(mask, volume.geometry)
    except ScanError as error:
        raise DataError(f"Line {number} of {table.name}: {error}") from error
