"""What an export wrote, left out and could not promise, without a word about the patients."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hemaview import __version__
from hemaview.interchange.dates import Dates
from hemaview.interchange.profile_table import EDITION

REPORT_NAME = "report.json"


@dataclass(frozen=True)
class WrittenSeries:
    """One series as it was written: folder within the export, and whether it opens with the same grid as before."""

    folder: str
    modality: str
    files: int
    size: tuple[int, int, int] | None
    opens_as_before: bool


@dataclass(frozen=True)
class Report:
    """An export: its series, files left out counted by reason, and sentences to read before passing it on."""

    patients: int
    dates: Dates
    series: tuple[WrittenSeries, ...]
    left_out: dict[str, int]
    warnings: tuple[str, ...]

    @property
    def files(self) -> int:
        """How many pictures' files were written."""
        return sum(series.files for series in self.series)

    def document(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "program": f"HEMAVIEW {__version__}",
            "profile": f"DICOM PS3.15 {EDITION}, Basic Application Level Confidentiality Profile",
            "files": self.files,
            **dataclasses.asdict(self),
        }


def save_report(report: Report, folder: Path) -> None:
    """Write ``report.json`` into ``folder``."""
    text = json.dumps(report.document(), indent=2, ensure_ascii=False)
    (folder / REPORT_NAME).write_text(text + "\n", encoding="utf-8")
