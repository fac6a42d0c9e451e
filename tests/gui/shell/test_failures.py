"""What goes wrong for the user: one sentence that says what to do, and the case is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from bright_engine import BrightEngine
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog

from hemaview.case import Case
from hemaview.errors import ModelError
from hemaview.gui.main_window import MainWindow
from hemaview.gui.session import SessionMark
from hemaview.imaging import Plane
from hemaview.segmentation.contract import BoxPrompt
from hemaview.segmentation.registry import load_engine

CONTROL = Qt.KeyboardModifier.ControlModifier


def one_sentence(text: str) -> bool:
    return text.endswith(".") and "Traceback" not in text and "\n" not in text and len(text) > 20


@pytest.mark.parametrize("content", [b"", b"not a scan at all " * 20, b"\x1f\x8b\x08\x00cut off"])
def test_a_bad_file_gets_one_sentence_and_the_open_case_stays(hand, tmp_path, content, lesion):
    hand.draw_box()
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(content)
    hand.window.open_files([bad])
    assert hand.window.settle(30)
    assert one_sentence(hand.window.messages.text)
    assert "bad.nii.gz" in hand.window.messages.text
    np.testing.assert_array_equal(hand.window.state.mask, lesion)


def test_a_bad_file_among_good_ones_does_not_keep_them_out(open_window, scan_file, tmp_path):
    window = open_window().window
    bad = tmp_path / "bad.nii"
    bad.write_bytes(b"nothing")
    window.open_files([bad, scan_file])
    assert window.settle(60)
    assert len(window.case.scans) == 1
    assert one_sentence(window.messages.text)


def test_an_altered_model_is_named_and_everything_else_works(open_window, scan_file, tmp_path, lesion):
    folder = tmp_path / "models"
    (folder / "compact").mkdir(parents=True)
    (folder / "compact" / "net.safetensors").write_bytes(b"changed")
    (folder / "registry.toml").write_text(
        '[[model]]\nname = "compact"\ntitle = "Compact"\n'
        'engine = "hemaview.segmentation.compact.engine:CompactSegmenter"\n'
        'licence = "Apache-2.0"\norigin = "here"\ntrained_on = "phantoms"\ncard = "compact/card.md"\n'
        '[[model.file]]\nrole = "coarse"\npath = "compact/net.safetensors"\nsha256 = "' + "0" * 64 + '"\nbytes = 7\n',
        encoding="utf-8",
    )
    hand = open_window(engine_loader=lambda: load_engine("compact", registry=folder / "registry.toml"))
    window = hand.window
    assert one_sentence(window.messages.text)
    assert "reinstall" in window.messages.text or "lists no file" in window.messages.text
    assert "No model" in window.status_text
    window.open_files([scan_file])
    assert window.settle(60)
    hand.draw_box()
    assert one_sentence(window.messages.text)
    assert window.case.box is not None
    assert window.state.preview is None
    # Brush and volumes need no model.
    hand.key(Qt.Key.Key_E)
    hand.drag(Plane.AXIAL, (22, 36, 11), (30, 36, 11))
    assert window.settle(30)
    assert window.case.mask.voxel_count > 0
    assert window.volumes.readings is not None


def test_a_model_put_back_is_used_for_the_next_box(open_window, scan_file, lesion):
    missing = [True]

    def load():
        if missing:
            raise ModelError("The model file is missing; reinstall HEMAVIEW or restore it.")
        return BrightEngine()

    hand = open_window(engine_loader=load)
    hand.window.open_files([scan_file])
    assert hand.window.settle(60)
    missing.clear()
    hand.draw_box()
    np.testing.assert_array_equal(hand.window.case.mask.array, lesion)


def test_a_model_that_finds_no_memory_is_not_said_to_be_broken(open_window, scan_file, lesion):
    short = [True]

    def load():
        if short:
            raise MemoryError
        return BrightEngine()

    hand = open_window(engine_loader=load)
    assert "not enough memory for the model" in hand.window.messages.text
    assert "reinstall" not in hand.window.messages.text
    hand.window.open_files([scan_file])
    assert hand.window.settle(60)
    short.clear()
    hand.draw_box()
    np.testing.assert_array_equal(hand.window.case.mask.array, lesion)


def test_an_engine_that_breaks_is_reported_and_the_next_box_works(open_window, scan_file, lesion):
    class Breaks(BrightEngine):
        def segment(self, volume, prompt, **options):
            if volume.geometry.size == (72, 80, 24) and not self.calls:
                self.calls.append(prompt)
                raise ZeroDivisionError("inside")
            return super().segment(volume, prompt, **options)

    hand = open_window(engine_loader=Breaks)
    hand.window.open_files([scan_file])
    assert hand.window.settle(60)
    hand.draw_box()
    assert one_sentence(hand.window.messages.text)
    assert hand.window.case.box is not None
    hand.window.workflow.prompts.segment_box(hand.window.case.box)
    assert hand.window.settle(30)
    np.testing.assert_array_equal(hand.window.case.mask.array, lesion)


def test_nothing_found_says_what_to_do(hand):
    window = hand.window
    empty = BoxPrompt.from_index_bounds(window.state.geometry, (40.5, 50.5, 8.5), (50.5, 60.5, 12.5))
    window.workflow.prompts.segment_box(empty)
    assert window.settle(30)
    assert one_sentence(window.messages.text)
    assert "brush" in window.messages.text
    assert window.volumes.readings[0].value_ml in (0.0, None)
    assert window.grid.space.lesion is None


def test_closing_during_inference_ends_the_thread_and_keeps_the_box(open_window, scan_file, cases):
    engine = BrightEngine(threading.Event())
    hand = open_window(engine_loader=lambda: engine)
    window = hand.window
    window.open_files([scan_file])
    assert window.settle(60)
    window.state.set_cursor((26, 36, 11))
    hand.key(Qt.Key.Key_B)
    hand.drag(Plane.AXIAL, (15, 27, 11), (37, 45, 11))
    assert engine.started.wait(20)
    directory, box = window.case.directory, window.case.box
    began = time.monotonic()
    window.close()
    assert time.monotonic() - began < 20
    assert not window.workflow.segmentation.worker.isRunning()
    with Case.open(directory) as case:
        assert case.box == box
        assert case.mask is None


def test_esc_cancels_a_segmentation_and_a_new_box_wins(open_window, scan_file, lesion):
    engine = BrightEngine(threading.Event())
    hand = open_window(engine_loader=lambda: engine)
    window = hand.window
    window.open_files([scan_file])
    assert window.settle(60)
    window.state.set_cursor((26, 36, 11))
    hand.key(Qt.Key.Key_B)
    hand.drag(Plane.AXIAL, (15, 27, 11), (37, 45, 11))
    assert engine.started.wait(20)
    hand.key(Qt.Key.Key_Escape)
    assert not window.workflow.is_busy
    assert window.state.preview is None
    assert one_sentence(window.messages.text)
    small = BoxPrompt.from_index_bounds(window.state.geometry, (15.5, 27.5, 8.5), (37.5, 45.5, 10.5))
    large = BoxPrompt.from_index_bounds(window.state.geometry, (10.5, 20.5, 0.5), (45.5, 55.5, 22.5))
    window.workflow.prompts.segment_box(small)
    window.workflow.prompts.segment_box(large)
    engine.gate.set()
    assert window.settle(30)
    assert window.case.box == large
    np.testing.assert_array_equal(window.case.mask.array, lesion)


def test_an_export_that_cannot_be_written_says_so(hand, tmp_path, monkeypatch):
    hand.draw_box()
    target = tmp_path / "missing" / "haematoma.stl"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args, **kwargs: (str(target), ""))
    hand.key(Qt.Key.Key_E, CONTROL)
    assert hand.window.settle(30)
    assert one_sentence(hand.window.messages.text)
    assert not target.exists()


def test_a_case_that_was_open_when_the_program_died_comes_back(open_window, scan_file, cases, lesion):
    hand = open_window()
    hand.window.open_files([scan_file])
    assert hand.window.settle(60)
    hand.draw_box()
    directory = hand.window.case.directory
    hand.window.close()
    # What a killed window leaves behind: its mark, under a process number that no longer runs.
    mark = SessionMark(cases)
    mark.set(directory)
    (found,) = cases.glob(".window-*.open")
    found.rename(cases / ".window-999999999.open")
    again = open_window(reopen=True)
    assert again.window.settle(60)
    assert again.window.case.directory == directory
    np.testing.assert_array_equal(again.window.state.mask, lesion)
    assert again.window.volumes.readings is not None
    again.window.close()
    assert not list(cases.glob(".window-*.open"))


def test_a_scan_that_moved_is_named_when_its_case_is_reopened(open_window, scan_file, cases):
    hand = open_window()
    hand.window.open_files([scan_file])
    assert hand.window.settle(60)
    directory = hand.window.case.directory
    hand.window.workflow.close_case()
    scan_file.rename(scan_file.with_name("elsewhere.nii.gz"))
    hand.window.open_files([directory])
    assert hand.window.settle(60)
    assert hand.window.case.directory == directory
    assert "no longer" in hand.window.messages.text
    assert hand.window.state.volume is None


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from hemaview.gui.app import make_application
from hemaview.gui.main_window import MainWindow
sys.path.insert(0, sys.argv[3])
from bright_engine import BrightEngine
make_application(offscreen=sys.argv[4] == "offscreen")
window = MainWindow(Path(sys.argv[1]), engine_source=lambda choice: BrightEngine())
window.resize(1600, 1000)
window.show()
window.open_files([Path(sys.argv[2])])
assert window.settle(90)
from hemaview.segmentation.contract import BoxPrompt
box = BoxPrompt.from_index_bounds(window.state.geometry, (10.5, 20.5, 0.5), (45.5, 55.5, 22.5))
window.workflow.prompts.segment_box(box)
assert window.settle(90)
print("scene", window.grid.space.has_scene)
print("problem", window.grid.space.problem)
print("volume", window.volumes.readings[0].value_ml)
window.messages.dismiss()
window.settle(10)
window.grab_to(Path(sys.argv[1]) / "window.png")
window.close()
print("closed")
"""


