"""One prompt at a time through the engine: streamed slices into the viewers, its timing, and the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from hemaview.case import ScanEntry
from hemaview.errors import PromptError
from hemaview.gui.inference_worker import EngineLoader, InferenceRequest, InferenceWorker
from hemaview.gui.view_state import ViewState
from hemaview.imaging import Geometry
from hemaview.segmentation.contract import BoxPrompt, EngineInfo, Prompt, Segmentation, SliceResult

_FLUSH_MS = 40

_LOOK_MS = 500
"""A slice on which the user stays this long is worth computing ahead for."""


@dataclass(frozen=True)
class Timing:
    """Seconds from the release of a box to the first slice on screen and to the whole mask (None: not yet)."""

    first: float | None = None
    total: float | None = None


class SegmentationRun(QObject):
    """``start`` ends in ``finished(scan_id, Segmentation)`` or ``failed(str)``, unless ``cancel`` comes first.

    ``progressed(running, done, total)`` and ``timing_changed(Timing)`` tell how far it is;
    ``engine_changed(EngineInfo | None, problem)`` whether there is a model.
    """

    finished = Signal(str, object)
    failed = Signal(str)
    progressed = Signal(bool, int, int)
    timing_changed = Signal(object)
    engine_changed = Signal(object, str)

    def __init__(
        self,
        loader: EngineLoader,
        state: ViewState,
        parent: QObject | None = None,
        *,
        fallback: EngineLoader | None = None,
    ) -> None:
        super().__init__(parent)
        self.engine: EngineInfo | None = None
        self.engine_answered = False
        self.running = False
        self._state = state
        self._number = 0
        self._scan_id = ""
        self._began = 0.0
        self._timing = Timing()
        self._arrived: list[SliceResult] = []
        self._flush = QTimer(self)
        self._flush.setSingleShot(True)
        self._flush.setInterval(_FLUSH_MS)
        self._flush.timeout.connect(self._show_slices)
        self.worker = InferenceWorker(loader, fallback, self)
        self.worker.engine_answered.connect(self._on_engine)
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(_LOOK_MS)
        self._look.timeout.connect(self._look_ahead)
        state.cursor_changed.connect(self._look.start)
        state.volume_changed.connect(self._look.start)
        self.worker.slice_ready.connect(self._on_slice)
        self.worker.done.connect(self._on_done)
        self.worker.failed.connect(self._on_failed)
        self.worker.cancelled.connect(self._on_cancelled)

    def start(self, scan: ScanEntry, prompt: Prompt) -> None:
        """Segment what ``prompt`` shows in the scan on display; a run under way is dropped."""
        if scan.model_input is None:
            return
        self.cancel()
        self._number += 1
        self._scan_id = scan.id
        self._began = time.perf_counter()
        self._timing = Timing()
        self.running = True
        self._state.begin_preview()
        self.progressed.emit(True, 0, 0)
        self.worker.submit(InferenceRequest(self._number, scan.model_input, prompt, self._focus(prompt)))

    def use_engine(self, loader: EngineLoader) -> None:
        """Load another engine; a run under way is dropped. ``engine_changed`` tells how it ended."""
        self.cancel()
        self.worker.use(loader)

    def cancel(self) -> None:
        """Drop the run under way, if any; its answer will be ignored."""
        if self.running:
            self._number += 1
            self.worker.cancel()
            self._end()

    def _look_ahead(self) -> None:
        volume = self._state.volume
        if volume is not None and not self.running and self.engine is not None:
            self.worker.look_at(volume, round(self._state.cursor[2]))

    def _focus(self, prompt: Prompt) -> int | None:
        """The slice k that the user looks at, when it lies in a box or there is none."""
        geometry = self._state.geometry
        if geometry is None:
            return None
        k = round(self._state.cursor[2])
        return k if not prompt.boxes or any(_holds(box, geometry, k) for box in prompt.boxes) else None

    def _end(self) -> None:
        self.running = False
        self._arrived.clear()
        self._state.end_preview()
        self.progressed.emit(False, 0, 0)

    def _on_slice(self, number: int, result: SliceResult) -> None:
        if number != self._number or not self.running:
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
            self._state.add_preview(result)
        if arrived and self.running:
            self.progressed.emit(True, arrived[-1].done, arrived[-1].total)

    def _on_done(self, number: int, segmentation: Segmentation) -> None:
        if number != self._number or not self.running:
            return
        total = time.perf_counter() - self._began
        self._timing = Timing(self._timing.first if self._timing.first is not None else total, total)
        self.running = False
        # The listener puts the mask into the case, which replaces the preview without a gap.
        self.finished.emit(self._scan_id, segmentation)
        self._end()
        self.timing_changed.emit(self._timing)

    def _on_failed(self, number: int, sentence: str) -> None:
        if number == self._number:
            self._end()
            self.failed.emit(sentence)

    def _on_cancelled(self, number: int) -> None:
        if number == self._number:
            self._end()

    def _on_engine(self, info: EngineInfo | None, problem: str) -> None:
        self.engine = info
        self.engine_answered = True
        self.engine_changed.emit(info, problem)


def _holds(box: BoxPrompt, geometry: Geometry, k: int) -> bool:
    try:
        slices = box.voxel_slices(geometry)[0]
    except PromptError:
        return False
    return bool(slices.start <= k < slices.stop)
