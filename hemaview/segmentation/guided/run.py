"""One call of a guided engine: coarse in 3D, then slice by slice outwards from where the user looks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import Geometry
from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.contract import BoxPrompt, EngineInfo, OnSlice, Prompt, Segmentation
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.canvas import Canvas, Region
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer, likeness
from hemaview.segmentation.guided.coarse_guide import CoarseGuide
from hemaview.segmentation.guided.components import (
    clipped,
    faces_of,
    keep_lesion,
    near_rectangle,
    reach_box,
    reaches_box,
    slice_rectangles,
)
from hemaview.segmentation.guided.corrections import correct_coarse, correct_probability
from hemaview.segmentation.guided.depth import find_extent
from hemaview.segmentation.guided.drift import judge
from hemaview.segmentation.guided.plan import Marks, Piece, Plan, evidence_of, refuse_flat
from hemaview.segmentation.guided.protocols import Check, Rectangle, SliceAnswer, SliceQuestion, SliceSession
from hemaview.segmentation.guided.remarks import named, remarks
from hemaview.segmentation.guided.seek import find_box

Drawn = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Probability of a piece's region and confidence per slice."""

_FAINT = float(1 / (1 + np.exp(8)))
"""Probability of what lies outside a rectangle: a logit of -8."""
_LEAST_FILL = 0.03
"""An answer that fills less than this share of the box is not believed: lesions fill at least a tenth of theirs."""
_NOTHING_COARSE = (
    "The model was unsure where in the box the haematoma is; every slice was drawn on its own, please check each one."
)
_DEPTH_UNKNOWN = "The depth could not be found from one slice; adjust the box in another view."
_DEPTH_LIMIT = "The depth reached its limit; check the first and last slice and adjust the box in another view."


_GUESSED = "The extent was guessed from the point alone; check every slice, or draw a box round the haematoma."
_LEAST_LIKENESS = 0.85
"""Dice, away from drawn slices, between the coarse answers with and without them; below it they misled the network."""
_REVIEW = 0.3
"""Confidence of a slice that the guard against drifting has doubts about, at most."""


