"""The name of a patient, read from one header when the person at the screen asks for it and kept nowhere."""

from __future__ import annotations

from hemaview.errors import ScanError
from hemaview.imaging.catalogue.contents import Patient
from hemaview.imaging.reading.dicom.header import read_dataset
from hemaview.imaging.reading.sources import Source

_TAGS = ("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate")


def patient_title(patient: Patient) -> str:
    """For example "Doe, Jane (4711, born 1950-01-31)"; empty when no header can be read or none names anybody."""
    for item in patient.series:
        if item.preview is not None:
            return _title(item.preview.source)
    return ""


def _title(source: Source) -> str:
    try:
        with source.open() as stream:
            dataset = read_dataset(stream, tags=_TAGS)
        name = dataset.get("PatientName")
        words = [str(part) for part in (name.family_name, name.given_name) if part] if name else []
        number = str(dataset.get("PatientID") or "").strip()
        born = _day(str(dataset.get("PatientBirthDate") or ""))
    except (ScanError, Exception):  # pydicom raises many kinds for damaged headers; a title is only a courtesy
        return ""
    details = ", ".join(part for part in (number, f"born {born}" if born else "") if part)
    named = ", ".join(words)
    return f"{named} ({details})" if named and details else named or details


def _day(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else ""
