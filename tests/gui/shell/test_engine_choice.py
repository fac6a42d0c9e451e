"""Changing the model while the window runs, and what is remembered of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bright_engine import BrightEngine
from PySide6.QtCore import Qt

from hemaview.errors import ModelError
from hemaview.gui.engine_choice import CHOICE_NAME, EngineChoice, keep_choice, read_choice
from hemaview.gui.inference_worker import FALLBACK


class Models:
    """Builds engines by choice; "broken" cannot be built."""

    def __init__(self) -> None:
        self.built: list[EngineChoice] = []

    def __call__(self, choice: EngineChoice) -> BrightEngine:
        self.built.append(choice)
        if choice.name == "broken":
            raise ModelError("The model broken is missing; add it again.")
        engine = BrightEngine()
        adapter = "" if choice.adapter is None else f"{choice.adapter.stem} 0123456789ab"
        engine.info = replace(engine.info, name=choice.name, title=f"Model {choice.name}", adapter=adapter)
        return engine


def _wait(hand, qtbot, name: str) -> None:
    qtbot.waitUntil(lambda: hand.window.workflow.engine.name == name, timeout=30_000)


def test_another_model_and_adapter_answer_the_next_box_and_the_next_start(open_window, scan_file, qtbot, cases):
    models = Models()
    hand = open_window(engine_source=models)
    window = hand.window
    window.open_files([scan_file])
    assert window.settle(60)
    window.workflow.use_engine("other", Path("ward.safetensors"))
    _wait(hand, qtbot, "other")
    assert "Model other + ward 0123456789ab" in window.status_text
    hand.draw_box()
    assert window.case.segmentation.engine.adapter == "ward 0123456789ab"
    assert "ward" in window.answer.text
    assert read_choice(cases) == window.workflow.engine_choice == EngineChoice("other", Path("ward.safetensors"))
    window.close()
    again = open_window(engine_source=models)
    assert again.window.workflow.engine.name == "other"


def test_a_model_that_cannot_be_loaded_leaves_the_one_in_force(open_window, qtbot, cases):
    hand = open_window(engine_source=Models())
    heard = []
    hand.window.workflow.engine_changed.connect(lambda info, problem: heard.append((info.name, problem)))
    hand.window.workflow.use_engine("broken")
    qtbot.waitUntil(lambda: heard != [], timeout=30_000)
    assert heard == [("compact", "The model broken is missing; add it again.")]
    assert "broken is missing" in hand.window.messages.text
    assert not (cases / CHOICE_NAME).exists()


def test_a_remembered_model_that_is_gone_is_replaced_by_the_bundled_one(open_window, cases):
    keep_choice(cases, EngineChoice("broken"))
    hand = open_window(engine_source=Models())
    assert hand.window.workflow.engine.name == "compact"
    assert hand.window.messages.text == f"The model broken is missing; add it again. {FALLBACK}"


def test_segmenting_again_asks_the_new_model_with_the_same_box(open_window, scan_file, qtbot):
    hand = open_window(engine_source=Models())
    window = hand.window
    window.open_files([scan_file])
    assert window.settle(60)
    hand.draw_box()
    window.workflow.use_engine("other")
    _wait(hand, qtbot, "other")
    hand.key(Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    assert window.settle(30)
    assert window.case.segmentation.engine.name == "other"
    assert window.case.undo_text == "Segment"


def test_a_damaged_choice_is_the_bundled_model(tmp_path):
    for content in ("", "{", "[]", '{"name": 3}', '{"adapter": null}'):
        (tmp_path / CHOICE_NAME).write_text(content)
        assert read_choice(tmp_path) == EngineChoice()