class Run:
    """What is known so far about one prompt; built for one call and thrown away."""

    def __init__(
        self,
        guide: CoarseGuide,
        session: SliceSession,
        frame: Frame,
        plan: Plan,
        *,
        focus: int | None,
        on_slice: OnSlice | None,
        check: Check,
        started: float,
    ) -> None:
        self._guide = guide
        self._session = session
        self._frame = frame
        self._known = plan.known
        self._pieces = plan.pieces
        self._asked_focus = focus
        self._focus = 0
        self._on_slice = on_slice
        self._check = check
        self._started = started
        self._seconds_first = 0.0
        self._notes: list[str] = []

    def run(self, asked: Prompt, geometry: Geometry, info: EngineInfo) -> Segmentation:
        """The whole chain."""
        if not self._pieces:
            self._pieces = (self._sought(),)
        self._focus = _nearest(self._pieces, self._asked_focus)
        self._answer_focus()
        closed = [self._close_depth(piece) for piece in self._pieces]
        regions = [piece.box.region(self._frame.shape) for piece in closed]
        total = sum(region[0].stop - region[0].start for region in regions)
        drawn = [_round(k, mask) for k, mask in self._known.fixed.items() if mask.any()]
        canvas = Canvas(_whole([*regions, *drawn]), self._known.fixed, self._on_slice, self._check, total)
        begun = 0
        for piece, region in zip(closed, regions, strict=True):
            self._draw_piece(piece, region, canvas, begun)
            begun += region[0].stop - region[0].start
        canvas.settle()
        for sentence in remarks(canvas.probability > 0.5, canvas.region, closed, self._known):
            self._note(sentence)
        return Segmentation(
            probability=canvas.probability,
            region=canvas.region,
            geometry=geometry,
            prompt=replace(asked, boxes=_boxes(asked, self._pieces, closed, geometry)),
            engine=info,
            slice_confidence=canvas.confidence,
            seconds_first=self._seconds_first,
            seconds_total=time.perf_counter() - self._started,
            notes=(*self._notes, *self._session.take_notes()),
        )

    def _answer_focus(self) -> None:
        """The focus slice from the drawn boxes alone, at once; it is refined when its neighbours are known."""
        k = self._focus
        seen = [piece for piece in self._pieces if k in piece.box.slices]
        regions = [piece.box.region(self._frame.shape) for piece in seen]
        canvas = Canvas(_whole(regions), self._known.fixed, self._on_slice, self._check, 0)
        canvas.total = canvas.region[0].stop - canvas.region[0].start
        _, rows, columns = canvas.region
        picture = np.zeros(canvas.probability.shape[1:], dtype=np.float32)
        for piece in seen:
            for rectangle in piece.rectangles(k):
                answer = self._answer([SliceQuestion(k, rectangle, self._points_on(k))], (rows, columns), None)[0]
                i0, j0, i1, j1 = rectangle
                flat = Box((k - 0.5, j0, i0), (k + 0.5, j1, i1)).within((slice(k, k + 1), rows, columns))
                picture = np.maximum(picture, reach_box(answer.probability, j1 - j0, i1 - i0, flat[1:]))
        self._seconds_first = time.perf_counter() - self._started
        canvas.show(k, picture, canvas.region, 1)
        self._check()

    def _close_depth(self, piece: Piece) -> Piece:
        """The piece, its depth searched where the user left it open."""
        box = piece.box
        axis = box.open_axis
        if axis is None:
            return piece
        middle = (box.lower[axis] + box.upper[axis]) / 2
        drawn = middle
        if axis == 0 and self._focus in box.slices:
            drawn = float(self._focus)
        if axis == 0 and piece.shown is not None:
            drawn = float(piece.shown)
        extent = find_extent(
            lambda tried: self._ask(piece, tried), box, drawn, self._frame.shape, np.array(self._frame.spacing_kji)
        )
        if not extent.found:
            self._note(_DEPTH_UNKNOWN)
        elif extent.reached_limit:
            self._note(_DEPTH_LIMIT)
        lower, upper = extent.lower, extent.upper
        if axis == 0 and piece.marks:
            lower, upper = min(lower, min(piece.marks) - 0.5), max(upper, max(piece.marks) + 0.5)
        if piece.shown is None and axis == 0:
            piece = replace(piece, shown=round(drawn))
        return piece.closed(box.with_depth(axis, lower, upper))

    def _ask(self, piece: Piece, box: Box) -> CoarseAnswer:
        """What the coarse network sees in a box, in agreement with what is known."""
        drawn = {*self._known.fixed, *piece.redrawn}
        if not drawn and not self._known:
            return self._guide.ask(self._frame, box, self._check)
        answer = self._guide.ask(self._frame, box, self._check, lambda at: evidence_of(self._known, piece, at))
        if drawn:
            untold = self._guide.ask(self._frame, box, self._check)
            answer = answer.mixed(untold) if likeness(answer, untold, drawn) >= _LEAST_LIKENESS else untold
        return correct_coarse(answer, self._known, box, self._frame, self._check)

    def _draw_piece(self, piece: Piece, region: Region, canvas: Canvas, begun: int) -> None:
        """Draw one piece and put it on the canvas."""
        drawn = self._draw_with_coarse(piece, region, canvas, begun) if len(piece.box.slices) > 1 else None
        probability, confidence = drawn or self._draw_plain(piece, region, canvas, begun)
        settled = self._settled(piece, region, probability)
        if piece.searched and piece.trusted:
            settled, confidence = self._guarded(piece, region, settled, confidence)
        canvas.finish(settled, confidence, probability, region)

    def _settled(self, piece: Piece, region: Region, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """The answer as one lesion that reaches its box and agrees with what is known."""
        inside = piece.box.within(region)
        known = self._known_lesion(region)
        if piece.redrawn:
            probability = _reach_rectangles(probability, region, piece.redrawn)
            known = np.zeros(probability.shape, dtype=np.bool_) if known is None else known
            for k in piece.redrawn:
                known[k - region[0].start] |= probability[k - region[0].start] > 0.5
            probability = keep_lesion(probability, inside, known=known)
        else:
            probability = reach_box(keep_lesion(probability, inside, known=known), *piece.box.sides, inside)
        probability = correct_probability(probability, region, self._known, piece.box, self._frame, self._check)
        self._check()
        return keep_lesion(probability, inside, known=known)

    def _known_lesion(self, region: Region) -> NDArray[np.bool_] | None:
        """Voxels of the region that a person said are lesion; None where there are none."""
        if not self._known:
            return None
        known = np.zeros([part.stop - part.start for part in region], dtype=np.bool_)
        for k, mask in self._known.fixed.items():
            if region[0].start <= k < region[0].stop:
                known[k - region[0].start] = mask[region[1], region[2]]
        for point in self._known.points:
            place = tuple(n - part.start for n, part in zip(point.voxel, region, strict=True))
            if point.positive and all(0 <= n < size for n, size in zip(place, known.shape, strict=True)):
                known[place] = True
        return known

    def _guarded(
        self, piece: Piece, region: Region, probability: NDArray[np.float32], confidence: NDArray[np.float32]
    ) -> Drawn:
        """Slices that look unlike the lesion where it was drawn are marked; what lies beyond them is left out."""
        first = region[0].start
        trusted = [k - first for k in (*piece.trusted, *self._known.fixed) if 0 <= k - first < len(probability)]
        verdict = judge(probability, self._frame.window(region), trusted)
        if verdict.review:
            confidence = confidence.copy()
            confidence[list(verdict.review)] = np.fmin(confidence[list(verdict.review)], _REVIEW)
            self._note(f"Please check {named([n + first for n in verdict.review])}: the mask there is uncertain.")
        if verdict.drop:
            probability = probability.copy()
            probability[list(verdict.drop)] = 0
            self._note(f"The haematoma was not followed onto {named([n + first for n in verdict.drop])}.")
        return probability, confidence

    def _sought(self) -> Piece:
        """A piece round what the points alone lead to."""
        self._note(_GUESSED)
        positive = [point for point in self._known.points if point.positive]
        if self._asked_focus is None:
            self._asked_focus = positive[0].voxel[0]
        box = find_box(lambda tried: self._ask(Piece(tried), tried), positive, self._frame, self._check)
        refuse_flat(box, self._frame)
        return Piece(box)

    def _draw_with_coarse(self, piece: Piece, region: Region, canvas: Canvas, begun: int) -> Drawn | None:
        """Coarse, then slice by slice; None where the answer fills too little of the box to be believed."""
        inside = piece.box.within(region)
        coarse = self._ask(piece, piece.box)
        self._check()
        hint = coarse.probability(region)
        if _fills(hint, inside):
            drawn = self._draw(region, self._rectangles(piece, hint, region), coarse, canvas, begun)
            if _fills(drawn[0], inside) and reaches_box(drawn[0][inside[0]], *piece.box.sides):
                return drawn
        self._note(_NOTHING_COARSE)
        return None

    def _draw_plain(self, piece: Piece, region: Region, canvas: Canvas, begun: int) -> Drawn:
        """Every slice of the box on its own: all there is to go by on a single slice."""
        rectangles = {k: list(piece.rectangles(k)) for k in piece.box.slices}
        return self._draw(region, rectangles, None, canvas, begun)

    def _rectangles(self, piece: Piece, hint: NDArray[np.float32], region: Region) -> dict[int, list[Rectangle]]:
        """For every slice of the region the rectangles round what the coarse network found there."""
        row, column = region[1].start, region[2].start
        found: dict[int, list[Rectangle]] = {}
        for number, picture in enumerate(hint):
            k = region[0].start + number
            seen = [
                (i0 + column, j0 + row, i1 + column, j1 + row) for i0, j0, i1, j1 in slice_rectangles(picture > 0.5)
            ]
            if k in piece.redrawn:
                found[k] = list(piece.redrawn[k])
            elif k in piece.marks:
                # Between redrawn slices the network may tell more than straight lines do, but not leave them.
                found[k] = clipped(seen, piece.marks[k])
            elif seen:
                found[k] = seen
        return found

    def _draw(
        self,
        region: Region,
        rectangles: Mapping[int, Sequence[Rectangle]],
        coarse: CoarseAnswer | None,
        canvas: Canvas,
        begun: int,
    ) -> Drawn:
        """Probability of the region and confidence per slice; streams every slice outwards from the focus."""
        first, window = region[0].start, (region[1], region[2])
        probability = np.zeros([part.stop - part.start for part in region], dtype=np.float32)
        confidence = np.full(len(probability), np.nan, dtype=np.float32)
        order = sorted(range(region[0].start, region[0].stop), key=lambda k: (abs(k - self._focus), k))
        self._session.prefetch([k for k in order if rectangles.get(k)])
        done = begun
        for slices in _batches(order, rectangles, self._session.batch):
            questions = [
                SliceQuestion(k, rectangle, self._points_on(k)) for k in slices for rectangle in rectangles.get(k, ())
            ]
            answers = self._answer(questions, window, coarse) if questions else []
            for k in slices:
                own = [answer for answer in answers if answer.k == k]
                probability[k - first], confidence[k - first] = _merge(own, probability.shape[1:])
                done += 1
                canvas.show(k, probability[k - first], region, done)
                self._check()
        return probability, confidence

    def _answer(
        self, questions: Sequence[SliceQuestion], window: tuple[slice, slice], hint: CoarseAnswer | None
    ) -> list[SliceAnswer]:
        """The slice model's answers, each kept near its rectangle."""
        answers = self._session.answer(questions, window, hint, self._check)
        return [
            SliceAnswer(a.k, near_rectangle(a.probability, q.rectangle, window, _FAINT), a.confidence)
            for q, a in zip(questions, answers, strict=True)
        ]

    def _points_on(self, k: int) -> tuple[tuple[float, float, bool], ...]:
        return tuple((p.i, p.j, p.positive) for p in self._known.points if p.voxel[0] == k)

    def _note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes.append(sentence)


def _merge(answers: Sequence[SliceAnswer], shape: tuple[int, ...]) -> tuple[NDArray[np.float32], float]:
    """All pieces of one slice: the larger probability, and the confidence weighted by area."""
    if not answers:
        return np.zeros(shape, dtype=np.float32), float("nan")
    picture = np.maximum.reduce([a.probability for a in answers])
    areas = np.array([max(1, np.count_nonzero(a.probability > 0.5)) for a in answers])
    return picture, float(np.average([a.confidence for a in answers], weights=areas))


def _batches(order: Sequence[int], rectangles: Mapping[int, Sequence[Rectangle]], size: int) -> Iterator[list[int]]:
    """Slices in ``order``, cut so that each run asks about ``size`` questions."""
    batch: list[int] = []
    count = 0
    for k in order:
        batch.append(k)
        count += len(rectangles.get(k, ()))
        if count >= size:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch


def _fills(probability: NDArray[np.float32], inside: Region) -> bool:
    """Whether an answer fills enough of its box to be believed."""
    held = probability[inside]
    return bool(np.count_nonzero(held > 0.5) >= _LEAST_FILL * held.size)


def _whole(regions: Sequence[Region]) -> Region:
    """The smallest window round several."""
    k, j, i = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*regions, strict=True)
    )
    return k, j, i


