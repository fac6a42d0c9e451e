"""The one thread that owns the segmentation engine: loads it, changes it, answers the newest prompt."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from hemaview.errors import Cancelled, HemaviewError
from hemaview.gui.newest_wins import NewestWinsThread
from hemaview.imaging import Volume
from hemaview.segmentation.contract import CancelToken, Prompt, Segmenter, SliceResult

_log = logging.getLogger(__name__)

FALLBACK = "The bundled model answers instead."

_NO_MEMORY = "There is not enough memory for this box; close other programs or draw it smaller."
_NO_MEMORY_FOR_MODEL = "There is not enough memory for the model; close other programs, then draw the box."

EngineLoader = Callable[[], Segmenter]


@dataclass(frozen=True, eq=False)
class InferenceRequest:
    """A prompt to segment; ``focus`` is the slice k the user looks at. ``number`` tells the answers apart."""

    number: int
    volume: Volume
    prompt: Prompt
    focus: int | None


@dataclass(frozen=True, eq=False)
class Look:
    """The user looks at slice ``k`` of a scan and may ask about it next."""

    volume: Volume
    k: int


class InferenceWorker(NewestWinsThread["InferenceRequest | Look"]):
    """Answers ``submit`` by signals, each with the request's number.

    ``engine_answered(EngineInfo | None, problem)`` after the start and after each ``use``; then for each request
    ``slice_ready(int, SliceResult)`` as slices arrive, and exactly one of ``done(int, Segmentation)``,
    ``failed(int, str)`` and ``cancelled(int)``. A request replaced before it began gets no answer.
    """

    engine_answered = Signal(object, str)
    slice_ready = Signal(int, object)
    done = Signal(int, object)
    failed = Signal(int, str)
    cancelled = Signal(int)

    def __init__(
        self, loader: EngineLoader, fallback: EngineLoader | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("inference")
        self._loader = loader
        self._fallback = fallback
        self._engine: Segmenter | None = None

    def use(self, loader: EngineLoader) -> None:
        """Load another engine before the next request; the one in force goes on answering when that fails."""
        self._loader = loader
        self.prepare_again()

    def look_at(self, volume: Volume, k: int) -> None:
        """Let an engine that can make use of it compute ahead for slice ``k``, which the user looks at."""
        self.submit_spare(Look(volume, k))

    def prepare(self) -> None:
        """Load the engine; engines warm themselves. Without any, the fallback stands in for it."""
        engine: Segmenter | None
        try:
            engine, problem = self._load(self._loader), ""
        except HemaviewError as error:
            engine, problem = self._engine, str(error)
            if engine is None and self._fallback is not None:
                engine, problem = self._load_fallback(problem)
        self._engine = engine
        if not self._closing:
            self.engine_answered.emit(engine.info if engine is not None else None, problem)

    def process(self, job: InferenceRequest | Look, cancel: CancelToken) -> None:
        """Segment one prompt and stream its slices, or compute ahead."""
        if isinstance(job, Look):
            prefetch = getattr(self._engine, "prefetch", None)
            if prefetch is not None:
                prefetch(job.volume, job.k)
            return

        def on_slice(result: SliceResult) -> None:
            if not cancel.cancelled:
                self.slice_ready.emit(job.number, result)

        try:
            engine = self._engine
            if engine is None:
                # The first attempt failed; the user may have put the model back meanwhile.
                engine = self._engine = self._load(self._loader)
                self.engine_answered.emit(engine.info, "")
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

    def _load_fallback(self, problem: str) -> tuple[Segmenter | None, str]:
        assert self._fallback is not None
        try:
            return self._load(self._fallback), f"{problem} {FALLBACK}"
        except HemaviewError:
            return None, problem

    def _load(self, loader: EngineLoader) -> Segmenter:
        try:
            return loader()
        except HemaviewError:
            raise
        except MemoryError as error:
            raise HemaviewError(_NO_MEMORY_FOR_MODEL) from error
        except Exception as error:
            _log.exception("the engine could not be loaded")
            raise HemaviewError(
                f"The segmentation model could not be loaded ({type(error).__name__}); reinstall HEMAVIEW."
            ) from error
