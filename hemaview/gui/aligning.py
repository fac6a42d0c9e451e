"""The part of the workflow that aligns scans of one head, and says what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from hemaview.case import Alignment, Case, ScanEntry
from hemaview.case.alignment import find_alignment
from hemaview.gui.task_thread import Report, Task

if TYPE_CHECKING:
    from hemaview.gui.workflow import Workflow

LABEL = "Aligning the scans"
FOUND = "Aligned to {other}, {moved}; look whether the crosshair is at the same place of the head in both scans."
REMOVED = "The alignment was removed; the scan lies where its file says again."


class Aligning(QObject):
    """Aligns the scan on display to another one of the case; the case keeps what was found."""

    def __init__(self, workflow: Workflow) -> None:
        super().__init__(workflow)
        self._flow = workflow

    def align(self, to: str) -> None:
        """Look for the alignment in the background, record it and say how far the head had moved."""
        case = self._flow.case
        scan = case.active_scan if case is not None else None
        if case is None or scan is None or not self._flow.attempt(lambda case: case.check_alignment(scan.id, to)):
            return
        this, other = case.snapshot(scan.id), case.snapshot(to)

        def work(report: Report) -> Any:
            return find_alignment(this, other, report)

        def done(found: Alignment) -> None:
            # Another case may have been opened meanwhile.
            if self._flow.case is case and self._flow.attempt(lambda case: case.align(scan.id, to, found)):
                self._flow.message.emit("info", FOUND.format(other=case.labels[to], moved=found.text))

        self._flow.tasks.run(Task(LABEL, work, done))

    def remove(self) -> None:
        """Leave the scan on display where its file says."""
        scan = self._flow.case.active_scan if self._flow.case is not None else None
        if scan is None or scan.alignment is None:
            return
        if self._flow.attempt(lambda case: case.remove_alignment(scan.id)):
            self._flow.message.emit("info", REMOVED)


def align_targets(case: Case) -> tuple[ScanEntry, ...]:
    """The scans that the active one may be compared with; which of them are refused is said once one is chosen."""
    active = case.active_scan
    if active is None or active.volume is None or case.read_only:
        return ()
    return tuple(scan for scan in case.scans if scan.volume is not None and scan.id != active.id)


def alignment_text(case: Case, entry: ScanEntry) -> str:
    """What a scan is aligned to and how far it was moved for that; empty where it is not aligned."""
    if entry.aligned_to is None or entry.alignment is None:
        return ""
    return f"Aligned to {case.labels[entry.aligned_to]}: {entry.alignment.text}."
