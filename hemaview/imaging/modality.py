"""What made a scan."""

from __future__ import annotations

from enum import StrEnum


class Modality(StrEnum):
    """What made the scan; it decides the default window and which volume correction applies."""

    MR = "MR"
    CT = "CT"
    UNKNOWN = "unknown"
