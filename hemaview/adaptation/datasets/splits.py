"""Which patients a model learns from, which choose when to stop, and which only measure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from hemaview.adaptation.datasets.labelled import DataError, LabelledScan, patients_of
from hemaview.saving import save_atomically


class Part(StrEnum):
    """What a patient's scans are used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    HELD_OUT = "held_out"


PARTS = tuple(Part)
FEWEST_PATIENTS = 4
"""Two to learn from, one to stop by, one to measure."""
FEW_HELD_OUT = 5
"""With fewer held-out patients than this, a difference of a few points of Dice is mostly chance."""

_HELD_OUT_SHARE, _VALIDATION_SHARE = 0.25, 0.15


@dataclass(frozen=True)
class Splits:
    """The part of every patient. No patient is ever in two parts: ``DataError`` on making one that is."""

    parts: Mapping[Part, tuple[str, ...]]
    seed: int
    fold: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        seen: dict[str, Part] = {}
        for part in PARTS:
            for patient in self.parts.get(part, ()):
                if patient in seen:
                    raise DataError(
                        f"The patient {patient} is in {seen[patient]} and in {part}; "
                        "put every patient into one part only."
                    )
                seen[patient] = part
        for part in PARTS:
            if not self.parts.get(part):
                raise DataError(f"No patient is in the part {part}; put at least one into each part.")

    def part_of(self, scan: LabelledScan) -> Part:
        """The part a scan belongs to; ``DataError`` for a patient who is in none."""
        for part, patients in self.parts.items():
            if scan.patient in patients:
                return part
        raise DataError(f"The patient {scan.patient} is in no part of the split; make the split again.")

    def scans(self, part: Part, scans: Sequence[LabelledScan]) -> tuple[LabelledScan, ...]:
        """The scans of one part, in their order."""
        return tuple(scan for scan in scans if self.part_of(scan) is part)

    @property
    def warning(self) -> str | None:
        """A sentence when so few patients are held out that the comparison says little."""
        count = len(self.parts[Part.HELD_OUT])
        if count >= FEW_HELD_OUT:
            return None
        patients = "patient measures" if count == 1 else "patients measure"
        return (
            f"Only {count} held-out {patients} the result, so small differences are chance; "
            f"{FEW_HELD_OUT} or more are better."
        )

    def to_json(self, scans: Sequence[LabelledScan]) -> dict[str, Any]:
        """The split with the cases of each part."""
        return {
            "seed": self.seed,
            "fold": None if self.fold is None else list(self.fold),
            "grouped_by": "patient",
            "patients": {part.value: list(self.parts[part]) for part in PARTS},
            "cases": {part.value: [scan.case for scan in self.scans(part, scans)] for part in PARTS},
        }

    def save(self, path: Path, scans: Sequence[LabelledScan]) -> None:
        """Write ``splits.json``; ``ExportError`` when it cannot be written."""
        text = json.dumps(self.to_json(scans), indent=2, ensure_ascii=False) + "\n"
        save_atomically(path, text.encode("utf-8"), "The split of the patients")

    @classmethod
    def read(cls, path: Path) -> Splits:
        """A split from ``splits.json``; ``DataError`` when it is no such file or has a patient in two parts."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            parts = {part: tuple(str(name) for name in data["patients"][part.value]) for part in PARTS}
            fold = data.get("fold")
            return cls(parts, int(data["seed"]), None if fold is None else (int(fold[0]), int(fold[1])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"The split {path} cannot be read; leave it out to have a new one made.") from error


def split_patients(scans: Sequence[LabelledScan], seed: int = 0, fold: tuple[int, int] | None = None) -> Splits:
    """A split by patient: a quarter held out, a seventh of all for validation, at least one patient each.

    The order of patients comes from a hash of seed and name: the same patients and seed give the same split on every
    computer, and adding a patient moves few others. With ``fold`` = (n, k), n from 1 to k, the n-th of k groups is
    held out, so that k runs hold every patient out once. Raises ``DataError`` for too few patients.
    """
    patients = patients_of(scans)
    if len(patients) < FEWEST_PATIENTS:
        raise DataError(
            f"There are scans of {len(patients)} patient{'' if len(patients) == 1 else 's'}, which is too few; "
            f"at least {FEWEST_PATIENTS} are needed: two to learn from, one to stop by, one to measure."
        )
    ordered = sorted(patients, key=lambda name: hashlib.blake2b(f"{seed}/{name}".encode()).digest())
    if fold is None:
        count = max(1, round(_HELD_OUT_SHARE * len(ordered)))
        held_out, rest = ordered[:count], ordered[count:]
    else:
        number, folds = fold
        if not 1 <= number <= folds or not 2 <= folds <= len(ordered):
            raise DataError(
                f"The fold {number}/{folds} is not possible with {len(ordered)} patients; "
                f"take 2 to {len(ordered)} folds, counted from 1."
            )
        held_out = ordered[number - 1 :: folds]
        rest = [patient for patient in ordered if patient not in held_out]
    if len(rest) < FEWEST_PATIENTS - 1:
        raise DataError("Too few patients are left to learn from; take more folds or more patients.")
    validation = max(1, round(_VALIDATION_SHARE * len(ordered)))
    validation = min(validation, len(rest) - 2)
    parts = {
        Part.TRAIN: tuple(sorted(rest[validation:])),
        Part.VALIDATION: tuple(sorted(rest[:validation])),
        Part.HELD_OUT: tuple(sorted(held_out)),
    }
    return Splits(parts, seed, fold)
