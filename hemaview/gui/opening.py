"""What the user opens: scans become a case or join one, a case folder or the sample comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from hemaview.case import Case, ScanEntry
from hemaview.case.sample import load_sample
from hemaview.errors import HemaviewError, ScanError
from hemaview.gui.scan_content import scan_looks
from hemaview.gui.scan_reading import Found, ReadScan, ScansRead, Wanted, find_scans, read_scans
from hemaview.gui.task_thread import Report, Task

if TYPE_CHECKING:
    from hemaview.gui.workflow import Workflow
    from hemaview.imaging.catalogue import SeriesItem

CASE_JOURNAL = "journal.jsonl"

OTHER_SCAN = (
    "'{}' is not the scan of this case, because its values or its grid differ; choose the files it was made from."
)


class Opening(QObject):
    """The part of the workflow that opens; what is opened last is what the user sees.

    While a place is looked through for scans, ``counted(where, files looked at, files in all)`` tells how far that is.
    ``choice_found(Found, add)`` asks which of several series are wanted; ``ended(sentence)`` follows whatever else
    came of it, with what went wrong or nothing.
    """

    counted = Signal(str, int, int)
    choice_found = Signal(object, bool)
    ended = Signal(str)

    def __init__(self, workflow: Workflow) -> None:
        super().__init__(workflow)
        self._flow = workflow
        self.found: Found | None = None

    def open_paths(self, paths: Sequence[Path], *, add: bool = False, then: Callable[[], None] | None = None) -> None:
        """Open scans as a new case, or add them to the open one; a case folder is reopened.

        Where there is more than one scan to choose from, ``choice_found`` follows instead.
        """
        paths = [Path(p) for p in paths]
        if not paths:
            return
        if len(paths) == 1 and (paths[0] / CASE_JOURNAL).is_file():
            self.open_case(paths[0])
            return
        where = paths[0].name or str(paths[0]) if len(paths) == 1 else f"{len(paths)} files"

        def opened(found: Found) -> None:
            self.found = found
            if found.scans is None:
                self.choice_found.emit(found, add)
                return
            self.ended.emit("")
            if self._take_scans(found.scans, add=add, hint=found.others_hint) and then is not None:
                then()

        counted = partial(self.counted.emit, where)
        self._run(f"Opening {where}", lambda report: find_scans(paths, report, counted), opened)

    def open_series(self, items: Sequence[SeriesItem], *, add: bool = False) -> None:
        """Open series of a catalogue as a new case, or add them to the open one; the first is shown."""
        wanted = [Wanted.of(item) for item in items]
        label = f"Opening {items[0].summary.label}" if len(items) == 1 else f"Opening {len(items)} scans"
        self._run(label, lambda report: read_scans(wanted, report), lambda found: self._take_scans(found, add=add))

    def _run(self, label: str, work: Callable[[Report], Any], then: Callable[[Any], object]) -> None:
        self._flow.tasks.run(Task(label, work, then, self.ended.emit, replaceable=True))

    def open_case(self, directory: Path, *, interrupted: bool = False) -> None:
        """Reopen a case; ``interrupted`` says that it was open when the program ended without closing it."""

        def opened(case: Case) -> None:
            self._flow.show_case(case)
            for note in case.notes[:1]:
                self._flow.message.emit("warning", note)
            if interrupted and not case.notes:
                self._flow.message.emit(
                    "info", "HEMAVIEW was not closed properly last time; this is the case as you left it."
                )

        if self._flow.case is not None and self._flow.case.directory == directory.absolute():
            return
        quiet: Callable[[str], None] | None = (lambda sentence: None) if interrupted else None
        self._flow.tasks.run(
            Task("Opening the case", lambda report: _read_case(directory, report), opened, quiet, replaceable=True)
        )

    def find_again(self, scan: ScanEntry, path: Path) -> None:
        """Show a scan of the open case from where it lies now; other values than the mask was made on are refused."""
        case = self._flow.case

        def read(report: Report) -> ReadScan:
            (found,) = read_scans([Wanted(path, scan.series_uid)], report).scans
            if found.digest != scan.digest:
                raise ScanError(OTHER_SCAN.format(path.name))
            return found

        def show(found: ReadScan) -> None:
            if self._flow.case is case:
                self._flow.attempt(
                    lambda case: case.relocate_scan(scan.id, path, found.volume, series_uid=scan.series_uid)
                )

        self._flow.tasks.run(Task(f"Opening {path.name}", read, show))

    def open_sample(self, *, segment: bool = False) -> None:
        """Open the sample phantom as a new case; ``segment`` also draws its box once the model is loaded."""
        try:
            sample = load_sample()
        except HemaviewError as error:
            self._flow.message.emit("error", str(error))
            return

        def draw() -> None:
            state = self._flow.state
            if self._flow.case is not None and state.geometry is not None:
                lower, upper = sample.box.index_bounds(state.geometry)
                state.set_cursor(np.round((lower + upper) / 2))
                if segment:
                    self._flow.segment_when_ready(sample.box)

        self.open_paths([sample.scan], then=draw)

    def _take_scans(self, found: ScansRead, *, add: bool, hint: str = "") -> bool:
        """Put what was read into a case and show the first; a refusal becomes a message. Returns whether it was."""
        case = self._flow.case if add else None
        fresh = case is None
        try:
            if case is None:
                case = Case.create(self._flow.case_root)
            for scan in found.scans:
                case.add_scan(scan.path, scan.volume, series_uid=scan.series_uid, digest=scan.digest)
            case.set_active_scan(case.scans[-len(found.scans)].id)
        except HemaviewError as error:
            self._flow.message.emit("error", str(error))
            if fresh and case is not None:
                case.close()
            return False
        if fresh:
            self._flow.show_case(case)
        for sentence in (hint, *found.scans[0].volume.notes)[not hint :][:1]:
            self._flow.message.emit("info", sentence)
        for sentence in found.problems[:1]:
            self._flow.message.emit("error", sentence)
        return True


def _read_case(directory: Path, report: Report) -> Case:
    case = Case.open(directory, progress=report)
    for scan in case.scans:
        if scan.volume is not None:
            scan_looks(scan.volume)
    try:
        report(1.0)
    except HemaviewError:
        case.close()
        raise
    return case
