"""A scan as a case remembers it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hemaview.case.alignment import Alignment
from hemaview.case.journal import Record
from hemaview.case.preparation import Preparation
from hemaview.case.records import geometry_from_json, geometry_to_json
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.preprocessing import Prepared
from hemaview.imaging.sequence import Sequence, SequenceGuess


@dataclass(frozen=True, eq=False)
class ScanEntry:
    """A scan of a case. The pixels stay in the file at ``path``; the case keeps where it is and what it was.

    ``guess`` is what kind of scan it was taken for when it was added and ``chosen`` what the user says it is, if
    anything. ``day`` counts from the study of the case's first dated scan; None where a date is missing.
    ``not_measurable`` is a clause that says why nothing may be measured on it. ``digest`` is the fingerprint of pixels
    and geometry. ``series_uid`` names the series in a DICOM folder that holds several. ``volume`` is None when the
    file is gone or no longer the same; ``problem`` is then the sentence that says so.
    ``preparation`` is how the scan is prepared, if it is, and ``prepared`` what came out, once it was carried out.
    ``aligned_to`` is the id of the scan that it was aligned to, if any, and ``alignment`` how it lies there.
    """

    id: str
    path: Path
    name: str
    geometry: Geometry
    digest: str
    guess: SequenceGuess = field(default_factory=SequenceGuess)
    chosen: Sequence | None = None
    day: int | None = None
    not_measurable: str | None = None
    series_uid: str | None = None
    volume: Volume | None = None
    problem: str | None = None
    preparation: Preparation | None = None
    prepared: Prepared | None = None
    aligned_to: str | None = None
    alignment: Alignment | None = None

    @property
    def known_as(self) -> SequenceGuess:
        """What the user says it is, else the guess."""
        return self.guess if self.chosen is None else SequenceGuess.chosen(self.chosen)

    @property
    def sequence(self) -> Sequence:
        """The kind of scan it is taken for."""
        return self.known_as.sequence

    @property
    def modality(self) -> Modality:
        """What made the scan, as far as is known."""
        return self.sequence.modality

    @property
    def look_only(self) -> str | None:
        """The sentence that says why nothing may be measured on it; None where it may."""
        if self.not_measurable is None:
            return None
        return f"This scan can only be looked at, not measured, because {self.not_measurable}."

    @property
    def picture(self) -> Volume | None:
        """What is shown: the prepared scan where the user wants it and it is there, else the scan."""
        wanted = self.preparation is not None and self.preparation.for_display
        return self.prepared.display if wanted and self.prepared is not None else self.volume

    @property
    def model_input(self) -> Volume | None:
        """What a model is asked with; None while the scan, or its preparation for the model, is not there."""
        if self.preparation is None or not self.preparation.for_model:
            return self.volume
        return None if self.prepared is None else self.prepared.model_input

    def with_volume(self, volume: Volume) -> ScanEntry:
        """The entry with its pixels, taken for the kind of scan that the case says it is."""
        read = volume.sequence
        says_more = self.guess.sequence is Sequence.of(read.sequence.modality)
        found = replace(self, guess=read if says_more else self.guess, not_measurable=volume.not_measurable)
        return replace(found, volume=volume.taken_for(found.known_as), problem=None, prepared=None)

    def with_choice(self, chosen: Sequence | None) -> ScanEntry:
        """The entry of another kind of scan; None goes back to the guess."""
        found = replace(self, chosen=chosen, prepared=None)
        return found if self.volume is None else replace(found, volume=self.volume.taken_for(found.known_as))


def scan_record(
    scan_id: str, path: Path, volume: Volume, *, digest: str, series_uid: str | None, day: int | None
) -> Record:
    """The scan as an entry of the journal, without its time."""
    return {
        "type": "scan",
        "scan": scan_id,
        "path": str(path.absolute()),
        "series_uid": series_uid,
        "name": volume.name,
        "modality": str(volume.modality),
        "sequence": {
            "guess": str(volume.sequence.sequence),
            "why": volume.sequence.why,
            "certain": volume.sequence.certain,
        },
        "day": day,
        "not_measurable": volume.not_measurable,
        "geometry": geometry_to_json(volume.geometry),
        "digest": digest,
    }


def scan_from_record(record: Record) -> ScanEntry:
    """Inverse of ``scan_record``; records before format 3 know the modality alone."""
    day, reason = record.get("day"), record.get("not_measurable")
    return ScanEntry(
        id=str(record["scan"]),
        path=Path(record["path"]),
        name=str(record["name"]),
        geometry=geometry_from_json(record["geometry"]),
        digest=str(record["digest"]),
        guess=_guess_from_json(record.get("sequence"), Modality(record["modality"])),
        day=None if day is None else int(day),
        not_measurable=None if reason is None else str(reason),
        series_uid=record["series_uid"],
    )


def _guess_from_json(data: dict[str, Any] | None, modality: Modality) -> SequenceGuess:
    if data is None:
        return SequenceGuess.of(modality)
    return SequenceGuess(Sequence(data["guess"]), str(data["why"]), bool(data["certain"]))
