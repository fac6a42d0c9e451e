"""From a click to a result: carries what the viewers ask for to the case and the workers, and the answers back.

The case is the truth. Every change goes to the case first (journalled), the case says what changed, and only then
the shared view state and the panels follow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from hemaview.case import Case, CaseChange, ChangeKind, Snapshot
from hemaview.errors import HemaviewError
from hemaview.gui.aligning import Aligning
from hemaview.gui.derivation import Derivation
from hemaview.gui.engine_choice import EngineChoice, EngineSource, keep_choice, read_choice
from hemaview.gui.opening import Opening
from hemaview.gui.preparing import Preparing
from hemaview.gui.prompt_flow import PromptFlow
from hemaview.gui.scan_memory import ScanMemory
from hemaview.gui.segmentation_run import SegmentationRun
from hemaview.gui.session import SessionMark
from hemaview.gui.slice_review import SliceReview
from hemaview.gui.task_thread import Report, Task, TaskQueue
from hemaview.gui.view_state import ViewState
from hemaview.imaging import Volume
from hemaview.imaging.sequence import Sequence as ScanKind
from hemaview.segmentation.contract import BoxPrompt, EngineInfo, Segmentation
from hemaview.surface import PrintReport
from hemaview.volumetry import Reading, TadaMeasurement

_log = logging.getLogger(__name__)

NOTHING_FOUND = "Nothing was found here; draw a box closer round the haematoma or paint with the brush."

CARRIED = "The mask lies here by {how}; it is for looking at and is not measured."
BY_COORDINATES = "patient coordinates alone, right only if the head did not move"
BY_ALIGNMENT = "the alignment of the scans, and is as right as that is"
SEEN_OTHERWISE = "The model now sees the scan as {}; segment it again (Ctrl+R), for the mask was made before."


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
        self, case_root: Path, engine_source: EngineSource, state: ViewState, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.state = state
        self.case_root = case_root
        self._case: Case | None = None
        self._disconnect: Callable[[], None] | None = None
        self._mark = SessionMark(case_root)
        self._memory = ScanMemory(state)
        self._shown: Volume | None = None
        self._when_ready: BoxPrompt | None = None
        self._wanted: EngineChoice | None = None

        self.engine_choice = read_choice(case_root)
        self._engine_source = engine_source
        bundled = partial(engine_source, EngineChoice()) if self.engine_choice != EngineChoice() else None
        self.segmentation = SegmentationRun(partial(engine_source, self.engine_choice), state, self, fallback=bundled)
        self.prompts = PromptFlow(self)
        self.opening = Opening(self)
        self.preparing = Preparing(self)
        self.aligning = Aligning(self)
        self.segmentation.finished.connect(self._on_segmented)
        self.segmentation.failed.connect(self._on_failed)
        self.segmentation.engine_changed.connect(self._on_engine)
        self.segmentation.progressed.connect(self.segmenting_changed)
        self.segmentation.timing_changed.connect(self.timing_changed)
        self._derivation = Derivation(self)
        self._derivation.started.connect(self.derived_started)
        self._derivation.readings_changed.connect(self._on_readings)
        self._derivation.mesh_changed.connect(self.mesh_changed)
        self._derivation.head_changed.connect(self.head_changed)
        self._derivation.failed.connect(self._on_failed)
        self.tasks = TaskQueue(self)
        self.tasks.changed.connect(self.task_changed)
        self.tasks.failed.connect(self._on_failed)
        self.tasks.dropped.connect(_close_if_case)

    # Looking

    @property
    def case(self) -> Case | None:
        """The open case."""
        return self._case

    @property
    def is_busy(self) -> bool:
        """Whether a task, a segmentation or a computation is still under way."""
        waiting = self._when_ready is not None
        return waiting or self.is_waited_for or self._derivation.is_busy

    @property
    def is_waited_for(self) -> bool:
        """Whether something runs that ``cancel`` would stop."""
        return self.segmentation.running or self.tasks.is_busy

    @property
    def engine(self) -> EngineInfo | None:
        """The loaded model, if any."""
        return self.segmentation.engine

    def start_engine(self) -> None:
        """Begin to load the model; called after the window is on the screen."""
        self.segmentation.worker.start()

    def use_engine(self, name: str, adapter: Path | None = None) -> None:
        """Load another model in the background and remember it once it answers.

        ``engine_changed(EngineInfo | None, problem)`` tells how it ended; the model in force goes on answering when
        the other cannot be loaded.
        """
        self._wanted = EngineChoice(name, adapter)
        self.segmentation.use_engine(partial(self._engine_source, self._wanted))

    # Showing

    def close_case(self) -> None:
        """Close the case and show the start page."""
        self._release_case()
        self._show_nothing()

    def activate_scan(self, scan_id: str) -> None:
        """Show another scan of the case."""
        if self._case is not None and self._case.active_scan is not None and self._case.active_scan.id != scan_id:
            self.segmentation.cancel()
            self.attempt(lambda case: case.set_active_scan(scan_id))

    def set_sequence(self, scan_id: str, sequence: ScanKind | None) -> None:
        """Say what kind of scan one of the case's is; None goes back to the guess."""
        # What runs was asked with the pixels prepared for the other kind.
        self.segmentation.cancel()
        if self.attempt(lambda case: case.set_sequence(scan_id, sequence)) and self._case is not None:
            made, scan = self._case.segmentation, self._case.active_scan
            if made is not None and scan is not None and made.modality not in (None, scan.modality):
                self.message.emit("info", SEEN_OTHERWISE.format(scan.modality))

    # Prompting and editing

    def carry_mask(self, from_scan: str) -> None:
        """Lay the mask of another scan on the one on display, to look at."""
        scan = self._case.active_scan if self._case is not None else None
        if scan is None:
            return
        self.segmentation.cancel()
        if self.attempt(lambda case: case.carry_mask(from_scan, scan.id)):
            aligned = self._case is not None and self._case.carried_aligned
            self.message.emit("info", CARRIED.format(how=BY_ALIGNMENT if aligned else BY_COORDINATES))

    def undo(self) -> None:
        """Take the last step back, or stop the segmentation under way together with its box."""
        self.segmentation.cancel()
        self.attempt(lambda case: case.undo())

    def redo(self) -> None:
        """Do the last undone step again."""
        self.segmentation.cancel()
        self.attempt(lambda case: case.redo())

    def cancel(self) -> None:
        """Stop what the user waits for."""
        if self.tasks.is_busy:
            self.tasks.cancel()
        elif self.segmentation.running:
            self.segmentation.cancel()
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
            elif isinstance(result, tuple) and result:
                self.message.emit("warning", f"Saved {path.name}. {' '.join(result)}")
            else:
                self.message.emit("info", f"Saved {path.name} in {path.parent}.")

        self.tasks.run(Task(label, lambda report: write(snapshot), written))

    def import_mask(self, path: Path) -> None:
        """Replace the mask by one from a file on the same grid; can be undone."""
        geometry = self.state.geometry
        if self._case is None or geometry is None:
            return

        def work(report: Report) -> Any:
            from hemaview.imaging.reading import read_label_map

            return read_label_map(path, geometry)

        def read(mask: Any) -> None:
            self.segmentation.cancel()
            self.attempt(lambda case: case.replace_mask(mask))

        self.tasks.run(Task(f"Reading {path.name}", work, read))

    def close(self) -> None:
        """Stop every worker, wait for it, and give the case free."""
        self.segmentation.cancel()
        self.segmentation.worker.close()
        self._derivation.close()
        self.tasks.close()
        self._release_case()

    # The case

    def show_case(self, case: Case) -> None:
        """Show another case instead of the one that is open."""
        self._release_case()
        self._case = case
        self._shown = None
        self._memory.forget()
        self._disconnect = case.changed.connect(self._on_case_change)
        self._mark.set(case.directory)
        self.case_changed.emit()
        self.scans_changed.emit()
        self.history_changed.emit()
        self._show_scan()

    def _release_case(self) -> None:
        self._when_ready = None
        self.segmentation.cancel()
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
        self._derivation.measure(None)
        self._derivation.outline(None)
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
            self._shown = scan.volume
            stays = self._memory.show(scan.id, scan.volume, case.alignment)
            self._derivation.outline(scan.volume)
            if not stays:
                self._go_to_mask(case)
        if scan.volume is not None:
            self.state.set_picture(scan.picture)
            self.preparing.carry_out(scan)
            self.show_mask()
            self.state.set_prompt(case.prompt)
            self._review()
        self._derivation.measure(case.snapshot())

    def show_mask(self) -> None:
        """Show the active scan's mask as the case has it."""
        case = self._case
        carried = case is not None and case.carried_from is not None
        self.state.set_mask(None if case is None else case.mask, "carried mask: not measured" if carried else "")

    def _go_to_mask(self, case: Case) -> None:
        bounds = None if case.mask is None else case.mask.bounds()
        if self._shown is not None and bounds is not None:
            k, j, i = ((s.start + s.stop - 1) / 2 for s in bounds)
            self.state.set_cursor(np.round((i, j, k)))

    def _on_case_change(self, change: CaseChange) -> None:
        case = self._case
        if case is None:
            return
        if change.kind is ChangeKind.SCAN:
            self.scans_changed.emit()
            self._show_scan()
        elif change.kind is ChangeKind.PROMPT and self._shown is not None:
            self.state.set_prompt(case.prompt)
        elif change.kind is ChangeKind.MASK and self._shown is not None:
            self.show_mask()
            self._review()
            self._derivation.measure(case.snapshot())
        elif change.kind is ChangeKind.REVIEW and self._shown is not None:
            self._review()
        elif change.kind is ChangeKind.HISTORY:
            self.history_changed.emit()

    def _review(self) -> None:
        case, volume = self._case, self._shown
        if case is None or volume is None or case.mask is None:
            self.state.set_review(None)
        else:
            made = case.segmentation
            self.state.set_review(SliceReview.of(volume.geometry.shape[0], made, case.edited_slices))

    def attempt(self, change: Callable[[Case], Any]) -> bool:
        """Change the case; a refusal becomes a message. Returns whether it was done."""
        if self._case is None:
            return False
        try:
            change(self._case)
        except HemaviewError as error:
            self.message.emit("error", str(error))
            return False
        return True

    # Answers

    def _on_segmented(self, scan_id: str, segmentation: Segmentation) -> None:
        text = self.prompts.step_text
        if not self.attempt(lambda case: case.set_segmentation(segmentation, scan_id=scan_id, text=text)):
            return
        if not np.any(segmentation.probability > 0.5):
            self.message.emit("warning", NOTHING_FOUND)
        elif segmentation.notes:
            self.message.emit("warning", segmentation.notes[0])

    def _on_failed(self, sentence: str) -> None:
        self.message.emit("error", sentence)

    def _on_engine(self, info: EngineInfo | None, problem: str) -> None:
        if self._wanted is not None and not problem:
            self.engine_choice = self._wanted
            keep_choice(self.case_root, self.engine_choice)
        self._wanted = None
        self.engine_changed.emit(info, problem)
        if problem:
            self.message.emit("error", problem)
        self._segment_waiting()

    def segment_when_ready(self, box: BoxPrompt) -> None:
        """Segment a box now, or as soon as the model is loaded."""
        self._when_ready = box
        self._segment_waiting()

    def _segment_waiting(self) -> None:
        """Segment the box that was put off until the model is loaded."""
        if self.segmentation.engine_answered and self._when_ready is not None:
            box, self._when_ready = self._when_ready, None
            self.prompts.segment_box(box)

    def _on_readings(self, readings: tuple[Reading, ...] | None, tada: TadaMeasurement | None) -> None:
        self.state.set_tada(tada)
        self.readings_changed.emit(readings, tada)


def _close_if_case(result: object) -> None:
    """A case opened after the user had already cancelled must not stay locked."""
    if isinstance(result, Case):
        result.close()
