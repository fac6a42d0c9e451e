"""Adapting to one's own cases: choosing them, the training's process, the verdict, and the window meanwhile."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from bright_engine import BrightEngine
from PySide6.QtCore import Qt

from hemaview.case import Case
from hemaview.case.headless import segment_scan
from hemaview.gui.adapt_dialog import WORSE, AdaptDialog
from hemaview.gui.training_process import failure_sentence, parse_progress
from hemaview.imaging import Geometry, Volume
from hemaview.segmentation.contract import BoxPrompt

SMALL_TRAIN = Path(__file__).with_name("small_train.py")
GEOMETRY = Geometry((20, 20, 6), (2.0, 2.0, 5.0))


def _case(root: Path, number: int, *, checked: bool = True) -> None:
    array = np.zeros(GEOMETRY.shape, np.int16)
    array[1:5, 5:15, 5:15] = 900
    array[0, 0, 0] = number
    volume = Volume(array, GEOMETRY)
    box = BoxPrompt.from_index_bounds(GEOMETRY, (3.5, 3.5, 0.5), (16.5, 16.5, 4.5))
    with Case.create(root) as case:
        case.add_scan(root / f"{number}.nii.gz", volume)
        case.set_box(box)
        case.set_segmentation(BrightEngine().segment(volume, box))
        if checked:
            case.set_checked(True)
    assert segment_scan(root / "x.nii", volume, box, BrightEngine()).mask.voxel_count == 400


@pytest.fixture
def library(cases):
    """Five checked cases and one that nobody looked at."""
    for number in range(6):
        _case(cases, number, checked=number < 5)
    return cases


@pytest.fixture
def dialog(open_window, library, tmp_path, qtbot):
    window = open_window().window

    def command() -> list[str]:
        return [sys.executable, str(SMALL_TRAIN)]

    dialog = window.models.adapting = AdaptDialog(window.workflow, window, command=command, runs=tmp_path / "runs")
    window.actions_table["adapt"].trigger()
    qtbot.waitUntil(lambda: dialog.choose.table.rowCount() == 5, timeout=20_000)
    return dialog


def test_only_vouched_masks_are_listed_without_names_and_too_few_do_not_start(dialog):
    table = dialog.choose.table
    texts = {table.item(row, column).text() for row in range(5) for column in range(5)}
    assert "✓ checked" in texts
    assert "16.0 mL" not in texts
    assert "8.0 mL" in texts
    assert not any(".nii" in text for text in texts)
    assert dialog.choose.can_start
    for row in range(2):
        table.item(row, 0).setCheckState(Qt.CheckState.Unchecked)
    assert not dialog.choose.can_start
    assert "one more scan" in dialog.choose.text
    assert len(dialog.choose.chosen) == 3


def test_a_run_shows_its_progress_and_a_better_adapter_is_offered(dialog, qtbot, library):
    told = []
    dialog.process.progressed.connect(told.append)
    dialog.choose.start_requested.emit()
    assert dialog.page is dialog.progress
    qtbot.waitUntil(lambda: dialog.page is dialog.judgement, timeout=30_000)
    assert [one.done for one in told] == [1, 2, 3, 4, 5]
    assert dialog.progress.curve.losses[-1] == pytest.approx(0.2)
    assert dialog.progress.text == "Learning"
    assert dialog.judgement.can_use
    assert "Better" in dialog.judgement.text
    assert "0.800 before, 0.900 after" in dialog.judgement.text
    assert dialog.judgement.table.item(0, 6).text() == "▲ better"
    (run,) = dialog._runs.iterdir()
    given = json.loads((run / "given.json").read_text())
    assert given[given.index("--library") + 1] == str(library)
    assert len(given[given.index("--cases") + 1].split(",")) == 5
    assert given[given.index("--base") + 1] == "compact"
    dialog.use_adapter()
    qtbot.waitUntil(lambda: not dialog.is_busy, timeout=60_000)
    assert "adapter" in dialog.judgement.text.lower(), "what is no adapter is refused with a sentence"
    assert dialog.isVisible()


def test_a_worse_adapter_is_refused(dialog, qtbot, monkeypatch):
    monkeypatch.setenv("SMALL_TRAIN", "worse")
    dialog.start()
    qtbot.waitUntil(lambda: dialog.page is dialog.judgement, timeout=30_000)
    assert not dialog.judgement.can_use
    assert "worse than the model alone" in dialog.judgement.text
    dialog.use_adapter()
    assert WORSE in dialog.judgement.text


@pytest.mark.parametrize(
    ("how", "sentence"), [("refuses", "There are only 2 patients"), ("breaks", "stopped unexpectedly")]
)
def test_a_run_that_fails_says_why_and_can_be_started_again(dialog, qtbot, monkeypatch, how, sentence):
    monkeypatch.setenv("SMALL_TRAIN", how)
    dialog.start()
    qtbot.waitUntil(lambda: not dialog.process.running and dialog.page is dialog.choose, timeout=30_000)
    assert sentence in dialog.choose.text
    assert dialog.choose.can_start


def test_a_run_can_be_stopped_and_the_window_closes_only_when_told(dialog, qtbot, monkeypatch):
    monkeypatch.setenv("SMALL_TRAIN", "slow")
    window = dialog.parent()
    dialog.start()
    qtbot.waitUntil(lambda: bool(dialog.progress.curve.losses), timeout=30_000)
    dialog.process.stop()
    qtbot.waitUntil(lambda: dialog.page is dialog.choose, timeout=30_000)
    assert "nothing was changed" in dialog.choose.text
    dialog.start()
    qtbot.waitUntil(lambda: dialog.process.running, timeout=30_000)
    dialog.close()
    assert dialog.process.running, "the dialog is only out of sight"
    window.models.confirm = lambda: False
    assert not window.close()
    assert window.isVisible()
    window.models.confirm = lambda: True
    assert window.close()
    assert not dialog.process.running


def test_lines_that_are_no_progress_are_passed_over():
    assert parse_progress(b"") is None
    assert parse_progress(b"[1, 2]") is None
    assert parse_progress(b'{"stage": "training", "done": 1}') is None
    assert parse_progress(b'{"stage": "a", "done": 1, "total": 2, "loss": null, "dice": null}').loss is None
    assert failure_sentence("") == failure_sentence("Traceback (most recent call last):\n  x")
