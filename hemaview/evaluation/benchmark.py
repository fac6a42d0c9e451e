"""Compare an engine with the ellipsoid inscribed in the same box, on real scans.

Run ``python -m hemaview.evaluation.benchmark --data FOLDER``.
Three ways to prompt, most realistic first: one 3D box round the lesion, one rectangle per slice, and one
rectangle on a single slice with the depth left open. Every box is the reference's bounding box with its sides
moved by up to the stated share; the seeds are fixed, so a run can be repeated exactly.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import HemaviewError
from hemaview.evaluation.baselines import inscribed_ellipse, inscribed_ellipsoid
from hemaview.evaluation.metrics import dice, nsd, volume_error
from hemaview.evaluation.prompts import Rectangle, jittered_box, jittered_rectangle, one_slice_prompt
from hemaview.evaluation.real_cases import Group, RealCase, Standard, available_cases
from hemaview.imaging import LabelMap, Volume
from hemaview.segmentation import Segmentation, Segmenter
from hemaview.segmentation.registry import DEFAULT_ENGINE, load_engine

SEEDS = (11, 12, 13)
"""Jittered boxes per case; without jitter one is enough."""


class Mode(StrEnum):
    """How the lesion was prompted."""

    BOX = "one 3D box"
    SLICES = "one box per slice"
    RECTANGLE = "one rectangle on one slice, depth open"


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
    ellipsoid in the same boxes; ``first`` and ``total`` are seconds.
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

    @property
    def margin_3d(self) -> float:
        """3D Dice above the inscribed shape."""
        return self.dice_3d - self.shape_3d

    @property
    def margin_2d(self) -> float:
        """2D Dice above the inscribed shape."""
        return self.dice_2d - self.shape_2d


@dataclass(frozen=True)
class CaseScore:
    """The mean score over the seeds of one case for one mode and jitter."""

    case: RealCase
    mode: Mode
    jitter: float
    slices: int
    volume_ml: float
    score: Score


def mean_score(scores: Sequence[Score]) -> Score:
    """Every entry averaged."""
    return Score(**{f.name: float(np.mean([getattr(s, f.name) for s in scores])) for f in fields(Score)})


def score_case(engine: Segmenter, volume: Volume, reference: LabelMap, mode: Mode, jitter: float, seed: int) -> Score:
    """One run of ``engine`` on one case; ``jitter`` is a share of the box's side."""
    rng = np.random.default_rng(seed)
    return _RUNS[mode](engine, volume, reference, jitter, rng)


def run_benchmark(
    engine: Segmenter,
    cases: Sequence[RealCase],
    data: Path,
    *,
    jitters: Sequence[float],
    modes: Sequence[Mode] = tuple(Mode),
    report: Callable[[str], None] = lambda line: None,
) -> Iterator[CaseScore]:
    """Score every case in every mode at every jitter; ``report`` gets one line after each."""
    for case in cases:
        volume, reference = case.load(data)
        slices = int(np.count_nonzero(reference.array.any(axis=(1, 2))))
        volume_ml = reference.voxel_count * reference.geometry.voxel_volume_ml
        for mode in modes:
            if mode is Mode.SLICES and not isinstance(engine, SliceSegmenter):
                continue
            for jitter in jitters:
                seeds = SEEDS if jitter > 0 else SEEDS[:1]
                score = mean_score([score_case(engine, volume, reference, mode, jitter, seed) for seed in seeds])
                report(
                    f"{case.name}, {mode}, {jitter:.0%}: 2D {score.dice_2d:.3f}, 3D {score.dice_3d:.3f} "
                    f"(inscribed {score.shape_3d:.3f}), volume {score.volume_percent:+.0f} %, {score.total:.2f} s"
                )
                yield CaseScore(case, mode, jitter, slices, volume_ml, score)


def markdown(results: Sequence[CaseScore]) -> str:
    """Tables for a model card: per mode and jitter the groups, then every case."""
    lines: list[str] = []
    for mode in Mode:
        for jitter in sorted({r.jitter for r in results}):
            chosen = [r for r in results if r.mode is mode and r.jitter == jitter]
            if chosen:
                lines += [f"### {mode[0].upper()}{mode[1:]}, sides moved by up to {jitter:.0%}", ""]
                lines += [*_table(_group_rows(chosen)), "", *_table(_case_rows(chosen)), ""]
    return "\n".join(lines)


