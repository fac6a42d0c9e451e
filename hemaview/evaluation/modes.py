"""The ways to prompt an engine, from one box to single clicks, and the score of one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hemaview.evaluation.baselines import inscribed_ellipse, inscribed_ellipsoid
from hemaview.evaluation.metrics import dice, nsd, volume_error
from hemaview.evaluation.prompts import (
    Rectangle,
    corrected_slice,
    corrective_click,
    first_click,
    jittered_box,
    jittered_rectangle,
    largest_slice,
    one_slice_prompt,
    protocol_rectangle,
    slice_boxes,
)
from hemaview.imaging import LabelMap, Volume
from hemaview.imaging.even_slices import EvenSlices
from hemaview.segmentation import PointPrompt, Prompt, Segmentation, Segmenter


class Mode(StrEnum):
    """How the lesion was prompted."""

    BOX = "one 3D box"
    SLICES = "one box per slice"
    RECTANGLE = "one rectangle on one slice, depth open"
    FIVE = "rectangles on five slices, sides interpolated"
    FIXED = "one 3D box, then the worst slice drawn by hand (counted on the other slices)"
    CLICK = "one 3D box, then 1 click at the largest error"
    CLICKS = "one 3D box, then 3 clicks at the largest errors"
    POINT = "one click, no box"
    PROTOCOL = "per slice, 3 px at 256 px, slices with lesion only; the 3D Dice is the micro-Dice of its pixels"


USUAL_MODES = (Mode.BOX, Mode.SLICES, Mode.RECTANGLE)
"""What is compared unless other modes are asked for."""


@runtime_checkable
class SliceSegmenter(Protocol):
    """An engine that can also answer a rectangle on a single slice."""

    def segment_slice(self, volume: Volume, k: int, box_xyxy: Rectangle) -> NDArray[np.float32]:
        """Probability ``[j, i]`` of slice ``k``."""
        ...


@dataclass(frozen=True)
class Score:
    """One run on one case, or the mean of several.

    ``dice_2d`` is the mean over the reference's slices, ``worst_2d`` its lowest and ``empty`` the number of those
    slices without any answer; ``nsd_2mm`` is the surface Dice at 2 mm; ``volume_percent`` the signed and
    ``volume_abs_percent`` the unsigned volume error; ``shape_2d`` and ``shape_3d`` the Dice of the ellipse or
    ellipsoid in the same boxes; ``before_3d`` the 3D Dice before a correction, on the same slices (NaN where nothing
    was corrected); ``first`` and ``total`` are seconds of the last answer.
    """

    dice_2d: float
    worst_2d: float
    dice_3d: float
    nsd_2mm: float
    volume_percent: float
    volume_abs_percent: float
    empty: float
    shape_2d: float
    shape_3d: float
    first: float
    total: float
    before_3d: float = float("nan")

    @property
    def margin_3d(self) -> float:
        """3D Dice above the inscribed shape."""
        return self.dice_3d - self.shape_3d

    @property
    def margin_2d(self) -> float:
        """2D Dice above the inscribed shape."""
        return self.dice_2d - self.shape_2d


def mean_score(scores: Sequence[Score]) -> Score:
    """Every entry averaged."""
    return Score(**{f.name: float(np.mean([getattr(s, f.name) for s in scores])) for f in fields(Score)})


def answers(engine: Segmenter, mode: Mode) -> bool:
    """Whether an engine can be asked in this way."""
    return mode not in (Mode.SLICES, Mode.PROTOCOL) or isinstance(engine, SliceSegmenter)


def score_case(engine: Segmenter, volume: Volume, reference: LabelMap, mode: Mode, jitter: float, seed: int) -> Score:
    """One run of ``engine`` on one case; ``jitter`` is a share of the box's side."""
    rng = np.random.default_rng(seed)
    return _RUNS[mode](engine, volume, reference, jitter, rng)


