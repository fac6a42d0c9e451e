"""Results on disk: mask, surface, table. Each file is written completely or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hemaview import __version__
from hemaview.case.scan_entry import ScanEntry
from hemaview.case.snapshot import Snapshot
from hemaview.errors import ExportError
from hemaview.imaging import Geometry, LabelMap
from hemaview.surface import Mesh, PrintReport, check_printability, write_stl
from hemaview.volumetry import write_csv

NOTHING_MARKED = "The mask is empty, so there is no surface; adjust the box or paint the haematoma first."
_NO_MASK = "There is no mask to save yet; draw a box round the haematoma first."


def export_mask(snapshot: Snapshot, path: Path) -> tuple[str, ...]:
    """Write the mask as NIfTI on the scan's grid, 1 inside and 0 outside; an empty mask is written too.

    Returns sentences about what is not as in the scan: a scan of unevenly spaced slices gets even ones. Raises
    ``ExportError`` when there is no mask and when the disk is full or cannot be written to.
    """
    # Readers and writers load large libraries; a window that only shows a case starts without them.
    from hemaview.imaging.reading import write_label_map

    return write_label_map(_mask(snapshot), path)


def printable_surface(snapshot: Snapshot) -> tuple[Mesh, PrintReport]:
    """The surface and its check; ``ExportError`` when the mask is empty or the surface must not be printed."""
    mask = _mask(snapshot)
    if snapshot.refusal is not None:
        raise ExportError(snapshot.refusal)
    mesh = snapshot.mesh()
    if mesh is None:
        raise ExportError(NOTHING_MARKED)
    report = check_printability(mesh, mask)
    if report.blocks:
        raise ExportError(report.blocks[0])
    return mesh, report


def export_stl(snapshot: Snapshot, path: Path) -> PrintReport:
    """Write the surface as binary STL in LPS mm and return its check.

    Raises ``ExportError`` when there is no printable surface and when the disk is full or cannot be written to.
    """
    mesh, report = printable_surface(snapshot)
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
        "sequence": sequence_text(snapshot.scan),
        "voxels": " x ".join(str(n) for n in geometry.size),
        "spacing_mm": " x ".join(f"{s:g}" for s in geometry.spacing),
        **_slice_intervals(geometry),
        "program": f"HEMAVIEW {__version__}",
        "mask": _origin(snapshot),
    }
    made = snapshot.segmentation
    if made is not None:
        found |= {
            "engine": made.engine.name,
            "model_sha256": made.engine.sha256,
            "device": made.engine.device,
            "seconds": f"{made.seconds_total:.2f}",
            "segmented_utc": made.created,
            "model_saw": f"scan after {', '.join(made.prepared)}" if made.prepared else "scan as it is",
            "box_lps_mm": " ".join(f"{value:.2f}" for value in (*made.box.corner_a, *made.box.corner_b)),
        }
    return found


def sequence_text(scan: ScanEntry) -> str:
    """The kind of scan and whether that is known, for example "FLAIR (guess)"."""
    return str(scan.sequence) if scan.known_as.certain else f"{scan.sequence} (guess)"


def _origin(snapshot: Snapshot) -> str:
    if snapshot.mask is None:
        return "none"
    if snapshot.carried_from is not None:
        return snapshot.carried_text
    return "edited by hand" if snapshot.edited else "as found by the engine"


def _slice_intervals(geometry: Geometry) -> dict[str, str]:
    """The steps from slice to slice in mm, where they are not all the same."""
    if not geometry.is_uneven:
        return {}
    return {"slice_steps_mm": " ".join(f"{step:.4g}" for step in np.diff(geometry.slice_places_mm))}


def _mask(snapshot: Snapshot) -> LabelMap:
    if snapshot.mask is None:
        raise ExportError(_NO_MASK)
    return snapshot.mask
