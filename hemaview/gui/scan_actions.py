"""What can be done with the scans of a case: show one, say what it is or where it lies now, carry a mask to it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog, QWidget

from hemaview.gui.align_dialog import AlignDialog
from hemaview.gui.aligning import align_targets
from hemaview.gui.carry_dialog import CarryDialog
from hemaview.gui.file_dialogs import FileDialogs
from hemaview.gui.scan_details import mask_sources
from hemaview.gui.scans_panel import ScansPanel
from hemaview.gui.workflow import Workflow


class ScanActions(QObject):
    """Joins the scans panel and the workflow; ``handlers`` go to ``Actions.connect``."""

    def __init__(self, window: QWidget, panel: ScansPanel, workflow: Workflow, files: FileDialogs) -> None:
        super().__init__(workflow)
        self._window, self._panel, self._flow, self._files = window, panel, workflow, files
        panel.scan_chosen.connect(workflow.activate_scan)
        panel.details.sequence_chosen.connect(workflow.set_sequence)
        panel.details.carry_requested.connect(self.carry)
        panel.details.find_requested.connect(self.find)
        for signal in (workflow.case_changed, workflow.scans_changed, workflow.history_changed):
            signal.connect(self._follow)

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What each action does."""
        return {
            "carry_mask": self.carry,
            "align": self.align,
            "remove_alignment": self._flow.aligning.remove,
            "find_scan": self.find,
            "scan_next": lambda: self._step(1),
            "scan_previous": lambda: self._step(-1),
        }

    def carry(self) -> None:
        """Ask whose mask is to be laid on the scan on display, and do it."""
        case = self._flow.case
        sources = () if case is None else mask_sources(case)
        if case is None or case.active_scan is None or not sources:
            return
        dialog = CarryDialog(sources, case.active_scan, case.labels, self._window)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self._flow.carry_mask(dialog.chosen)

    def find(self) -> None:
        """Ask where the files of the scan on display lie now, and show it from there."""
        case = self._flow.case
        scan = case.active_scan if case is not None else None
        if scan is not None and scan.problem is not None and (path := self._files.ask_where(scan)) is not None:
            self._flow.opening.find_again(scan, path)

    def align(self) -> None:
        """Align the scan on display to another one; asks which where there are several."""
        case = self._flow.case
        targets = () if case is None else align_targets(case)
        if case is None or case.active_scan is None or not targets:
            return
        to = targets[0].id
        if len(targets) > 1:
            dialog = AlignDialog(targets, case.active_scan, case.labels, self._window)
            if dialog.exec() != QDialog.DialogCode.Accepted:
                return
            to = dialog.chosen
        self._flow.aligning.align(to)

    def _step(self, count: int) -> None:
        """Show the scan so many places down the list, from its end on again from its beginning."""
        case = self._flow.case
        if case is not None and case.active_scan is not None:
            ids = [scan.id for scan in case.scans]
            self._flow.activate_scan(ids[(ids.index(case.active_scan.id) + count) % len(ids)])

    def _follow(self) -> None:
        self._panel.show_case(self._flow.case)
