"""The demo: the sample phantom in the window, or the same window unseen with its results in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hemaview.case.headless import RECORD_NAME, make_folder
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
        print(comparison(sample, _record(folder / RECORD_NAME)))
        print(f"Window, mask, volumes and surface are in {folder}")
    return code


def comparison(sample: Sample, record: Mapping[str, Any]) -> str:
    """The volumes in mL of a ``segmentation.json`` beside the one that was built into the phantom."""
    lines = [f"{sample.title}", f"{'method':<12}{'mL':>8}{'error':>9}"]
    for reading in record["readings"]:
        method, value = reading["method"], reading["value_ml"]
        if value is None:
            lines.append(f"{method:<12}{'-':>8}{'-':>9}   {reading['reason']}")
        else:
            lines.append(f"{method:<12}{value:8.2f}{value / sample.true_volume_ml - 1:+9.1%}")
    lines.append(f"{'true':<12}{sample.true_volume_ml:8.2f}{'':9}   by construction of the phantom")
    return "\n".join(lines)


def _record(path: Path) -> dict[str, Any]:
    """What the window wrote, so that what is printed is what is in the file."""
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"The demo's {path.name} cannot be read back; choose another folder with --out.") from error
    if record["surface_refused"] is not None:
        raise ExportError(record["surface_refused"])
    return record
