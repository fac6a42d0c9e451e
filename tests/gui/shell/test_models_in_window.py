"""Models and adapters from the real window: chosen with keys, loaded in its thread, remembered, and exact when off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from hemaview.gui.main_window import MainWindow
from hemaview.gui.models_dialog import ModelsDialog
from hemaview.gui.theme import apply_theme
from hemaview.segmentation import BoxPrompt
from hemaview.segmentation.adapter_store import AdapterStore
from hemaview.segmentation.adapters import AdapterCard, AdapterConfig, LoraConfig, save_adapter
from hemaview.segmentation.adapters.inject import inject
from hemaview.segmentation.compact.weights import load_fine
from hemaview.segmentation.registry import model_records


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HEMAVIEW_MODELS", str(tmp_path / "mine"))
    return tmp_path / "mine"


@pytest.fixture
def adapter(tmp_path) -> Path:
    """An adapter of the shipped model whose random corrections change what it answers; put among the others."""
    torch.manual_seed(1)
    record = model_records()[0]
    config = AdapterConfig(lora=LoraConfig())
    net = inject(load_fine(record, folded=False), config)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.3)
    card = AdapterCard("Site B", "compact", record.fingerprint, config, "noise", {}, "2026-11-22", "test")
    save_adapter(tmp_path / "b.safetensors", {"fine": net}, card)
    return AdapterStore().add(tmp_path / "b.safetensors").path


@pytest.fixture
def start(qtbot, cases):
    """Show a window with the real models and wait until one answers."""
    apply_theme(QApplication.instance())
    windows = []

    def build() -> MainWindow:
        window = MainWindow(cases)
        windows.append(window)
        with qtbot.waitExposed(window):
            window.show()
        window.activateWindow()
        assert QTest.qWaitForWindowActive(window, 10_000)
        qtbot.waitUntil(lambda: window.workflow.engine is not None, timeout=60_000)
        return window

    yield build
    for window in windows:
        window.close()
        window.deleteLater()


def in_dialog(qtbot, window, act) -> None:
    """Press Ctrl+M, let ``act(dialog)`` work in the dialog, and close it with Esc."""
    failures = []

    def work() -> None:
        dialog = next(w for w in QApplication.topLevelWidgets() if isinstance(w, ModelsDialog) and w.isVisible())
        try:
            qtbot.waitUntil(lambda: not dialog.is_busy and bool(dialog.cards), timeout=30_000)
            act(dialog)
            qtbot.waitUntil(lambda: not dialog.is_busy, timeout=60_000)
        except BaseException as failure:
            failures.append(failure)
        finally:
            QTest.keyClick(dialog, Qt.Key.Key_Escape)

    QTimer.singleShot(300, work)
    QTest.keyClick(window, Qt.Key.Key_M, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: QApplication.activeModalWidget() is None, timeout=60_000)
    if failures:
        raise failures[0]


def choose(key):
    def act(dialog) -> None:
        box = dialog.cards["compact"].adapter
        box.setFocus()
        QTest.keyClick(box, key)

    return act


def answer(window) -> np.ndarray:
    """The probability for one box, as the case keeps it after the engine has answered."""
    answers = []
    window.workflow.segmentation.finished.connect(lambda scan, found: answers.append(found))
    low, high = (14.5, 24.5, 6.5), (38.5, 46.5, 15.5)
    window.workflow.prompts.segment_box(BoxPrompt.from_index_bounds(window.state.geometry, low, high))
    assert window.settle(60)
    return answers[-1].probability


def test_an_adapter_is_switched_on_remembered_and_off_without_a_trace(start, qtbot, scan_file, adapter):
    window = start()
    window.open_files([scan_file])
    assert window.settle(60)
    assert "Site B" not in window.status_text
    base = answer(window)

    in_dialog(qtbot, window, choose(Qt.Key.Key_Down))
    assert "HEMAVIEW compact + Site B" in window.status_text
    assert window.workflow.engine_choice.adapter == adapter
    adapted = answer(window)
    assert adapted.shape != base.shape or not np.array_equal(adapted, base)
    window.close()

    again = start()
    assert "Site B" in again.status_text
    again.open_files([scan_file])
    assert again.settle(60)
    in_dialog(qtbot, again, choose(Qt.Key.Key_Up))
    assert "Site B" not in again.status_text
    assert np.array_equal(answer(again), base)


def test_an_adapter_that_is_gone_leaves_the_bundled_model_with_a_sentence(start, qtbot, adapter):
    first = start()
    first.workflow.use_engine("compact", adapter)
    qtbot.waitUntil(lambda: bool(first.workflow.engine and first.workflow.engine.adapter), timeout=60_000)
    first.close()
    adapter.unlink()
    window = start()
    assert window.workflow.engine.name == "compact"
    assert window.workflow.engine.adapter == ""
    assert "b.safetensors" in window.messages.text
