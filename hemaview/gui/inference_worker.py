"""The one thread that owns the segmentation engine: loads it, warms it, answers the newest box."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QObject, Signal

from hemaview.errors import Cancelled, HemaviewError
from hemaview.gui.newest_wins import NewestWinsThread
from hemaview.imaging import Geometry, Volume
from hemaview.segmentation.contract import BoxPrompt, CancelToken, Segmenter, SliceResult

_log = logging.getLogger(__name__)

_NO_MEMORY = "There is not enough memory for this box; close other programs or draw it smaller."

EngineLoader = Callable[[], Segmenter]


@dataclass(frozen=True, eq=False)
class InferenceRequest:
    """A box to segment; ``focus`` is the slice k the user looks at. ``number`` tells the answers apart."""

    number: int
    volume: Volume
    prompt: BoxPrompt
    focus: int | None


class InferenceWorker(NewestWinsThread[InferenceRequest]):
    """Answers ``submit`` by signals, each with the request's number.

    ``engine_ready(EngineInfo)`` or ``engine_failed(str)`` once after the start; then for each request
    ``slice_ready(int, SliceResult)`` as slices arrive, and exactly one of ``done(int, Segmentation)``,
    ``failed(int, str)`` and ``cancelled(int)``. A request replaced before it began gets no answer.
    """

    engine_ready = Signal(object)
    engine_failed = Signal(str)
    slice_ready = Signal(int, object)
    done = Signal(int, object)
    failed = Signal(int, str)
    cancelled = Signal(int)

    def __init__(self, loader: EngineLoader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("inference")
        self._loader = loader
        self._engine: Segmenter | None = None

    def prepare(self) -> None:
        """Load the engine and run it once on a small phantom, so that the first box is answered at full speed."""
        try:
            engine = self._load()
        except HemaviewError as error:
            self.engine_failed.emit(str(error))
            return
        if self._closing:
            return
        try:
            volume, prompt = _warm_up_case()
            engine.segment(volume, prompt)
        except HemaviewError as error:
            _log.info("warm-up of the engine: %s", error)
        except Exception:
            _log.exception("warm-up of the engine failed")
        self.engine_ready.emit(engine.info)

    def process(self, job: InferenceRequest, cancel: CancelToken) -> None:
        """Segment one box and stream its slices."""

        def on_slice(result: SliceResult) -> None:
            if not cancel.cancelled:
                self.slice_ready.emit(job.number, result)

        try:
            engine = self._engine
            if engine is None:
                # The first attempt failed; the user may have put the model back meanwhile.
                engine = self._load()
                self.engine_ready.emit(engine.info)
            answer = engine.segment(job.volume, job.prompt, focus=job.focus, on_slice=on_slice, cancel=cancel)
            cancel.raise_if_cancelled()
        except Cancelled:
            self.cancelled.emit(job.number)
        except HemaviewError as error:
            self.failed.emit(job.number, str(error))
        except MemoryError:
            self.failed.emit(job.number, _NO_MEMORY)
        except Exception as error:
            _log.exception("the engine failed")
            kind = type(error).__name__
            self.failed.emit(job.number, f"The segmentation stopped unexpectedly ({kind}); draw the box again.")
        else:
            self.done.emit(job.number, answer)

    def _load(self) -> Segmenter:
        try:
            self._engine = self._loader()
        except HemaviewError:
            raise
        except Exception as error:
            _log.exception("the engine could not be loaded")
            raise HemaviewError(
                f"The segmentation model could not be loaded ({type(error).__name__}); reinstall HEMAVIEW."
            ) from error
        return self._engine


def _warm_up_case() -> tuple[Volume, BoxPrompt]:
    """A bright ball in a dark cube, small enough to be answered in a fraction of a second."""
    n = 16
    axis = np.arange(n) - (n - 1) / 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    array = (100 * (distance < n / 4) + 50 * (distance < n / 2)).astype(np.float32)
    geometry = Geometry((n, n, n), (2.0, 2.0, 2.0))
    half = math.ceil(n / 4)
    low, high = n / 2 - half - 0.5, n / 2 + half - 0.5
    return Volume(array, geometry), BoxPrompt.from_index_bounds(geometry, (low,) * 3, (high,) * 3)
