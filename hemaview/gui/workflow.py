"""From a click to a result: carries what the viewers ask for to the case and the workers, and the answers back.

The case is the truth. Every change goes to the case first (journalled), the case says what changed, and only then
the shared view state and the panels follow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from hemaview.case import Case, CaseChange, ChangeKind, Snapshot
from hemaview.case.sample import load_sample
from hemaview.errors import HemaviewError, PromptError
from hemaview.gui.derived_worker import DerivedWorker, HeadOutlineWorker
from hemaview.gui.inference_worker import EngineLoader, InferenceRequest, InferenceWorker
from hemaview.gui.scan_reading import ReadScan, ScansRead, read_scans
from hemaview.gui.session import SessionMark
from hemaview.gui.task_thread import Report, Task, TaskThread
from hemaview.gui.view_state import Region, Tool, ViewState
from hemaview.imaging import Volume
from hemaview.imaging.windowing import Window
from hemaview.segmentation.contract import BoxPrompt, EngineInfo, Segmentation, SliceResult
from hemaview.surface import Mesh, PrintReport
from hemaview.volumetry import Reading, TadaMeasurement

_log = logging.getLogger(__name__)

_FLUSH_MS = 40
CASE_JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Timing:
    """Seconds from the release of a box to the first slice on screen and to the whole mask (None: not yet)."""

    first: float | None = None
    total: float | None = None


class Workflow(QObject):
    """One window's case, its workers, and the rules that join them.

    ``message(severity, sentence)``: "info", "warning" or "error" for the message bar. ``task_changed(label,
    fraction)``: something the user waits for; an empty label ends it. ``segmenting_changed(running, done, total)``.
    ``derived_started()``, then ``readings_changed(readings, tada)`` and ``mesh_changed(Mesh | None)``.
    """

    message = Signal(str, str)
    task_changed = Signal(str, float)
    segmenting_changed = Signal(bool, int, int)
    case_changed = Signal()
    scans_changed = Signal()
    history_changed = Signal()
    derived_started = Signal()
    readings_changed = Signal(object, object)
    mesh_changed = Signal(object)
    head_changed = Signal(object)
    engine_changed = Signal(object, str)
    timing_changed = Signal(object)

    def __init__(
        self, case_root: Path, engine_loader: EngineLoader, state: ViewState, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.state = state
        self.case_root = case_root
        self.engine: EngineInfo | None = None
        self._case: Case | None = None
        self._disconnect: Callable[[], None] | None = None
        self._mark = SessionMark(case_root)
        self._windows: dict[str, Window] = {}
        self._shown: Volume | None = None
        self._shown_id = ""
        self._number = 0
        self._request_scan = ""
        self._began = 0.0
        self._arrived: list[SliceResult] = []
        self._when_ready: BoxPrompt | None = None
        self._engine_answered = False
        self._timing = Timing()
        self._segmenting = False
        self._deriving: Snapshot | None = None
        self._task: Task | None = None
        self._outlining = False

        self.inference = InferenceWorker(engine_loader, self)
        self.inference.engine_ready.connect(self._on_engine_ready)
        self.inference.engine_failed.connect(self._on_engine_failed)
        self.inference.slice_ready.connect(self._on_slice)
        self.inference.done.connect(self._on_segmented)
        self.inference.failed.connect(self._on_segmenting_failed)
        self.inference.cancelled.connect(self._on_segmenting_cancelled)
        self._derived = DerivedWorker(self)
        self._derived.readings_ready.connect(self._on_readings)
        self._derived.mesh_ready.connect(self._on_mesh)
        self._derived.failed.connect(self._on_derived_failed)
        self._outline = HeadOutlineWorker(self)
        self._outline.outline_ready.connect(self._on_outline)
        self._flush = QTimer(self)
        self._flush.setSingleShot(True)
        self._flush.setInterval(_FLUSH_MS)
        self._flush.timeout.connect(self._show_slices)
        self._tasks = TaskThread(self)
        self._tasks.progressed.connect(self._on_task_progress)
        self._tasks.answered.connect(self._on_task_answered)

    # Looking

    @property
    def case(self) -> Case | None:
        """The open case."""
        return self._case

    @property
    def is_busy(self) -> bool:
        """Whether a task, a segmentation or a computation is still under way."""
        waiting = self._when_ready is not None
        return self._segmenting or self._task is not None or self._deriving is not None or self._outlining or waiting

    @property
    def is_waited_for(self) -> bool:
        """Whether something runs that ``cancel`` would stop."""
        return self._segmenting or self._task is not None

    def start_engine(self) -> None:
        """Begin to load the model; called after the window is on the screen."""
        self.inference.start()

    # Opening

    def open_paths(self, paths: Sequence[Path], *, add: bool = False, then: Callable[[], None] | None = None) -> None:
        """Open scans as a new case, or add them to the open one; a case folder is reopened."""
        paths = [Path(p) for p in paths]
        if not paths:
            return
        if len(paths) == 1 and (paths[0] / CASE_JOURNAL).is_file():
            self.open_case(paths[0])
            return
        label = f"Opening {paths[0].name}" if len(paths) == 1 else f"Opening {len(paths)} scans"

        def opened(found: ScansRead) -> None:
            if not self._take_scans(found.scans, add=add):
                return
            for note in found.scans[0].volume.notes[:1]:
                self.message.emit("info", note)
            if found.problems:
                self.message.emit("error", found.problems[0])
            if then is not None:
                then()

        self._run(Task(label, lambda report: read_scans(paths, report), opened))

    def open_case(self, directory: Path, *, interrupted: bool = False) -> None:
        """Reopen a case; ``interrupted`` says that it was open when the program ended without closing it."""

        def opened(case: Case) -> None:
            self._show_case(case)
            for note in case.notes[:1]:
                self.message.emit("warning", note)
            if interrupted and not case.notes:
                self.message.emit(
                    "info", "HEMAVIEW was not closed properly last time; this is the case as you left it."
                )

        def work(report: Report) -> Case:
            case = Case.open(directory, progress=report)
            try:
                report(1.0)
            except HemaviewError:
                case.close()
                raise
            return case

        if self._case is not None and self._case.directory == directory.absolute():
            return
        quiet: Callable[[str], None] | None = (lambda sentence: None) if interrupted else None
        self._run(Task("Opening the case", work, opened, quiet))

    def open_sample(self, *, segment: bool = False) -> None:
        """Open the sample phantom as a new case; ``segment`` also draws its box once the model is loaded."""
        try:
            sample = load_sample()
        except HemaviewError as error:
            self.message.emit("error", str(error))
            return

        def draw() -> None:
            if self._case is not None and self.state.geometry is not None:
                lower, upper = sample.box.index_bounds(self.state.geometry)
                self.state.set_cursor(np.round((lower + upper) / 2))
                if segment:
                    self._when_ready = sample.box
                    self._segment_waiting()

        self.open_paths([sample.scan], then=draw)

    def close_case(self) -> None:
        """Close the case and show the start page."""
        self._release_case()
        self._show_nothing()

    def activate_scan(self, scan_id: str) -> None:
        """Show another scan of the case."""
        if self._case is not None and self._case.active_scan is not None and self._case.active_scan.id != scan_id:
            self._cancel_segmentation()
            self._attempt(lambda case: case.set_active_scan(scan_id))

    # Prompting and editing

    def segment_box(self, box: BoxPrompt) -> None:
        """Record a box and ask the engine for the mask in it; a box drawn meanwhile takes its place."""
        case = self._case
        scan = case.active_scan if case is not None else None
        if case is None or scan is None or scan.volume is None:
            return
        replaced_edits = case.edited
        self._cancel_segmentation()
        if not self._attempt(lambda c: c.set_box(box)):
            self.state.set_box(case.box)
            return
        self._number += 1
        self._request_scan = scan.id
        self._began = time.perf_counter()
        self._timing = Timing()
        self._segmenting = True
        self.state.set_box(box)
        self.state.begin_preview()
        self.segmenting_changed.emit(True, 0, 0)
        self.inference.submit(InferenceRequest(self._number, scan.volume, box, self._focus(box)))
        if replaced_edits:
            self.message.emit("info", "The new box replaces your brush edits; Ctrl+Z brings them back.")

    def paint(self, region: Region, values: NDArray[np.bool_]) -> None:
        """Record a finished stroke of brush or eraser."""
        self._cancel_segmentation()
        text = "Erase" if self.state.tool is Tool.ERASER else "Paint"
        if not self._attempt(lambda case: case.edit_mask(region, values, text)):
            self.state.set_mask(self._case.mask if self._case is not None else None)
        self.state.set_stroke(None)

    def remove_box(self) -> None:
        """Take the box away and keep the mask."""
        self._cancel_segmentation()
        self._attempt(lambda case: case.set_box(None))

    def clear_mask(self) -> None:
        """Empty the mask; can be undone."""
        case = self._case
        if case is None or case.mask is None:
            return
        self._cancel_segmentation()
        bounds = case.mask.bounds()
        if bounds is not None:
            empty = np.zeros([s.stop - s.start for s in bounds], dtype=np.bool_)
            self._attempt(lambda c: c.edit_mask(bounds, empty, "Clear mask"))

    def undo(self) -> None:
        """Take the last step back, or stop the segmentation under way together with its box."""
        self._cancel_segmentation()
        self._attempt(lambda case: case.undo())

    def redo(self) -> None:
        """Do the last undone step again."""
        self._cancel_segmentation()
        self._attempt(lambda case: case.redo())

    def cancel(self) -> None:
        """Stop what the user waits for."""
        if self._task is not None:
            self._tasks.cancel()
        elif self._segmenting:
            self._cancel_segmentation()
            self.message.emit("info", "Segmentation cancelled; adjust the box to run it again.")

    # Saving

    def export(self, label: str, write: Callable[[Snapshot], Any], path: Path) -> None:
        """Write a result of the present mask in the background and say where it is."""
        case = self._case
        if case is None or case.active_scan is None:
            return
        try:
            snapshot = case.snapshot()
        except HemaviewError as error:
            self.message.emit("error", str(error))
            return

        def written(result: Any) -> None:
            if isinstance(result, PrintReport) and (problems := (*result.blocks, *result.warnings)):
                self.message.emit("warning", f"Saved {path.name}. {problems[0]}")
            else:
                self.message.emit("info", f"Saved {path.name} in {path.parent}.")

        self._run(Task(label, lambda report: write(snapshot), written))

    def import_mask(self, path: Path) -> None:
        """Replace the mask by one from a file on the same grid; can be undone."""
        geometry = self.state.geometry
        if self._case is None or geometry is None:
            return

        def work(report: Report) -> Any:
            from hemaview.imaging.reading import read_label_map

            return read_label_map(path, geometry)

        def read(mask: Any) -> None:
            self._cancel_segmentation()
            self._attempt(lambda case: case.replace_mask(mask))

        self._run(Task(f"Reading {path.name}", work, read))

    def close(self) -> None:
        """Stop every worker, wait for it, and give the case free."""
        for worker in (self.inference, self._derived, self._outline, self._tasks):
            worker.cancel()
        for worker in (self.inference, self._derived, self._outline, self._tasks):
            worker.close()
        self._release_case()

    # The case

    def _take_scans(self, scans: Sequence[ReadScan], *, add: bool) -> bool:
        case = self._case if add else None
        try:
            fresh = case is None
            if case is None:
                case = Case.create(self.case_root)
            for scan in scans:
                case.add_scan(scan.path, scan.volume, series_uid=scan.series_uid, digest=scan.digest)
            case.set_active_scan(case.scans[-len(scans)].id)
        except HemaviewError as error:
            self.message.emit("error", str(error))
            if fresh and case is not None:
                case.close()
            return False
        if fresh:
            self._show_case(case)
        return True

    def _show_case(self, case: Case) -> None:
        self._release_case()
        self._case = case
        self._shown = None
        self._windows.clear()
        self._disconnect = case.changed.connect(self._on_case_change)
        self._mark.set(case.directory)
        self.case_changed.emit()
        self.scans_changed.emit()
        self.history_changed.emit()
        self._show_scan()

    def _release_case(self) -> None:
        self._when_ready = None
        self._cancel_segmentation()
        if self._disconnect is not None:
            self._disconnect()
            self._disconnect = None
        if self._case is not None:
            self._case.close()
            self._case = None
        self._mark.clear()

    def _show_nothing(self) -> None:
        self._shown = None
        self.state.set_volume(None)
        self._forget_derived()
        self.head_changed.emit(None)
        self.case_changed.emit()
        self.scans_changed.emit()
        self.history_changed.emit()

    def _show_scan(self) -> None:
        case = self._case
        scan = case.active_scan if case is not None else None
        if case is None or scan is None:
            self._show_nothing()
            return
        if scan.problem is not None:
            self.message.emit("error", scan.problem)
        if scan.volume is not self._shown or scan.volume is None:
            if self._shown is not None:
                self._windows[self._shown_id] = self.state.window
            self._shown, self._shown_id = scan.volume, scan.id
            self.state.set_volume(None)
            if scan.volume is not None:
                self.state.set_volume(scan.volume, self._windows.get(scan.id))
            self.head_changed.emit(None)
            if scan.volume is not None:
                self._outlining = True
                self._outline.submit(scan.volume)
            if scan.volume is not None and case.mask is not None and (bounds := case.mask.bounds()) is not None:
                k, j, i = ((s.start + s.stop - 1) / 2 for s in bounds)
                self.state.set_cursor(np.round((i, j, k)))
        if scan.volume is not None:
            self.state.set_mask(case.mask)
            self.state.set_box(case.box)
        self._derive()

    def _on_case_change(self, change: CaseChange) -> None:
        case = self._case
        if case is None:
            return
        if change.kind is ChangeKind.SCAN:
            self.scans_changed.emit()
            self._show_scan()
        elif change.kind is ChangeKind.BOX and self._shown is not None:
            self.state.set_box(case.box)
        elif change.kind is ChangeKind.MASK and self._shown is not None:
            self.state.set_mask(case.mask)
            self._derive()
        elif change.kind is ChangeKind.HISTORY:
            self.history_changed.emit()

    def _attempt(self, change: Callable[[Case], Any]) -> bool:
        if self._case is None:
            return False
        try:
            change(self._case)
        except HemaviewError as error:
            self.message.emit("error", str(error))
            return False
        return True

    # Segmentation

    def _focus(self, box: BoxPrompt) -> int | None:
        geometry = self.state.geometry
        if geometry is None:
            return None
        try:
            slices = box.voxel_slices(geometry)[0]
        except PromptError:
            return None
        k = round(self.state.cursor[2])
        return k if slices.start <= k < slices.stop else None

    def _cancel_segmentation(self) -> None:
        if self._segmenting:
            self._number += 1
            self.inference.cancel()
            self._end_segmentation()

    def _end_segmentation(self) -> None:
        self._segmenting = False
        self._arrived.clear()
        self.state.end_preview()
        self.segmenting_changed.emit(False, 0, 0)

    def _on_slice(self, number: int, result: SliceResult) -> None:
        if number != self._number or not self._segmenting:
            return
        self._arrived.append(result)
        if self._timing.first is None:
            self._show_slices()
            self._timing = Timing(first=time.perf_counter() - self._began)
            self.timing_changed.emit(self._timing)
        elif not self._flush.isActive():
            self._flush.start()

    def _show_slices(self) -> None:
        """Show what has arrived, a few times per second: painting every slice would hold up the ones behind it."""
        arrived, self._arrived = self._arrived, []
        for result in arrived:
            self.state.add_preview(result)
        if arrived and self._segmenting:
            self.segmenting_changed.emit(True, arrived[-1].done, arrived[-1].total)

    def _on_segmented(self, number: int, segmentation: Segmentation) -> None:
        if number != self._number or not self._segmenting:
            return
        self._segmenting = False
        total = time.perf_counter() - self._began
        self._timing = Timing(self._timing.first if self._timing.first is not None else total, total)
        self._attempt(lambda case: case.set_segmentation(segmentation, scan_id=self._request_scan))
        self._end_segmentation()
        self.timing_changed.emit(self._timing)
        if not np.any(segmentation.probability > 0.5):
            self.message.emit(
                "warning", "Nothing was found in this box; draw it closer round the haematoma or paint with the brush."
            )
        elif segmentation.notes:
            self.message.emit("warning", segmentation.notes[0])

    def _on_segmenting_failed(self, number: int, sentence: str) -> None:
        if number == self._number:
            self._end_segmentation()
            self.message.emit("error", sentence)

    def _on_segmenting_cancelled(self, number: int) -> None:
        if number == self._number:
            self._end_segmentation()

    def _on_engine_ready(self, info: EngineInfo) -> None:
        self.engine = info
        self._engine_answered = True
        self.engine_changed.emit(info, "")
        self._segment_waiting()

    def _on_engine_failed(self, sentence: str) -> None:
        self._engine_answered = True
        self.engine_changed.emit(None, sentence)
        self.message.emit("error", sentence)
        self._segment_waiting()

    def _segment_waiting(self) -> None:
        """Segment the box that was put off until the model is loaded."""
        if self._engine_answered and self._when_ready is not None:
            box, self._when_ready = self._when_ready, None
            self.segment_box(box)

    # What follows from the mask

    def _derive(self) -> None:
        case = self._case
        if case is None or case.active_scan is None:
            return
        snapshot = case.snapshot()
        if snapshot.mask is None:
            self._forget_derived()
            return
        self._deriving = snapshot
        self.derived_started.emit()
        self._derived.submit(snapshot)

    def _forget_derived(self) -> None:
        self._deriving = None
        self._derived.cancel()
        self.state.set_tada(None)
        self.readings_changed.emit(None, None)
        self.mesh_changed.emit(None)

    def _on_readings(self, snapshot: Snapshot, readings: tuple[Reading, ...], tada: TadaMeasurement | None) -> None:
        if snapshot is self._deriving:
            self.state.set_tada(tada)
            self.readings_changed.emit(readings, tada)

    def _on_mesh(self, snapshot: Snapshot, mesh: Mesh | None) -> None:
        if snapshot is self._deriving:
            self._deriving = None
            self.mesh_changed.emit(mesh)

    def _on_derived_failed(self, snapshot: Snapshot, sentence: str) -> None:
        if snapshot is self._deriving:
            self._forget_derived()
            self.message.emit("error", sentence)

    def _on_outline(self, volume: Volume, outline: Mesh | None) -> None:
        if volume is self._shown:
            self._outlining = False
            self.head_changed.emit(outline)

    # Tasks

    def _run(self, task: Task) -> None:
        self._task = task
        self.task_changed.emit(task.label, 0.0)
        self._tasks.submit(task)

    def _on_task_progress(self, label: str, fraction: float) -> None:
        if self._task is not None and self._task.label == label:
            self.task_changed.emit(label, fraction)

    def _on_task_answered(self, task: Task, result: Any, sentence: str | None) -> None:
        if task is not self._task:
            if isinstance(result, Case):
                result.close()
            return
        self._task = None
        self.task_changed.emit("", 0.0)
        if sentence is None:
            task.then(result)
        elif task.otherwise is not None:
            task.otherwise(sentence)
        elif sentence:
            self.message.emit("error", sentence)
