"""Results on disk: mask, surface, table. Each file is written completely or not at all."""

from __future__ import annotations

from pathlib import Path

from hemaview import __version__
from hemaview.case.snapshot import Snapshot
from hemaview.errors import ExportError
from hemaview.imaging import LabelMap
from hemaview.surface import PrintReport, check_printability, write_stl
from hemaview.volumetry import write_csv


def export_mask(snapshot: Snapshot, path: Path) -> None:
    """Write the mask as NIfTI on the scan's grid, 1 inside and 0 outside; ``ExportError`` when it is empty."""
    # Readers and writers load large libraries; a window that only shows a case starts without them.
    from hemaview.imaging.reading import write_label_map

    write_label_map(_voxels(snapshot, "saved"), path)


def export_stl(snapshot: Snapshot, path: Path) -> PrintReport:
    """Write the surface as binary STL in LPS mm and return its check.

    Raises ``ExportError`` when the mask is empty or its surface must not be printed.
    """
    mask = _voxels(snapshot, "printed")
    mesh = snapshot.mesh()
    assert mesh is not None
    report = check_printability(mesh, mask)
    if report.blocks:
        raise ExportError(report.blocks[0])
    write_stl(mesh, path)
    return report


def export_csv(snapshot: Snapshot, path: Path) -> None:
    """Write the three readings, one a line, each with the scan, model and program it came from."""
    write_csv(snapshot.readings(), path, context(snapshot))


def context(snapshot: Snapshot) -> dict[str, str]:
    """What a reading was measured on and with, as words for a table; no patient data."""
    geometry = snapshot.scan.geometry
    found = {
        "scan": snapshot.scan.name,
        "modality": str(snapshot.scan.modality),
        "voxels": " x ".join(str(n) for n in geometry.size),
        "spacing_mm": " x ".join(f"{s:g}" for s in geometry.spacing),
        "program": f"HEMAVIEW {__version__}",
        "mask": "none" if snapshot.mask is None else "edited by hand" if snapshot.edited else "as found by the engine",
    }
    made = snapshot.segmentation
    if made is not None:
        found |= {
            "engine": made.engine.name,
            "model_sha256": made.engine.sha256,
            "device": made.engine.device,
            "seconds": f"{made.seconds_total:.2f}",
            "segmented_utc": made.created,
            "box_lps_mm": " ".join(f"{value:.2f}" for value in (*made.box.corner_a, *made.box.corner_b)),
        }
    return found


def _voxels(snapshot: Snapshot, verb: str) -> LabelMap:
    if snapshot.mask is None or snapshot.is_empty:
        raise ExportError(f"There is no mask to be {verb}; draw a box round the haematoma first.")
    return snapshot.mask
