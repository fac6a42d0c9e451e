"""What becomes of dates and times in de-identified files."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum


class Dates(StrEnum):
    """Dates and times are emptied, or each patient's dates are moved back by one random number of days.

    When dates are moved, times of day stay as they are.
    """

    REMOVE = "remove"
    SHIFT = "shift"


def shifted(text: str, shift: timedelta) -> str:
    """A DICOM date, or date and time, moved back by whole days; empty when it is none."""
    try:
        day = datetime.strptime(text[:8], "%Y%m%d") - shift
    except (ValueError, OverflowError):
        return ""
    return f"{day:%Y%m%d}{text[8:]}"
