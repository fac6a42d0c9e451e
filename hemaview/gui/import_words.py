"""What the browser says of patients, studies, series and what was left out; no Qt in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from hemaview.imaging.catalogue import Catalogue, Patient, SeriesItem, Study
from hemaview.imaging.catalogue.looking import Kind
from hemaview.imaging.reading import SeriesSummary, Verdict

NOTHING_KNOWN = "–"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class VerdictLook:
    """How a verdict is shown: its word, the name of its icon and the tone of the theme."""

    word: str
    icon: str
    tone: str


VERDICTS = {
    Verdict.MEASURABLE: VerdictLook("Measurable", "check", "good"),
    Verdict.VIEWABLE: VerdictLook("View only", "overlay", "warning"),
    Verdict.REFUSED: VerdictLook("Refused", "refused", "error"),
}


def verdict_sentence(summary: SeriesSummary) -> str:
    """What can be done with a series, and why not more."""
    because = f" because {summary.reason}" if summary.reason else ""
    match summary.verdict:
        case Verdict.MEASURABLE:
            return "Volumes can be measured on it."
        case Verdict.VIEWABLE:
            return f"It can be looked at but not measured{because}."
        case Verdict.REFUSED:
            return f"It cannot be opened{because}."


def sequence_text(summary: SeriesSummary) -> str:
    """The guessed sequence, or a dash."""
    return summary.sequence if summary.sequence not in ("", "unknown") else NOTHING_KNOWN


def modality_text(summary: SeriesSummary) -> str:
    """DICOM's code of the machine, or a dash."""
    return summary.modality if summary.modality not in ("", "?", "unknown") else NOTHING_KNOWN


def matrix_text(summary: SeriesSummary) -> str:
    """Columns and rows of a picture."""
    return NOTHING_KNOWN if summary.size is None else f"{summary.size[0]} × {summary.size[1]}"


def spacing_text(summary: SeriesSummary) -> str:
    """Voxel size in mm, one number where all three are equal."""
    if summary.spacing is None:
        return NOTHING_KNOWN
    steps = [f"{step:.2f}".rstrip("0").rstrip(".") for step in summary.spacing]
    return steps[0] if len(set(steps)) == 1 else " × ".join(steps)


def slices_text(summary: SeriesSummary) -> str:
    """Number of slices of the stack, or of pictures where they form none."""
    if summary.size is not None:
        return str(summary.size[2])
    return str(summary.images) if summary.images else NOTHING_KNOWN


def count_text(count: int, one: str, many: str = "") -> str:
    """ "1 series", "3 scans"."""
    return f"{count:,} {one if count == 1 else many or one}"


def patient_text(patient: Patient, number: int, name: str = "") -> str:
    """The patient's name where it is known and wanted, else a number; scans without a patient say so."""
    if not patient.key:
        return "Files that name no patient"
    return name or f"Patient {number}"


def study_text(study: Study) -> str:
    """Date and kind of an examination, or the folder its files lie in."""
    if study.folder is not None:
        return f"Folder {study.folder.name}" if study.folder.name else str(study.folder)
    day = day_text(study.date)
    parts = (f"Study of {day}" if day else "Study without a date", study.description)
    return " · ".join(part for part in parts if part)


def day_text(date: str) -> str:
    """ "20190312" as "12 Mar 2019"; empty for anything that is no date."""
    if len(date) != 8 or not date.isdigit() or not 1 <= int(date[4:6]) <= 12:
        return ""
    return f"{int(date[6:8])} {_MONTHS[int(date[4:6]) - 1]} {date[:4]}"


def family_text(items: Sequence[SeriesItem]) -> str:
    """What the stacks of one series are called together, and how many there are."""
    columns = zip(*(item.summary.label.split(", ") for item in items), strict=False)
    shared = ", ".join(words[0] for words in takewhile(lambda words: len(set(words)) == 1, columns))
    return f"{shared or items[0].summary.label}   ·   {count_text(len(items), 'part', 'parts')}"


def contents_text(catalogue: Catalogue) -> str:
    """How much was found, in one line."""
    series = list(catalogue)
    measurable = sum(item.summary.measurable for item in series)
    parts = [
        count_text(sum(bool(patient.key) for patient in catalogue.patients), "patient", "patients"),
        count_text(sum(len(patient.studies) for patient in catalogue.patients), "study", "studies"),
        f"{count_text(len(series), 'series')}, {measurable:,} measurable",
    ]
    return " · ".join(part for part in parts if not part.startswith("0 "))


def left_out_text(catalogue: Catalogue) -> str:
    """What was found besides scans, in one line; empty when nothing was."""
    total = sum(left.count for left in catalogue.left_out)
    if not total:
        return ""
    what = count_text(total, "file is no scan", "files are no scans")
    reasons = ", ".join(f"{left.count:,} {left.reason}" for left in catalogue.left_out)
    return f"{what}." if [left.reason for left in catalogue.left_out] == [Kind.FOREIGN] else f"{what}: {reasons}."


def series_facts(item: SeriesItem) -> list[tuple[str, str]]:
    """Names and values for the details of one series."""
    summary = item.summary
    spacing = spacing_text(summary)
    return [
        ("Sequence, guessed", sequence_text(summary)),
        ("Modality", modality_text(summary)),
        ("Plane", summary.plane or NOTHING_KNOWN),
        ("Matrix", matrix_text(summary)),
        ("Voxel", spacing if spacing == NOTHING_KNOWN else f"{spacing} mm"),
        ("Slices", slices_text(summary)),
        ("Files", f"{item.files:,}"),
    ]


def spoken_row(item: SeriesItem) -> str:
    """A whole row for a screen reader."""
    summary = item.summary
    parts = (
        summary.label,
        sequence_text(summary),
        summary.plane,
        matrix_text(summary),
        f"{spacing_text(summary)} mm",
        f"{slices_text(summary)} slices",
        verdict_sentence(summary),
    )
    return ", ".join(part for part in parts if part and not part.startswith(NOTHING_KNOWN))


def listed(names: Sequence[str], limit: int = 6) -> str:
    """Names under one another, the rest counted."""
    shown = [*names[:limit], *([f"and {len(names) - limit} more"] if len(names) > limit else [])]
    return "\n".join(shown)
