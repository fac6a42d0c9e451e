"""Compare an engine with the ellipsoid inscribed in the same box, on real scans.

Run ``python -m hemaview.evaluation.benchmark --data FOLDER``.
Without further options three ways to prompt are compared: one 3D box round the lesion, one rectangle per slice, and
one rectangle on a single slice with the depth left open; ``--mode`` chooses others (``modes.py``). Every box is the
reference's bounding box with its sides moved by up to the stated share; the seeds are fixed, so a run can be repeated
exactly.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hemaview.errors import HemaviewError
from hemaview.evaluation.classical import classical_engines
from hemaview.evaluation.modes import USUAL_MODES, Mode, Score, answers, mean_score, score_case
from hemaview.evaluation.real_cases import Group, RealCase, Standard, available_cases
from hemaview.saving import save_atomically
from hemaview.segmentation import Segmenter
from hemaview.segmentation.registry import DEFAULT_ENGINE, load_engine

__all__ = ["SEEDS", "CaseScore", "Mode", "Score", "main", "markdown", "run_benchmark", "score_case"]

SEEDS = (11, 12, 13)
"""Jittered boxes per case; without jitter one is enough."""


@dataclass(frozen=True)
class CaseScore:
    """The mean score over the seeds of one case for one mode and jitter; ``method`` is the engine's title."""

    case: RealCase
    mode: Mode
    jitter: float
    slices: int
    volume_ml: float
    score: Score
    method: str = ""


def run_benchmark(
    engine: Segmenter,
    cases: Sequence[RealCase],
    data: Path,
    *,
    jitters: Sequence[float],
    modes: Sequence[Mode] = USUAL_MODES,
    report: Callable[[str], None] = lambda line: None,
) -> Iterator[CaseScore]:
    """Score every case in every mode at every jitter; ``report`` gets one line after each."""
    for case in cases:
        volume, reference = case.load(data)
        slices = int(np.count_nonzero(reference.array.any(axis=(1, 2))))
        volume_ml = reference.geometry.volume_ml(reference.array)
        for mode in modes:
            if not answers(engine, mode):
                continue
            for jitter in jitters:
                seeds = SEEDS if jitter > 0 else SEEDS[:1]
                score = mean_score([score_case(engine, volume, reference, mode, jitter, seed) for seed in seeds])
                report(
                    f"{case.name}, {mode}, {jitter:.0%}: 2D {score.dice_2d:.3f}, 3D {score.dice_3d:.3f} "
                    f"(inscribed {score.shape_3d:.3f}), volume {score.volume_percent:+.0f} %, {score.total:.2f} s"
                )
                yield CaseScore(case, mode, jitter, slices, volume_ml, score, engine.info.title)


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
    "3D before",
    "first s",
    "total s",
)


def classical_table(engine: Sequence[CaseScore], methods: Sequence[CaseScore]) -> str:
    """3D Dice of the engine and of the classical methods in the same boxes, per group and jitter."""
    lines: list[str] = []
    names = list(dict.fromkeys(r.method for r in methods))
    for jitter in sorted({r.jitter for r in methods}):
        rows: list[tuple[str, ...]] = [("group", "n", "engine", "ellipsoid", *names)]
        own = [r for r in engine if r.jitter == jitter and r.mode is Mode.BOX]
        for group in Group:
            members = [r for r in own if r.case.group is group]
            if members:
                cells = [f"{_mean([m.score.dice_3d for m in members]):.3f}"]
                cells.append(f"{_mean([m.score.shape_3d for m in members]):.3f}")
                for name in names:
                    same = [r for r in methods if (r.method, r.jitter, r.case.group) == (name, jitter, group)]
                    cells.append(f"{_mean([m.score.dice_3d for m in same]):.3f}")
                rows.append((group.value, str(len(members)), *cells))
        lines += [f"### Classical methods in the same 3D boxes, sides moved by up to {jitter:.0%}: 3D Dice", ""]
        lines += [*_table(iter(rows)), ""]
    return "\n".join(lines)


def as_json(engine: Segmenter, results: Sequence[CaseScore]) -> dict[str, Any]:
    """The results as a JSON document; what is not a number is null."""
    info = asdict(engine.info)
    cases = []
    for r in results:
        score = {name: value if math.isfinite(value) else None for name, value in asdict(r.score).items()}
        cases.append(
            {
                "case": r.case.name,
                "group": r.case.group.value,
                "mask": r.case.standard.value,
                "method": r.method,
                "mode": r.mode.name.lower(),
                "jitter": r.jitter,
                "slices": r.slices,
                "volume_ml": r.volume_ml,
                **score,
            }
        )
    return {"engine": info, "seeds": list(SEEDS), "results": cases}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


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
    yield "-" if math.isnan(score.before_3d) else f"{score.before_3d:.3f}"
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
    parser.add_argument("--adapter", type=Path, help="merge this adapter into the engine")
    parser.add_argument("--registry", type=Path, help="another models/registry.toml")
    parser.add_argument(
        "--jitter", type=float, nargs="+", default=[5.0], help="per cent of the box's side (default: 5)"
    )
    names = [m.name.lower() for m in Mode]
    usual = ", ".join(m.name.lower() for m in USUAL_MODES)
    parser.add_argument("--mode", choices=[*names, "all"], nargs="+", help=f"default: {usual}")
    parser.add_argument("--classical", action="store_true", help="also classical methods in the same 3D boxes")
    parser.add_argument("--only", help="only cases whose name contains this text")
    parser.add_argument("--out", type=Path, help="write the tables to this file as well")
    parser.add_argument("--json", type=Path, help="write every case's figures to this file")
    options = parser.parse_args(arguments)
    chosen = names if options.mode and "all" in options.mode else options.mode
    modes = [Mode[name.upper()] for name in chosen] if chosen else list(USUAL_MODES)
    cases = [c for c in available_cases(options.data) if not options.only or options.only in c.name]
    if not cases:
        print(f"No case was found below {options.data}; give the folder that holds mr_lesion/.", file=sys.stderr)
        return 1
    started = time.perf_counter()
    try:
        engine = load_engine(options.engine, adapter=options.adapter, registry=options.registry)
        jitters = [value / 100 for value in options.jitter]
        results = list(run_benchmark(engine, cases, options.data, jitters=jitters, modes=modes, report=_progress))
        rivals: list[CaseScore] = []
        for rival in classical_engines() if options.classical else ():
            report = _named(rival.info.name)
            rivals += run_benchmark(rival, cases, options.data, jitters=jitters, modes=[Mode.BOX], report=report)
    except HemaviewError as error:
        print(error, file=sys.stderr)
        return 1
    info = engine.info
    name = info.name + (f" + {info.adapter}" if info.adapter else "")
    text = (
        f"{info.title} ({name}, {info.sha256[:12]}) on {info.device}; {len(cases)} cases, "
        f"{len(SEEDS)} boxes each where sides are moved; {time.perf_counter() - started:.0f} s in all.\n\n"
        f"{markdown(results)}"
    )
    if rivals:
        text += "\n" + classical_table(results, rivals)
    print(text)
    try:
        if options.out:
            save_atomically(options.out, (text + "\n").encode(), "The tables")
        if options.json:
            document = json.dumps(as_json(engine, [*results, *rivals]), indent=1)
            save_atomically(options.json, document.encode(), "The figures")
    except HemaviewError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _named(name: str) -> Callable[[str], None]:
    return lambda line: _progress(f"{name}: {line}")


if __name__ == "__main__":
    raise SystemExit(main())
