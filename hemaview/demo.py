"""The demo: the sample phantom in the window, or the same window unseen with its results in a folder."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from hemaview.case.headless import CSV_NAME, make_folder
from hemaview.case.sample import Sample, load_sample
from hemaview.errors import ExportError
from hemaview.gui import app

DEFAULT_FOLDER = Path("hemaview-demo")


def run_demo(out: Path | None) -> int:
    """Show the sample phantom segmented; without a screen or with ``out`` write everything to a folder.

    The folder then holds window.png, mask.nii.gz, volumes.csv and haematoma.stl, and the three volumes are
    printed beside the true one. Returns the exit code. Raises ``ScanError`` without the sample, ``ExportError``
    when the folder cannot be written.
    """
    sample = load_sample()
    if out is None and app.has_screen():
        return app.run(demo=True)
    folder = (out or DEFAULT_FOLDER).absolute()
    make_folder(folder)
    code = app.run_demo(folder, offscreen=True)
    if code == 0:
        print(comparison(sample, _saved_volumes(folder / CSV_NAME)))
        print(f"Window, mask, volumes and surface are in {folder}")
    return code


def comparison(sample: Sample, volumes: Sequence[tuple[str, float | None]]) -> str:
    """The measured volumes in mL beside the one that was built into the phantom."""
    lines = [f"{sample.title} (phantom)", f"{'method':<12}{'mL':>8}{'error':>9}"]
    for method, value in volumes:
        if value is None:
            lines.append(f"{method:<12}{'-':>8}")
        else:
            lines.append(f"{method:<12}{value:8.2f}{value / sample.true_volume_ml - 1:+9.1%}")
    lines.append(f"{'true':<12}{sample.true_volume_ml:8.2f}   by construction of the phantom")
    return "\n".join(lines)


def _saved_volumes(path: Path) -> list[tuple[str, float | None]]:
    """Methods and mL as they were written, so that what is printed is what is in the file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise ExportError(f"The demo's {path.name} is missing; choose another folder with --out.") from error
    measured = ("direct", "tada", "corrected")
    return [
        (row["method"], float(row["value_mL"]) if row["value_mL"] else None)
        for row in rows
        if row["method"] in measured
    ]