def _score_box(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    prompt = jittered_box(reference, jitter, rng)
    focus = int(np.argmax(reference.array.sum(axis=(1, 2))))
    found = engine.segment(volume, prompt, focus=focus)
    return _compare(found.mask(), reference, inscribed_ellipsoid(prompt, volume.geometry), found)


def _score_rectangle(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    prompt, k = one_slice_prompt(reference, jitter, rng)
    found = engine.segment(volume, prompt, focus=k)
    return _compare(found.mask(), reference, inscribed_ellipsoid(prompt, volume.geometry), found)


def _score_slices(
    engine: Segmenter, volume: Volume, reference: LabelMap, jitter: float, rng: np.random.Generator
) -> Score:
    if not isinstance(engine, SliceSegmenter):
        raise TypeError(f"{engine.info.title} has no segment_slice")
    mask, shape = np.zeros_like(reference.array), np.zeros_like(reference.array)
    seconds = []
    for k in np.flatnonzero(reference.array.any(axis=(1, 2))):
        rectangle = jittered_rectangle(reference.array[k], jitter, rng)
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
}


def _compare(mask: LabelMap, reference: LabelMap, shape: LabelMap, timing: Segmentation | tuple[float, float]) -> Score:
    first, total = (timing.seconds_first, timing.seconds_total) if isinstance(timing, Segmentation) else timing
    slices = np.flatnonzero(reference.array.any(axis=(1, 2)))
    per_slice = [dice(mask.array[k], reference.array[k]) for k in slices]
    volumes = volume_error(mask.array, reference.array, reference.geometry.voxel_volume_ml)
    return Score(
        dice_2d=float(np.mean(per_slice)),
        worst_2d=float(min(per_slice)),
        dice_3d=dice(mask.array, reference.array),
        nsd_2mm=nsd(mask.array, reference.array, reference.geometry.spacing[::-1], 2.0),
        volume_percent=volumes.percent,
        volume_abs_percent=abs(volumes.percent),
        empty=float(sum(not mask.array[k].any() for k in slices)),
        shape_2d=float(np.mean([dice(shape.array[k], reference.array[k]) for k in slices])),
        shape_3d=dice(shape.array, reference.array),
        first=first,
        total=total,
    )


_HEADINGS = (
    "2D Dice",
    "3D Dice",
    "worst 3D",
    "NSD 2 mm",
    "volume %",
    "abs %",
    "empty slices",
    "inscribed 2D",
    "inscribed 3D",
    "margin 2D",
    "margin 3D",
    "first s",
    "total s",
)


def _group_rows(results: Sequence[CaseScore]) -> Iterator[tuple[str, ...]]:
    yield ("group", "n", *_HEADINGS)
    tumours = (Group.WHOLE_TUMOUR, Group.TUMOUR_CORE)
    chosen: list[tuple[str, list[CaseScore]]] = [(g.value, [r for r in results if r.case.group is g]) for g in Group]
    chosen.insert(2, ("all tumours", [r for r in results if r.case.group in tumours]))
    expert = [r for r in results if r.case.group in tumours and r.case.standard is Standard.EXPERT]
    chosen.insert(3, ("tumours with expert masks", expert))
    for name, members in chosen:
        if members:
            worst = min(m.score.dice_3d for m in members)
            yield (name, str(len(members)), *_cells(mean_score([m.score for m in members]), worst))


def _case_rows(results: Sequence[CaseScore]) -> Iterator[tuple[str, ...]]:
    yield ("case", "mask", "slices", "mL", *(h for h in _HEADINGS if h != "worst 3D"))
    for r in results:
        yield (r.case.name, r.case.standard.value, str(r.slices), f"{r.volume_ml:.1f}", *_cells(r.score, None))


def _cells(score: Score, worst: float | None) -> Iterator[str]:
    yield f"{score.dice_2d:.3f}"
    yield f"{score.dice_3d:.3f}"
    if worst is not None:
        yield f"{worst:.3f}"
    yield f"{score.nsd_2mm:.3f}"
    yield f"{score.volume_percent:+.1f}"
    yield f"{score.volume_abs_percent:.1f}"
    yield f"{score.empty:.1f}"
    yield f"{score.shape_2d:.3f}"
    yield f"{score.shape_3d:.3f}"
    yield f"{score.margin_2d:+.3f}"
    yield f"{score.margin_3d:+.3f}"
    yield f"{score.first:.3f}"
    yield f"{score.total:.2f}"


def _table(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield "| " + " | ".join(row) + " |"
        if number == 0:
            yield "|" + " --- |" * len(row)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; 0 on success, 1 with one sentence otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m hemaview.evaluation.benchmark",
        description="Compare an engine with the ellipsoid in the same box, on real scans with known masks.",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the scans (mr_lesion/, ct_ich/)")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help="engine from the registry (default: %(default)s)")
    parser.add_argument("--registry", type=Path, help="another models/registry.toml")
    parser.add_argument(
        "--jitter", type=float, nargs="+", default=[5.0], help="per cent of the box's side (default: 5)"
    )
    parser.add_argument("--mode", choices=[m.name.lower() for m in Mode], nargs="+", help="default: all three")
    parser.add_argument("--only", help="only cases whose name contains this text")
    parser.add_argument("--out", type=Path, help="write the tables to this file as well")
    options = parser.parse_args(arguments)
    modes = [Mode[name.upper()] for name in options.mode] if options.mode else list(Mode)
    cases = [c for c in available_cases(options.data) if not options.only or options.only in c.name]
    if not cases:
        print(f"No case was found below {options.data}; give the folder that holds mr_lesion/.", file=sys.stderr)
        return 1
    started = time.perf_counter()
    try:
        engine = load_engine(options.engine, registry=options.registry)
        results = list(
            run_benchmark(
                engine,
                cases,
                options.data,
                jitters=[value / 100 for value in options.jitter],
                modes=modes,
                report=lambda line: print(line, file=sys.stderr, flush=True),
            )
        )
    except HemaviewError as error:
        print(error, file=sys.stderr)
        return 1
    info = engine.info
    text = (
        f"{info.title} ({info.name}, {info.sha256[:12]}) on {info.device}; {len(cases)} cases, "
        f"{len(SEEDS)} boxes each where sides are moved; {time.perf_counter() - started:.0f} s in all.\n\n"
        f"{markdown(results)}"
    )
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
