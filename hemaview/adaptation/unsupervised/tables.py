"""The results as a Markdown table: mean and standard deviation over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hemaview.adaptation.unsupervised.arms import Arm

_HEADER = (
    "| adapted to | measured on | arm | trained parameters | Dice | surface Dice 1 mm | surface Dice 2 mm | "
    "processor minutes | seeds |\n|---|---|---|---:|---:|---:|---:|---:|---:|\n"
)


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """One row per target, test set and arm; arms in their own order, targets as they come."""
    lines = []
    order = [arm.value for arm in Arm]
    for target in _unique(result["target"] for result in results):
        of_target = [result for result in results if result["target"] == target]
        for test in _unique(name for result in of_target for name in result["scores"]):
            for arm in order:
                rows = [result for result in of_target if result["arm"] == arm and test in result["scores"]]
                if rows:
                    lines.append(_row(target, test, arm, rows))
    return _HEADER + "".join(lines)


def _row(target: str, test: str, arm: str, rows: Sequence[dict[str, Any]]) -> str:
    keys = ("dice", "surface_dice_1mm", "surface_dice_2mm")
    cells = [spread([row["scores"][test][key] for row in rows]) for key in keys]
    minutes = float(np.mean([row["processor_minutes"] for row in rows]))
    trained = f"{rows[0]['trained_parameters']:,}"
    return f"| {target} | {test} | {arm} | {trained} | {' | '.join(cells)} | {minutes:.2f} | {len(rows)} |\n"


def spread(values: Sequence[float]) -> str:
    """Mean ± sample standard deviation; the mean alone for one value."""
    mean = float(np.mean(values))
    return f"{mean:.3f}" if len(values) < 2 else f"{mean:.3f} ± {float(np.std(values, ddof=1)):.3f}"


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
