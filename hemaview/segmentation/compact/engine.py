"""The bundled engine: one box in, coarse in 3D, fine in 2D, slice by slice outwards from where the user looks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hemaview.errors import PromptError
from hemaview.imaging import Volume
from hemaview.segmentation.compact.components import (
    Rectangle,
    keep_lesion,
    reach_box,
    reaches_box,
    slice_rectangles,
)
from hemaview.segmentation.compact.depth import find_extent
from hemaview.segmentation.compact.frame import Box, Frame
from hemaview.segmentation.compact.networks import FineAnswer, FineQuestion, Networks
from hemaview.segmentation.compact.weights import load_coarse, load_fine
from hemaview.segmentation.contract import (
    BoxPrompt,
    CancelToken,
    EngineInfo,
    OnSlice,
    Prompt,
    Segmentation,
    SliceResult,
)
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer
from hemaview.segmentation.registry import ModelRecord

MOST_THREADS = 4
"""More cores than this do not make such small networks faster."""
_BATCH = 4
"""Questions per pass of the fine network: few enough that slices stream evenly."""
_LEAST_FILL = 0.03
"""An answer that fills less than this share of the box is not believed: lesions fill at least a tenth of theirs."""
_NOTHING_COARSE = (
    "The model was unsure where in the box the haematoma is; every slice was drawn on its own, please check each one."
)
_NOTHING_AT_ALL = "Nothing that stands out was found in the box; draw it closer round the haematoma or use the brush."
_DEPTH_UNKNOWN = "The depth could not be found from one slice; adjust the box in another view."
_DEPTH_LIMIT = "The depth reached its limit; check the first and last slice and adjust the box in another view."


class CompactSegmenter:
    """The compact model; build it with ``load_engine("compact")``."""

    def __init__(self, info: EngineInfo, networks: Networks) -> None:
        self._info = info
        self._networks = networks

    @classmethod
    def from_record(cls, record: ModelRecord, *, threads: int | None = None) -> CompactSegmenter:
        """Load and warm up both networks; ``ModelError`` for a missing, altered or unfitting file.

        ``threads`` defaults to what torch would take, at most four.
        """
        count = threads or min(torch.get_num_threads(), MOST_THREADS)
        networks = Networks(load_coarse(record), load_fine(record), count)
        info = EngineInfo(
            name=record.name,
            title=record.title,
            device="CPU" if count == 1 else f"CPU, {count} threads",
            sha256=record.fingerprint,
            trained_on=record.trained_on,
            licence=record.licence,
        )
        engine = cls(info, networks)
        engine.warm_up()
        return engine

    @property
    def info(self) -> EngineInfo:
        """Name, device, hash and origin of the model."""
        return self._info

    def warm_up(self) -> None:
        """Run both networks once, so that the first box does not pay for torch's own preparations."""
        frame = Frame(np.zeros((4, 16, 16), dtype=np.float32), False, (1.0, 1.0, 1.0))
        box = Box((0.5, 3.5, 3.5), (2.5, 11.5, 11.5))
        window = (slice(0, 16), slice(0, 16))
        with self._networks.cancellable(None):
            answer = self._networks.coarse(frame, box)
            for count in (1, _BATCH):
                self._networks.fine(frame, [FineQuestion(1, box.rectangle)] * count, window, answer)

    def segment_slice(self, volume: Volume, k: int, box_xyxy: Rectangle) -> NDArray[np.float32]:
        """Probability float32 ``[j, i]`` of slice ``k`` from a rectangle on that slice alone.

        ``box_xyxy`` holds its faces i0, j0, i1, j1 in voxel units (voxel n covers n - 0.5 to n + 0.5). Raises
        ``PromptError`` for a rectangle outside the scan, without area or over a single grey value.
        """
        i0, j0, i1, j1 = box_xyxy
        prompt = BoxPrompt.from_index_bounds(volume.geometry, (i0, j0, k - 0.5), (i1, j1, k + 0.5))
        box = Box.of(prompt, volume)
        depth, rows, columns = box.region(volume.array.shape)
        with self._networks.cancellable(None):
            answer = self._networks.fine(Frame.of(volume), [FineQuestion(k, box.rectangle)], (rows, columns))[0]
        probability = np.zeros(volume.array.shape[1:], dtype=np.float32)
        inside = box.within((depth, rows, columns))[1:]
        probability[rows, columns] = reach_box(answer.probability, *box.sides, inside)
        return probability

    def segment(
        self,
        volume: Volume,
        prompt: BoxPrompt | Prompt,
        *,
        focus: int | None = None,
        on_slice: OnSlice | None = None,
        cancel: CancelToken | None = None,
    ) -> Segmentation:
        """Segment what the box holds; see ``Segmenter.segment``."""
        started = time.perf_counter()
        drawn = Prompt.of(prompt).box
        if drawn is None:
            raise PromptError("There is no box; draw one round the haematoma.")
        box = Box.of(drawn, volume)
        with self._networks.cancellable(cancel):
            job = _Job(self._networks, volume, box, focus, on_slice, started)
            return job.run(drawn, self._info)


