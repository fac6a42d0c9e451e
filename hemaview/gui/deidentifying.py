"""Exporting the DICOM files of the scan on display without what says who the patient is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QDialog, QWidget

from hemaview.case import ScanEntry
from hemaview.gui.deidentify_dialog import DeidentifyDialog
from hemaview.gui.task_thread import Report, Task
from hemaview.gui.workflow import Workflow
from hemaview.interchange.dates import Dates

if TYPE_CHECKING:
    from hemaview.interchange.report import Report as ExportReport


def is_dicom(scan: ScanEntry | None) -> bool:
    """Whether the scan on display came from DICOM files."""
    return scan is not None and scan.volume is not None and scan.volume.attributes.get("format") == "DICOM"


class Deidentifying:
    """Asks where and how, writes in the background, and says what to look at before passing the files on."""

    def __init__(self, window: QWidget, workflow: Workflow) -> None:
        self._window, self._flow = window, workflow

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What the action does."""
        return {"deidentify": self.ask}

    def ask(self) -> None:
        """Ask for folder and options, then write the series of the scan on display."""
        case = self._flow.case
        scan = case.active_scan if case is not None else None
        if case is None or scan is None or not is_dicom(scan):
            return
        dialog = DeidentifyDialog(case.labels[scan.id], scan.path.parent, self._window)
        if dialog.exec() == QDialog.DialogCode.Accepted and dialog.folder is not None:
            self.write(scan, dialog.folder, dialog.dates, with_screenshots=dialog.screenshots.isChecked())

    def write(self, scan: ScanEntry, folder: Path, dates: Dates, *, with_screenshots: bool) -> None:
        """Write the files of the scan's series into ``folder``."""
        volume = scan.volume
        if volume is None:
            return

        def work(report: Report) -> ExportReport:
            from hemaview.interchange.deidentify import deidentify

            return deidentify(
                [scan.path],
                folder,
                series_uid=scan.series_uid or volume.attributes["series_uid"],
                dates=dates,
                with_screenshots=with_screenshots,
                progress=lambda done, total: report(done / total if total else 0.0),
            )

        def written(made: ExportReport) -> None:
            left_out = sum(made.left_out.values())
            files = f"{made.files} files in {folder}" + (f", {left_out} left out" if left_out else "")
            self._flow.message.emit("warning", f"Wrote {files}. {' '.join(made.warnings)}")

        self._flow.tasks.run(Task("De-identifying", work, written))