def run_window(cases, scan_file, mode: str, **environment: str) -> str:
    cases.mkdir(exist_ok=True)
    here = str(Path(__file__).parent)
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(cases), str(scan_file), here, mode],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert "closed" in answer.stdout
    return answer.stdout


def test_without_opengl_the_rest_of_the_window_works(cases, scan_file, lesion_ml):
    said = run_window(cases, scan_file, "screen", QT_XCB_GL_INTEGRATION="none")
    assert "scene False" in said
    assert "OpenGL" in said
    assert f"volume {lesion_ml}" in said


def test_without_a_screen_the_same_window_draws_its_picture(cases, scan_file, lesion_ml):
    said = run_window(cases, scan_file, "offscreen", DISPLAY="", WAYLAND_DISPLAY="")
    assert "scene True" in said
    assert f"volume {lesion_ml}" in said
    from PySide6.QtGui import QImage

    picture = QImage(str(cases / "window.png"))
    assert (picture.width(), picture.height()) == (1600, 1000)
    # The 3D pane, lower right of the viewers, shows the haematoma's orange, also through the slices.
    colours = (picture.pixelColor(x, y) for x in range(640, 1220, 3) for y in range(560, 960, 3))
    assert sum(1 for c in colours if c.red() > c.blue() + 50 and c.green() > c.blue() + 10) > 300


def test_none_keeps_its_references_when_the_window_repaints(hand):
    widget: MainWindow = hand.window
    widget.update()
    before = sys.getrefcount(None)
    for _ in range(1000):
        widget.update()
    assert abs(sys.getrefcount(None) - before) < 100