def _score_box(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    prompt = jittered_box(reference, jitter, rng)
    found = engine.segment(volume, prompt, focus=largest_slice(reference))
    return _compare(found.mask(), reference, inscribed_ellipsoid(prompt, volume.geometry), found)


def _score_rectangle(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    prompt, k = one_slice_prompt(reference, jitter, rng)
    found = engine.segment(volume, prompt, focus=k)
    return _compare(found.mask(), reference, inscribed_ellipsoid(prompt, volume.geometry), found)


def _score_five(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    boxes = slice_boxes(reference, 5, jitter, rng)
    shape = inscribed_ellipsoid(jittered_box(reference, jitter, rng), volume.geometry)
    found = engine.segment(volume, Prompt(slice_boxes=boxes), focus=largest_slice(reference))
    return _compare(found.mask(), reference, shape, found)


def _score_fixed(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    box = jittered_box(reference, jitter, rng)
    focus = largest_slice(reference)
    before = engine.segment(volume, box, focus=focus).mask()
    drawn = corrected_slice(before, reference)
    found = engine.segment(volume, Prompt(boxes=(box,), fixed=(drawn,)), focus=focus)
    truth, plain, mask, shape = (
        _without(drawn.k, m) for m in (reference, before, found.mask(), inscribed_ellipsoid(box, volume.geometry))
    )
    if not truth.array.any():
        # A lesion on a single slice leaves nothing to improve.
        return _compare(found.mask(), reference, inscribed_ellipsoid(box, volume.geometry), found)
    return _compare(mask, truth, shape, found, dice(plain.array, truth.array))


def _score_clicks(count: int) -> Callable[[Segmenter, Volume, LabelMap, float, np.random.Generator], Score]:
    def run(engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator) -> Score:
        box = jittered_box(reference, jitter, rng)
        focus = largest_slice(reference)
        found = engine.segment(volume, box, focus=focus)
        before = dice(found.mask().array, reference.array)
        points: tuple[PointPrompt, ...] = ()
        for _ in range(count):
            click = corrective_click(found.mask(), reference)
            if click is None:
                break
            points = (*points, click)
            found = engine.segment(volume, Prompt(boxes=(box,), points=points), focus=focus)
        return _compare(found.mask(), reference, inscribed_ellipsoid(box, volume.geometry), found, before)

    return run


def _score_point(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    # The shape beside it still gets the box, so the margin is against someone who draws one.
    shape = inscribed_ellipsoid(jittered_box(reference, jitter, rng), volume.geometry)
    found = engine.segment(volume, Prompt(points=(first_click(reference),)))
    return _compare(found.mask(), reference, shape, found)


def _score_slices(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    return _slice_by_slice(engine, volume, reference, lambda picture: jittered_rectangle(picture, jitter, rng))


def _score_protocol(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    return _slice_by_slice(engine, volume, reference, lambda picture: protocol_rectangle(picture, rng))


def _slice_by_slice(
    engine: Segmenter, volume: Volume, reference: LabelMap, draw: Callable[[NDArray[np.bool_]], Rectangle]
) -> Score:
    if not isinstance(engine, SliceSegmenter):
        raise TypeError(f"{engine.info.title} has no segment_slice")
    mask, shape = np.zeros_like(reference.array), np.zeros_like(reference.array)
    seconds = []
    for k in np.flatnonzero(reference.array.any(axis=(1, 2))):
        rectangle = draw(reference.array[k])
        started = time.perf_counter()
        mask[k] = engine.segment_slice(volume, int(k), rectangle) > 0.5
        seconds.append(time.perf_counter() - started)
        shape[k] = inscribed_ellipse(mask.shape[1:], rectangle)
    return _compare(
        LabelMap(mask, volume.geometry), reference, LabelMap(shape, volume.geometry), (seconds[0], sum(seconds))
    )


_RUNS: dict[Mode, Callable[[Segmenter, Volume, LabelMap, float, np.random.Generator], Score]] = {
    Mode.BOX: _score_box,
    Mode.SLICES: _score_slices,
    Mode.RECTANGLE: _score_rectangle,
    Mode.FIVE: _score_five,
    Mode.FIXED: _score_fixed,
    Mode.CLICK: _score_clicks(1),
    Mode.CLICKS: _score_clicks(3),
    Mode.POINT: _score_point,
    Mode.PROTOCOL: _score_protocol,
}


def _without(k: int, mask: LabelMap) -> LabelMap:
    array = mask.array.copy()
    array[k] = False
    return LabelMap(array, mask.geometry)


def _compare(
    mask: LabelMap,
    reference: LabelMap,
    shape: LabelMap,
    timing: Segmentation | tuple[float, float],
    before: float = float("nan"),
) -> Score:
    first, total = (timing.seconds_first, timing.seconds_total) if isinstance(timing, Segmentation) else timing
    slices = np.flatnonzero(reference.array.any(axis=(1, 2)))
    per_slice = [dice(mask.array[k], reference.array[k]) for k in slices]
    volumes = volume_error(mask, reference)
    return Score(
        dice_2d=float(np.mean(per_slice)),
        worst_2d=float(min(per_slice)),
        dice_3d=dice(mask.array, reference.array),
        nsd_2mm=_nsd_2mm(mask, reference),
        volume_percent=volumes.percent,
        volume_abs_percent=abs(volumes.percent),
        empty=float(sum(not mask.array[k].any() for k in slices)),
        shape_2d=float(np.mean([dice(shape.array[k], reference.array[k]) for k in slices])),
        shape_3d=dice(shape.array, reference.array),
        first=first,
        total=total,
        before_3d=before,
    )


def _nsd_2mm(mask: LabelMap, reference: LabelMap) -> float:
    """Surface Dice at 2 mm; distances need even steps, so uneven slices are cut into thin even ones first."""
    grid = reference.geometry
    if not grid.is_uneven:
        return nsd(mask.array, reference.array, grid.spacing[::-1], 2.0)
    even = EvenSlices.about(grid, min(grid.spacing))
    return nsd(mask.array[even.source], reference.array[even.source], even.geometry.spacing[::-1], 2.0)
