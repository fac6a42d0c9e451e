"""The three readings of a mask together, and as a file for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from hemaview.imaging import LabelMap, Volume
from hemaview.saving import save_atomically
from hemaview.volumetry.correction import corrected_volume
from hemaview.volumetry.direct import direct_volume
from hemaview.volumetry.evidence import Evidence, ProbabilityMap
from hemaview.volumetry.reading import Reading
from hemaview.volumetry.tada import abc_over_2

COLUMNS = ("method", "value_mL", "low_mL", "high_mL", "reason", "details")
NOTE = "research use, not a medical device"


def readings(
    mask: LabelMap,
    *,
    volume: Volume | None = None,
    segmentation: ProbabilityMap | Evidence | None = None,
    edited: bool = False,
) -> tuple[Reading, Reading, Reading]:
    """Direct, Tada and corrected volume of a mask, in this order.

    ``volume`` is the scan (its modality chooses the correction), ``segmentation`` what made the mask (or its
    ``Evidence``), ``edited`` whether the mask was changed by hand since.
    """
    return direct_volume(mask), abc_over_2(mask), corrected_volume(mask, segmentation, volume, edited)


def write_csv(readings: Sequence[Reading], path: Path | str, context: Mapping[str, str] | None = None) -> None:
    """Write readings as UTF-8 CSV, atomically; raises ``ExportError``.

    Columns are ``COLUMNS``; volumes in mL with a point, the interval at 90 %. After the readings come one
    row per entry of ``context`` (technical facts such as the model; no patient data) and the note.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for reading in readings:
        low, high = reading.interval_ml or (None, None)
        details = [f"{name}={_number(value)}" for name, value in reading.inputs.items()]
        writer.writerow(
            [
                str(reading.kind),
                _number(reading.value_ml),
                _number(low),
                _number(high),
                reading.reason or "",
                "; ".join([*details, *reading.notes, *reading.warnings]),
            ]
        )
    for name, value in (context or {}).items():
        writer.writerow([str(name), "", "", "", "", str(value)])
    writer.writerow(["note", "", "", "", "", NOTE])
    save_atomically(path, text.getvalue().encode("utf-8"), "The table of volumes")


def _number(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.4f}".rstrip("0").rstrip(".")
