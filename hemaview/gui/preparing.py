"""The part of the workflow that prepares scans: carries out what the case records and shows what came out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from hemaview.case import ScanEntry
from hemaview.case.preparation import Preparation, prepare
from hemaview.gui.scan_content import scan_looks
from hemaview.gui.task_thread import Report, Task
from hemaview.imaging import Volume
from hemaview.imaging.preprocessing import Prepared

if TYPE_CHECKING:
    from hemaview.gui.workflow import Workflow

LABEL = "Preparing the scan"
NOT_PREPARED = "The scan could not be prepared again and is shown as it is: {why}"


class Preparing(QObject):
    """Keeps what the viewers and the model get in step with the preparation that the case records."""

    def __init__(self, workflow: Workflow) -> None:
        super().__init__(workflow)
        self._flow = workflow
        self._under_way: tuple[str, Volume, Preparation] | None = None

    def use(self, preparation: Preparation | None, prepared: Prepared | None = None) -> None:
        """Prepare the scan on display this way from now on, or with None not at all."""
        case = self._flow.case
        scan = case.active_scan if case is not None else None
        if scan is None or (preparation is None and scan.preparation is None):
            return
        self._flow.segmentation.cancel()
        self._flow.attempt(lambda case: case.set_preparation(scan.id, preparation, prepared))

    def show_prepared(self, wanted: bool) -> None:
        """Show the prepared scan or the scan as it is; the preparation stays."""
        scan = self._flow.case.active_scan if self._flow.case is not None else None
        if scan is not None and scan.preparation is not None and scan.preparation.for_display is not wanted:
            self.use(replace(scan.preparation, for_display=wanted), scan.prepared)

    def carry_out(self, scan: ScanEntry) -> None:
        """Carry out the recorded preparation of a scan where that was not done since the case was opened."""
        volume, preparation = scan.volume, scan.preparation
        if volume is None or preparation is None or scan.prepared is not None:
            return
        if self._under_way == (scan.id, volume, preparation):
            return
        self._under_way = (scan.id, volume, preparation)

        def work(report: Report) -> Any:
            prepared = prepare(volume, preparation, report)
            scan_looks(prepared.display)
            return prepared

        def done(prepared: Any) -> None:
            self._under_way = None
            if self._still_wanted(scan.id, preparation):
                self._flow.attempt(lambda case: case.show_prepared(scan.id, prepared))

        def failed(why: str) -> None:
            self._under_way = None
            if why:
                self._flow.message.emit("warning", NOT_PREPARED.format(why=why))
                if self._still_wanted(scan.id, preparation):
                    self._flow.attempt(lambda case: case.set_preparation(scan.id, None))

        self._flow.tasks.run(Task(LABEL, work, done, failed))

    def _still_wanted(self, scan_id: str, preparation: Preparation) -> bool:
        case = self._flow.case
        scans = case.scans if case is not None else ()
        return any(scan.id == scan_id and scan.preparation is preparation for scan in scans)