def _round(k: int, mask: NDArray[np.bool_]) -> Region:
    """The window of a hand-drawn slice that is not empty."""
    i0, j0, i1, j1 = faces_of(mask)
    return slice(k, k + 1), slice(int(j0 + 0.5), int(j1 + 0.5)), slice(int(i0 + 0.5), int(i1 + 0.5))


def _reach_rectangles(probability: NDArray[np.float32], region: Region, redrawn: Marks) -> NDArray[np.float32]:
    """``reach_box`` on every slice with rectangles of its own: a hand has just drawn them tightly."""
    raised = probability.copy()
    for k, rectangles in redrawn.items():
        for rectangle in rectangles:
            i0, j0, i1, j1 = rectangle
            flat = Box((k - 0.5, j0, i0), (k + 0.5, j1, i1)).within((slice(k, k + 1), *region[1:]))
            picture = raised[k - region[0].start]
            near = near_rectangle(picture, rectangle, region[1:], 0.0)
            raised[k - region[0].start] = np.maximum(picture, reach_box(near, j1 - j0, i1 - i0, flat[1:]))
    return raised


def _boxes(asked: Prompt, drawn: Sequence[Piece], closed: Sequence[Piece], geometry: Geometry) -> tuple[BoxPrompt, ...]:
    """The boxes that were used: as they were given where they were closed and stayed as they were."""
    given = asked.boxes or (None,) * len(closed)
    return tuple(
        box if box is not None and box.open_axis is None and after.box == before.box else after.box.prompt(geometry)
        for box, before, after in zip(given, drawn, closed, strict=True)
    )


def _nearest(pieces: Sequence[Piece], focus: int | None) -> int:
    """The slice to begin with: the one that is looked at, or the nearest to it that a piece reaches."""
    if focus is None:
        slices = pieces[0].box.slices
        return (slices.start + slices.stop - 1) // 2
    inside = (min(max(focus, p.box.slices.start), p.box.slices.stop - 1) for p in pieces)
    return min(inside, key=lambda k: abs(k - focus))
