"""One scan, one box, results on disk: the way of a click without window and without journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hemaview import __version__
from hemaview.case.export import export_csv, export_mask, printable_surface
from hemaview.case.records import (
    SegmentationRecord,
    box_to_json,
    engine_to_json,
    fingerprint,
    prompt_to_json,
)
from hemaview.case.scan_entry import ScanEntry
from hemaview.case.snapshot import Snapshot
from hemaview.errors import ExportError, ScanError
from hemaview.imaging import Volume
from hemaview.saving import save_atomically
from hemaview.segmentation import BoxPrompt, CancelToken, OnSlice, Prompt, Segmenter
from hemaview.surface import PrintReport, write_stl
from hemaview.volumetry import Reading
from hemaview.volumetry.table import NOTE

MASK_NAME = "mask.nii.gz"
CSV_NAME = "volumes.csv"
STL_NAME = "haematoma.stl"
RECORD_NAME = "segmentation.json"


@dataclass(frozen=True)
class Results:
    """What ``write_results`` left in a folder; ``document`` is the content of ``segmentation.json``.

    ``report`` is None when no surface was written; ``refusal`` is then the sentence that says why, or None when
    none was asked for. ``mask_notes`` are sentences about what in the mask's file is not as in the scan.
    """

    files: tuple[Path, ...]
    document: Mapping[str, Any]
    report: PrintReport | None
    refusal: str | None
    mask_notes: tuple[str, ...] = ()


def segment_scan(
    path: Path,
    volume: Volume,
    prompt: BoxPrompt | Prompt,
    engine: Segmenter,
    *,
    series_uid: str | None = None,
    on_slice: OnSlice | None = None,
    cancel: CancelToken | None = None,
) -> Snapshot:
    """Segment ``volume``, which was read from ``path``, from ``prompt``, and return it as a case would hold it.

    Raises ``PromptError`` for a prompt outside the scan or without area, ``ScanError`` for a scan that can only be
    looked at, ``Cancelled`` and ``ModelError``.
    """
    scan = ScanEntry(
        id="scan-1",
        path=path,
        name=volume.name,
        geometry=volume.geometry,
        digest=fingerprint(volume),
        guess=volume.sequence,
        series_uid=series_uid,
    ).with_volume(volume)
    if scan.look_only is not None:
        raise ScanError(scan.look_only)
    found = engine.segment(volume, prompt, on_slice=on_slice, cancel=cancel)
    return Snapshot(1, scan, replace(found.prompt, fixed=()), found.mask(), SegmentationRecord.of(found, scan.modality))


def make_folder(folder: Path) -> None:
    """Make the folder for results; ``ExportError`` when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ExportError(f"The folder {folder} cannot be made ({reason}); choose another one.") from error


def write_results(
    snapshot: Snapshot, folder: Path, *, drawn: BoxPrompt | Prompt | None = None, stl: bool = True
) -> Results:
    """Write mask, volumes, surface and their record into ``folder``, each completely or not at all.

    ``drawn`` is the prompt as it was asked for. An empty mask is a result too: it is written, without a
    surface. A surface from an earlier run never stays beside a new mask. Raises ``ExportError``.
    """
    make_folder(folder)
    mask, table, surface, record = (folder / name for name in (MASK_NAME, CSV_NAME, STL_NAME, RECORD_NAME))
    try:
        surface.unlink(missing_ok=True)
    except OSError as error:
        raise ExportError(f"The old {surface} cannot be replaced ({error.strerror}); close it elsewhere.") from error
    mask_notes = export_mask(snapshot, mask)
    export_csv(snapshot, table)
    report: PrintReport | None = None
    refusal: str | None = None
    if stl:
        try:
            mesh, report = printable_surface(snapshot)
        except ExportError as error:
            refusal = str(error)
        else:
            write_stl(mesh, surface)
    files = (mask, table, *([surface] if report else []), record)
    document = describe(snapshot, drawn=drawn) | {
        "surface": None if report is None else _surface(report),
        "surface_refused": refusal,
        "mask_notes": list(mask_notes),
        "files": [file.name for file in files],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    save_atomically(record, text.encode("utf-8"), "The record of the segmentation")
    return Results(files, document, report, refusal, mask_notes)


def describe(snapshot: Snapshot, *, drawn: BoxPrompt | Prompt | None = None) -> dict[str, Any]:
    """A snapshot as a JSON document: scan, engine, prompt, readings; no patient data and no path.

    Boxes are two opposite corners in LPS mm; ``slices`` counts those with a voxel; ``slice_confidence`` is the
    engine's own estimate for each slice k from ``first_slice`` on, null where nothing was found.
    """
    geometry = snapshot.scan.geometry
    mask = snapshot.mask
    asked = Prompt() if drawn is None else Prompt.of(drawn)
    document: dict[str, Any] = {
        "program": f"HEMAVIEW {__version__}",
        "note": NOTE,
        "scan": {
            "name": snapshot.scan.name,
            "modality": str(snapshot.scan.modality),
            "sequence": str(snapshot.scan.sequence),
            "sequence_from": snapshot.scan.known_as.why,
            "sequence_certain": snapshot.scan.known_as.certain,
            "size": list(geometry.size),
            "spacing_mm": list(geometry.spacing),
            "slice_positions_mm": None if geometry.slice_positions is None else list(geometry.slice_positions),
            "fingerprint": snapshot.scan.digest,
            "notes": list(snapshot.scan.volume.notes) if snapshot.scan.volume else [],
        },
        "found": not snapshot.is_empty,
        "voxels": 0 if mask is None else mask.voxel_count,
        "edited": snapshot.edited,
        "box_drawn": box_to_json(asked.box),
        "box_used": box_to_json(snapshot.box),
        "prompt_drawn": prompt_to_json(asked),
        "prompt_used": prompt_to_json(snapshot.prompt),
        "readings": [_reading(reading) for reading in snapshot.readings()],
    }
    made = snapshot.segmentation
    if made is not None:
        kept = made.to_json("")
        document |= {
            "engine": engine_to_json(made.engine),
            "created": made.created,
            "seconds_first": made.seconds_first,
            "seconds_total": made.seconds_total,
            "prepared": list(made.prepared),
            "notes": list(made.notes),
            "first_slice": made.region[0].start,
            "slice_confidence": kept["confidence"],
        }
    return document


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "method": str(reading.kind),
        "value_ml": reading.value_ml,
        "interval_ml": None if reading.interval_ml is None else list(reading.interval_ml),
        "reason": reading.reason,
        "inputs": {name: _plain(value) for name, value in reading.inputs.items()},
        "notes": list(reading.notes),
        "warnings": list(reading.warnings),
    }


def _plain(value: float | str) -> float | str | None:
    """JSON has no NaN and no infinity."""
    if isinstance(value, str):
        return value
    return float(value) if abs(value) < float("inf") else None


def _surface(report: PrintReport) -> dict[str, Any]:
    return {
        "volume_ml": report.mesh_ml,
        "deviation": report.deviation,
        "triangles": report.triangles,
        "size_mm": list(report.size_mm),
        "warnings": list(report.warnings),
    }
