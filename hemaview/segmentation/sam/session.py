"""MedSAM as the slice model of a guided run: one scan, opened once, its embeddings kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hemaview.errors import Cancelled
from hemaview.imaging import Volume
from hemaview.imaging.windowing import CT_AUTO_WINDOW, Window
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer
from hemaview.segmentation.guided.components import near_rectangle
from hemaview.segmentation.guided.protocols import Check, Rectangle, SliceAnswer, SliceQuestion, Window2D
from hemaview.segmentation.sam.embedding_cache import EmbeddingCache, EmbeddingKey, scan_fingerprint
from hemaview.segmentation.sam.network import Encoding, SamNetwork
from hemaview.segmentation.sam.pixels import inclusive_box, scale_boxes, scale_points, slice_probability
from hemaview.segmentation.sam.prefetching import Prefetcher
from hemaview.segmentation.sam.preprocessing import GreyScale, SliceResizer, network_input
from hemaview.segmentation.sam.stopping import stoppable

_AXIS = 2
"""Slices lie across the scan's k axis."""
_MOST_STARTED = 2
_POINTS_NOTE = "MedSAM was trained with boxes only; look closely at what it made of the points."


class SamModel:
    """Opens scans for MedSAM. ``model_hash`` tells weights (with a merged adapter) apart in the cache.

    ``window`` is used for CT; ``fixed_window`` is for models that were trained so (see ``GreyScale.of``).
    """

    def __init__(
        self,
        network: SamNetwork,
        model_hash: str,
        cache: EmbeddingCache,
        *,
        window: Window = CT_AUTO_WINDOW,
        fixed_window: bool = False,
    ) -> None:
        self.network = network
        self.model_hash = model_hash
        self.cache = cache
        self.window = window
        self.fixed_window = fixed_window
        self._session: SamSession | None = None

    def open(self, volume: Volume) -> SamSession:
        """The session of a scan, the same one while the same ``Volume`` comes back."""
        if self._session is None or self._session.volume is not volume:
            if self._session is not None:
                self._session.prefetch(())
            self._session = SamSession(self, volume)
        return self._session


