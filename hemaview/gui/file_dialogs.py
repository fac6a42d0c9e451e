"""Asking where to open from and where to save to; remembers the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QFileDialog, QWidget

from hemaview.case import ScanEntry, Snapshot, export
from hemaview.case.headless import write_results
from hemaview.errors import ExportError
from hemaview.gui.workflow import Workflow

_DICOM_SUFFIXES = (".dcm", ".ima", ".zip")
MASK_FILTER = "Masks (*.nii *.nii.gz *.nrrd *.mha);;All files (*)"


class FileDialogs:
    """Each method asks, and when the user answers, hands the work to the workflow."""

    def __init__(self, window: QWidget, workflow: Workflow) -> None:
        self._window = window
        self._workflow = workflow
        self._folder = ""

    def open_scan(self) -> None:
        """Open one or several files as a new case."""
        self._workflow.opening.open_paths(self.ask_files(self._window))

    def open_folder(self) -> None:
        """Look through a folder or CD and open what is wanted of it as a new case."""
        self._workflow.opening.open_paths(self.ask_folder(self._window))

    def add_scan(self) -> None:
        """Add files to the open case."""
        self._workflow.opening.open_paths(self.ask_files(self._window, "Add scan to this case"), add=True)

    def ask_files(self, over: QWidget, title: str = "Open scan") -> list[Path]:
        """Ask for files; empty when the user thought better of it. ``over`` is the window that asks."""
        names, _ = QFileDialog.getOpenFileNames(over, title, self._folder, scan_filter())
        return self._remembered([Path(name) for name in names])

    def ask_folder(self, over: QWidget) -> list[Path]:
        """Ask for a folder; empty when the user thought better of it."""
        name = QFileDialog.getExistingDirectory(over, "Open folder or CD", self._folder)
        return self._remembered([Path(name)] if name else [])

    def ask_where(self, scan: ScanEntry) -> Path | None:
        """Ask where a scan of the case lies now: for its folder if it was a DICOM series in one, else for its file."""
        start = next((str(place) for place in scan.path.parents if place.is_dir()), "")
        title = f"Where is {scan.name}?"
        if scan.series_uid is not None and not scan.path.suffix:
            chosen = QFileDialog.getExistingDirectory(self._window, title, start)
        else:
            chosen, _ = QFileDialog.getOpenFileName(self._window, title, start, scan_filter())
        return Path(chosen) if chosen else None

    def import_mask(self) -> None:
        """Replace the mask by one from a file."""
        name, _ = QFileDialog.getOpenFileName(self._window, "Import mask", self._folder, MASK_FILTER)
        if name:
            self._folder = str(Path(name).parent)
            self._workflow.import_mask(Path(name))

    def export_stl(self) -> None:
        """Save the printable surface."""
        self._export("Export STL", "haematoma.stl", "STL surface in LPS millimetres (*.stl)", export.export_stl)

    def export_mask(self) -> None:
        """Save the mask."""
        self._export("Export mask", "mask.nii.gz", "NIfTI label map (*.nii.gz)", export.export_mask)

    def export_volumes(self) -> None:
        """Save the table of volumes."""
        self._export("Export volumes", "volumes.csv", "Table (*.csv)", export.export_csv)

    def save_results(self) -> None:
        """Save surface, mask and volumes in one folder."""
        chosen = QFileDialog.getExistingDirectory(
            self._window, "Save STL, mask and volumes in a folder", self._folder or self._beside_scan()
        )
        if not chosen:
            return
        self._folder = chosen
        folder = Path(chosen)

        def write(snapshot: Snapshot) -> Any:
            results = write_results(snapshot, folder)
            if results.refusal is not None:
                raise ExportError(f"Mask and volumes were saved, but no surface: {results.refusal}")
            # What to know of the mask's file, then the first thing to watch when printing.
            return (*results.mask_notes, *(results.report.warnings[:1] if results.report else ()))

        self._workflow.export("Saving all results", write, folder / "haematoma.stl, mask.nii.gz and volumes.csv")

    def save_picture(self, save: Callable[[Path], None]) -> Path | None:
        """Ask for a name and call ``save`` with it; returns it, or None when the user thought better of it."""
        path = self._ask_name("Save picture", "hemaview.png", "Picture (*.png)")
        if path is not None:
            save(path)
        return path

    def _remembered(self, paths: list[Path]) -> list[Path]:
        if paths:
            self._folder = str(paths[0].parent)
        return paths

    def _export(self, title: str, name: str, kind: str, write: Callable[[Snapshot, Path], Any]) -> None:
        path = self._ask_name(title, name, kind)
        if path is not None:
            self._workflow.export(title, lambda snapshot: write(snapshot, path), path)

    def _ask_name(self, title: str, name: str, kind: str) -> Path | None:
        suggested = str(Path(self._folder or self._beside_scan()) / name)
        chosen, _ = QFileDialog.getSaveFileName(self._window, title, suggested, kind)
        if not chosen:
            return None
        path, suffix = Path(chosen), name[name.index(".") :]
        if not path.name.lower().endswith(suffix):
            path = path.with_name(path.name + suffix)
        self._folder = str(path.parent)
        return path

    def _beside_scan(self) -> str:
        case = self._workflow.case
        scan = case.active_scan if case is not None else None
        return "" if scan is None else str(scan.path.parent)


def scan_filter() -> str:
    """What the file dialog offers: every suffix that a reader knows, and any file, because DICOM often has none."""
    # The readers load large libraries; they come with the first dialog, not with the window.
    from hemaview.imaging.reading.formats import VOLUME_SUFFIXES

    patterns = " ".join(f"*{suffix}" for suffix in (*VOLUME_SUFFIXES, *_DICOM_SUFFIXES))
    return f"Scans ({patterns} DICOMDIR);;All files, for DICOM without a suffix (*)"
