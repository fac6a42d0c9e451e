"""Which examination a scan belongs to, without saying whose it is."""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True)
class StudyKey:
    """Whose scan it is and of which examination, without names.

    ``patient`` and ``study`` are hexadecimal digests: equal for the same patient and study, and they tell nobody who
    that is. ``date`` is the study's date as YYYYMMDD or empty, ``description`` the study's technical description
    when it is one of a known kind, else empty.
    """

    patient: str = ""
    study: str = ""
    date: str = ""
    description: str = ""

    @property
    def day(self) -> datetime.date | None:
        """The study's date, or None where there is none that makes sense."""
        try:
            return datetime.datetime.strptime(self.date, "%Y%m%d").date()
        except ValueError:
            return None