class SamSession:
    """Answers rectangles on one scan's slices; see ``SliceSession``."""

    def __init__(self, model: SamModel, volume: Volume) -> None:
        self.volume = volume
        self._model = model
        self._network = model.network
        self._started: OrderedDict[int, Encoding] = OrderedDict()
        self._prefetcher = Prefetcher(self._compute_ahead)
        self._notes: list[str] = []

    @property
    def batch(self) -> int:
        """How many slices go through the network together: one on a CPU."""
        return self._network.batch

    def answer(
        self, questions: Sequence[SliceQuestion], window: Window2D, hint: CoarseAnswer | None, check: Check
    ) -> list[SliceAnswer]:
        """See ``SliceSession.answer``. ``hint`` is not used: MedSAM was trained without mask prompts.

        A slice without contrast is answered with zeros and a note.
        """
        try:
            with self._prefetcher.held_off(), stoppable(check):
                check()
                logits = self._logits(questions, check)
            answers = []
            for question, drawn in zip(questions, logits, strict=True):
                check()
                answers.append(self._on_window(question, drawn, window))
            return answers
        except Cancelled:
            self._prefetcher.ask(())
            raise

    def prefetch(self, slices: Sequence[int]) -> None:
        """Compute these slices' embeddings in the background; no slice stops what runs there."""
        depth = self.volume.array.shape[0]
        wanted = [k for k in dict.fromkeys(slices) if 0 <= k < depth]
        self._prefetcher.ask(wanted)

    def wait_for_prefetch(self, seconds: float) -> bool:
        """Wait until everything asked for is computed; False when it takes longer."""
        return self._prefetcher.wait(seconds)

    def take_notes(self) -> tuple[str, ...]:
        """What the user should know about the answers since the last call, as sentences."""
        notes = dict.fromkeys([*self._notes, *self._network.take_notes()])
        self._notes.clear()
        return tuple(notes)

    def _logits(self, questions: Sequence[SliceQuestion], check: Check) -> list[Tensor | None]:
        """The decoder's answers (1, 4 h, 4 w) in the questions' order; None on a slice without contrast."""
        self._check_precision(questions, check)
        embeddings = self._embeddings([question.k for question in questions], check)
        found: list[Tensor | None] = [None] * len(questions)
        asked = [(n, question, e) for n, question in enumerate(questions) if (e := embeddings[question.k]) is not None]
        logits = self._network.decode(
            [embedding for _, _, embedding in asked],
            [self._box(question.rectangle) for _, question, _ in asked],
            [self._points(question) for _, question, _ in asked],
            check,
        )
        for (n, _, _), drawn in zip(asked, logits, strict=True):
            found[n] = drawn
        return found

    def _embeddings(self, slices: Sequence[int], check: Check) -> dict[int, Tensor | None]:
        """Embeddings of slices, from the cache where it has them; None for a slice without contrast."""
        found: dict[int, Tensor | None] = {}
        missing: dict[int, Encoding] = {}
        for k in dict.fromkeys(slices):
            check()
            found[k] = self._model.cache.get(self._key(k))
            if found[k] is None and (encoding := self._encoding(k)) is not None:
                missing[k] = encoding
        for k, embedding in zip(missing, self._network.encode(list(missing.values()), check), strict=True):
            self._model.cache.put(self._key(k), embedding)
            self._started.pop(k, None)
            found[k] = embedding
        return found

    def _encoding(self, k: int) -> Encoding | None:
        """The encoding of a slice, as far as it has come; None for a slice without contrast."""
        if k not in self._started:
            picture = self._picture(k)
            if picture is None:
                self._notes.append(f"Slice {k + 1} holds a single grey value, so nothing was drawn on it.")
                return None
            self._started[k] = self._network.start(picture)
            while len(self._started) > max(_MOST_STARTED, self.batch):
                self._started.popitem(last=False)
        return self._started[k]

    def _picture(self, k: int) -> NDArray[np.float32] | None:
        scale = self._scale
        return network_input(scale.apply(self.volume.array[k]), self._resizer, fixed=scale.fixed)

    def _compute_ahead(self, k: int, check: Check) -> None:
        """One slice in the background."""
        check()
        with stoppable(check):
            if self._key(k) in self._model.cache:
                return
            notes = len(self._notes)
            self._embeddings([k], check)
            # Nobody asked about this slice yet.
            del self._notes[notes:]

    def _check_precision(self, questions: Sequence[SliceQuestion], check: Check) -> None:
        if questions and self._network.precision_is_open:
            picture = self._picture(questions[0].k)
            if picture is not None:
                self._network.check_precision(picture, self._box(questions[0].rectangle), check)

    def _box(self, rectangle: Rectangle) -> Tensor:
        _, rows, columns = self.volume.array.shape
        return scale_boxes([inclusive_box(rectangle)], columns, rows, self._network.size)[0]

    def _points(self, question: SliceQuestion) -> tuple[Tensor, Tensor]:
        """Coordinates (N, 2) on the network's square and labels (N,): 1 lesion, 0 not."""
        if question.points and _POINTS_NOTE not in self._notes:
            self._notes.append(_POINTS_NOTE)
        _, rows, columns = self.volume.array.shape
        where = scale_points([(i, j) for i, j, _ in question.points], columns, rows, self._network.size)
        return where, torch.tensor([float(positive) for _, _, positive in question.points])

    def _on_window(self, question: SliceQuestion, logits: Tensor | None, window: Window2D) -> SliceAnswer:
        shape = window[0].stop - window[0].start, window[1].stop - window[1].start
        if logits is None:
            return SliceAnswer(question.k, np.zeros(shape, dtype=np.float32), 0.0)
        with torch.inference_mode():
            whole = slice_probability(logits[None], *self.volume.array.shape[1:])[0].numpy()
        # MedSAM itself keeps to no rectangle: what lies beside it is another object.
        near = near_rectangle(whole[window], question.rectangle, window, 0.0)
        return SliceAnswer(question.k, near, _expected_iou(near))

    def _key(self, k: int) -> EmbeddingKey:
        return EmbeddingKey(self._fingerprint, _AXIS, k, self._model.model_hash, repr(self._scale))

    @cached_property
    def _fingerprint(self) -> str:
        return scan_fingerprint(self.volume)

    @cached_property
    def _scale(self) -> GreyScale:
        return GreyScale.of(self.volume, self._model.window, fixed_window=self._model.fixed_window)

    @cached_property
    def _resizer(self) -> SliceResizer:
        _, rows, columns = self.volume.array.shape
        return SliceResizer(rows, columns, self._network.size)


def _expected_iou(probability: NDArray[np.float32]) -> float:
    """The IoU of the mask with the truth that the probabilities themselves let expect.

    MedSAM's own estimate is not used: nothing in its training keeps it right.
    """
    mask = probability > 0.5
    union = np.count_nonzero(mask) + float(probability[~mask].sum(dtype=np.float64))
    return float(probability[mask].sum(dtype=np.float64) / union) if union > 0 else 0.0
