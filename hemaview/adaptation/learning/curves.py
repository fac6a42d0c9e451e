"""A picture of a run for a person: loss, validation Dice, and every held-out scan before and after."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hemaview.adaptation.learning.judging import Judgement
from hemaview.saving import save_atomically

_COLOURS = ("#1f6f8b", "#c05f2b", "#5b7f3a")
_BETTER, _SAME, _WORSE = "#2f8f5b", "#8a8f98", "#c0392b"
_NOTICEABLE = 0.005
_LEAST_RANGE = 0.02


def draw_curves(
    path: Path, title: str, tables: Mapping[str, Sequence[Sequence[float]]], judgement: Judgement | None = None
) -> None:
    """Write a PNG; ``tables`` holds rows of ``loop.COLUMNS`` per network. ``ExportError`` when it cannot be written."""
    figure = Figure(figsize=(12, 4.2 if judgement is None or len(judgement.before) < 14 else 6), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2 if judgement is None else 3)
    figure.suptitle(title, fontsize=11)
    _lines(panels[0], tables, 3, "Training loss")
    _lines(panels[1], tables, 4, "Dice on the validation scans")
    if judgement is not None:
        _cases(panels[2], judgement)
    stream = io.BytesIO()
    canvas.print_png(stream)
    save_atomically(path, stream.getbuffer(), "The picture of the training")


def _lines(axes: Axes, tables: Mapping[str, Sequence[Sequence[float]]], column: int, title: str) -> None:
    for (role, rows), colour in zip(tables.items(), _COLOURS, strict=False):
        steps = np.array([row[0] for row in rows], dtype=float)
        values = np.array([row[column] for row in rows], dtype=float)
        if np.isfinite(values).sum() == 0:
            continue
        axes.plot(steps, values, marker="o", markersize=3, color=colour, label=f"{role} network")
        if column == 4 and len(values):
            best = int(np.argmax(values))
            axes.plot(steps[best], values[best], marker="o", markersize=9, markerfacecolor="none", color=colour)
            axes.annotate(
                f"kept: {values[best]:.3f}",
                (steps[best], values[best]),
                textcoords="offset points",
                xytext=(0, 9),
                ha="center",
                fontsize=8,
                color=colour,
            )
            axes.axhline(values[0], color=colour, linewidth=0.8, linestyle=":")
    axes.margins(y=0.18)
    axes.ticklabel_format(useOffset=False)
    low, high = axes.get_ylim()
    if high - low < _LEAST_RANGE:
        # A flat line must look flat, not like a fall of a millionth.
        axes.set_ylim((low + high - _LEAST_RANGE) / 2, (low + high + _LEAST_RANGE) / 2)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("step")
    axes.grid(alpha=0.25)
    if tables:
        axes.legend(fontsize=8, loc="best")


def _cases(axes: Axes, judgement: Judgement) -> None:
    """One line per held-out scan from its Dice before to its Dice after, from the worst upwards."""
    order = np.argsort([score.dice for score in judgement.before])
    for row, number in enumerate(order):
        before, after = judgement.before[number].dice, judgement.after[number].dice
        change = after - before
        colour = _BETTER if change > _NOTICEABLE else _WORSE if change < -_NOTICEABLE else _SAME
        axes.plot([before, after], [row, row], color=colour, linewidth=2)
        axes.plot(before, row, marker="o", color="white", markeredgecolor=colour, markersize=6)
        axes.plot(after, row, marker="o", color=colour, markersize=6)
    axes.set_yticks(range(len(order)), [judgement.before[number].case for number in order], fontsize=7)
    axes.axvline(judgement.mean_before, color=_SAME, linestyle=":", linewidth=1)
    axes.axvline(judgement.mean_after, color="black", linestyle="--", linewidth=1)
    axes.set_title(
        f"Held-out: {judgement.mean_before:.3f} (hollow) to {judgement.mean_after:.3f} (full): "
        f"{judgement.verdict.value}",
        fontsize=10,
    )
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlabel("3D Dice from one box")
    axes.grid(alpha=0.25, axis="x")
