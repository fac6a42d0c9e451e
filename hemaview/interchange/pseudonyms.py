"""What stands for patients and UIDs during one export; it is drawn at random and kept nowhere."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from pydicom.uid import generate_uid

_STANDARD_ROOT = "1.2.840.10008."
_LEAST_SHIFT_DAYS, _SHIFT_RANGE_DAYS = 365, 3650


@dataclass(frozen=True)
class Pseudonym:
    """A patient's number in the export and how far the patient's dates are moved."""

    number: int
    shift: timedelta

    @property
    def name(self) -> str:
        """What is written as the patient's name and ID."""
        return f"P{self.number:04d}"


@dataclass
class Pseudonyms:
    """The same patient and the same UID get the same replacement throughout one export, and another in the next."""

    _patients: dict[str, Pseudonym] = field(default_factory=dict)
    _uids: dict[str, str] = field(default_factory=dict)

    def patient(self, identity: str) -> Pseudonym:
        """The pseudonym of the patient with this digest."""
        if identity not in self._patients:
            days = _LEAST_SHIFT_DAYS + secrets.randbelow(_SHIFT_RANGE_DAYS)
            self._patients[identity] = Pseudonym(len(self._patients) + 1, timedelta(days=days))
        return self._patients[identity]

    def uid(self, original: str) -> str:
        """The replacement of a UID; those that the standard itself defines stay."""
        if not original or original.startswith(_STANDARD_ROOT):
            return original
        if original not in self._uids:
            self._uids[original] = generate_uid(prefix=None)
        return self._uids[original]