class _Job:
    """One call of ``segment``: what is known so far about one box."""

    def __init__(
        self,
        networks: Networks,
        volume: Volume,
        box: Box,
        focus: int | None,
        on_slice: OnSlice | None,
        started: float,
    ) -> None:
        self._networks = networks
        self._volume = volume
        self._frame = Frame.of(volume)
        self._drawn = box
        self._focus = _nearest(box.slices, focus)
        self._on_slice = on_slice
        self._started = started
        self._seconds_first = 0.0
        self._notes: list[str] = []

    def run(self, prompt: BoxPrompt, info: EngineInfo) -> Segmentation:
        """The whole chain."""
        self._answer_focus()
        box = self._close_depth()
        region = box.region(self._frame.shape)
        inside = box.within(region)
        drawn = self._draw_with_coarse(box, region, inside) if len(box.slices) > 1 else None
        probability, confidence = drawn or self._draw_plain(box, region)
        drawn_one_by_one = probability
        probability = keep_lesion(reach_box(keep_lesion(probability, inside), *box.sides, inside), inside)
        self._stream_changes(drawn_one_by_one, probability, region)
        if not np.any(probability > 0.5):
            self._notes.append(_NOTHING_AT_ALL)
        confidence[~(probability > 0.5).any(axis=(1, 2))] = np.nan
        return Segmentation(
            probability=probability,
            region=region,
            geometry=self._volume.geometry,
            prompt=Prompt.of(prompt if prompt.open_axis is None else box.prompt(self._volume.geometry)),
            engine=info,
            slice_confidence=confidence,
            seconds_first=self._seconds_first,
            seconds_total=time.perf_counter() - self._started,
            notes=tuple(self._notes),
        )

    def _answer_focus(self) -> None:
        """The focus slice from the drawn box alone, at once; it is refined when its neighbours are known."""
        slices, rows, columns = self._drawn.region(self._frame.shape)
        question = FineQuestion(self._focus, self._drawn.rectangle)
        answer = self._networks.fine(self._frame, [question], (rows, columns))[0]
        picture = reach_box(answer.probability, *self._drawn.sides, self._drawn.within((slices, rows, columns))[1:])
        self._seconds_first = time.perf_counter() - self._started
        if self._on_slice is not None:
            total = slices.stop - slices.start
            self._on_slice(SliceResult(self._focus, rows.start, columns.start, picture, 1, total))
        self._networks.check()

    def _close_depth(self) -> Box:
        """The drawn box, its depth searched where the user left it open."""
        axis = self._drawn.open_axis
        if axis is None:
            return self._drawn
        middle = (self._drawn.lower[axis] + self._drawn.upper[axis]) / 2
        extent = find_extent(
            lambda box: self._networks.coarse(self._frame, box),
            self._drawn,
            float(self._focus) if axis == 0 else middle,
            self._frame.shape,
            np.array(self._frame.spacing[::-1]),
        )
        if not extent.found:
            self._notes.append(_DEPTH_UNKNOWN)
        elif extent.reached_limit:
            self._notes.append(_DEPTH_LIMIT)
        return self._drawn.with_depth(axis, extent.lower, extent.upper).closed()

    def _draw_with_coarse(
        self, box: Box, region: tuple[slice, slice, slice], inside: tuple[slice, slice, slice]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Coarse, then fine; None where the answer fills too little of the box to be believed."""
        coarse = self._networks.coarse(self._frame, box)
        self._networks.check()
        hint = coarse.probability(region)
        if _fills(hint, inside):
            probability, confidence = self._draw(region, self._rectangles(hint, region), coarse)
            if _fills(probability, inside) and reaches_box(probability[inside[0]], *box.sides):
                return probability, confidence
        self._notes.append(_NOTHING_COARSE)
        return None

    def _draw_plain(
        self, box: Box, region: tuple[slice, slice, slice]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Every slice of the box on its own, from the box's rectangle: all there is to go by on a single slice."""
        return self._draw(region, {k: [box.rectangle] for k in box.slices})

    def _stream_changes(
        self, before: NDArray[np.float32], after: NDArray[np.float32], region: tuple[slice, slice, slice]
    ) -> None:
        """Stream the slices again that look different now that the whole lesion is known."""
        if self._on_slice is None:
            return
        total = len(after)
        for number in np.flatnonzero(((before > 0.5) != (after > 0.5)).any(axis=(1, 2))):
            k, row, column = region[0].start + int(number), region[1].start, region[2].start
            self._on_slice(SliceResult(k, row, column, after[number].copy(), total, total))

    def _rectangles(self, hint: NDArray[np.float32], region: tuple[slice, slice, slice]) -> dict[int, list[Rectangle]]:
        """For every slice of the region the rectangles round what the coarse network found there."""
        row, column = region[1].start, region[2].start
        found = {}
        for number, picture in enumerate(hint):
            pieces = slice_rectangles(picture > 0.5)
            if pieces:
                found[region[0].start + number] = [
                    (i0 + column, j0 + row, i1 + column, j1 + row) for i0, j0, i1, j1 in pieces
                ]
        return found

    def _draw(
        self,
        region: tuple[slice, slice, slice],
        rectangles: dict[int, list[Rectangle]],
        coarse: CoarseAnswer | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probability of the region and confidence per slice; streams every slice outwards from the focus."""
        first, window = region[0].start, (region[1], region[2])
        probability = np.zeros([part.stop - part.start for part in region], dtype=np.float32)
        confidence = np.full(len(probability), np.nan, dtype=np.float32)
        order = sorted(range(region[0].start, region[0].stop), key=lambda k: (abs(k - self._focus), k))
        done = 0
        for slices in _batches(order, rectangles):
            questions = [FineQuestion(k, rectangle) for k in slices for rectangle in rectangles.get(k, ())]
            answers = self._networks.fine(self._frame, questions, window, coarse) if questions else []
            for k in slices:
                piece_answers = [a for a in answers if a.k == k]
                probability[k - first], confidence[k - first] = _merge(piece_answers, probability.shape[1:])
                done += 1
                if self._on_slice is not None:
                    shown = probability[k - first].copy()
                    self._on_slice(SliceResult(k, window[0].start, window[1].start, shown, done, len(order)))
                self._networks.check()
        return probability, confidence


def _merge(answers: Sequence[FineAnswer], shape: tuple[int, ...]) -> tuple[NDArray[np.float32], float]:
    """All pieces of one slice: the larger probability, and the confidence weighted by area."""
    if not answers:
        return np.zeros(shape, dtype=np.float32), float("nan")
    picture = np.maximum.reduce([a.probability for a in answers])
    areas = np.array([max(1, np.count_nonzero(a.probability > 0.5)) for a in answers])
    return picture, float(np.average([a.confidence for a in answers], weights=areas))


def _batches(order: Sequence[int], rectangles: dict[int, list[Rectangle]]) -> Iterator[list[int]]:
    """Slices in ``order``, cut so that each run asks about ``_BATCH`` questions."""
    batch: list[int] = []
    count = 0
    for k in order:
        batch.append(k)
        count += len(rectangles.get(k, ()))
        if count >= _BATCH:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch


def _fills(probability: NDArray[np.float32], inside: tuple[slice, slice, slice]) -> bool:
    """Whether an answer fills enough of its box to be believed."""
    held = probability[inside]
    return bool(np.count_nonzero(held > 0.5) >= _LEAST_FILL * held.size)


def _nearest(slices: range, focus: int | None) -> int:
    middle = (slices.start + slices.stop - 1) // 2
    return middle if focus is None else min(max(focus, slices.start), slices.stop - 1)
