"""Preparing the scan on display in the window: what is shown and asked changes, what is measured does not."""

import numpy as np
import pytest
from bright_engine import LESION_VALUE, BrightEngine, head
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from hemaview.case import Case
from hemaview.gui.prepare_dialog import CANCELLED, PrepareDialog
from hemaview.imaging.preprocessing import BiasFieldStep, DenoiseStep


class Watching(BrightEngine):
    """Remembers the values that it was asked with."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list = []

    def segment(self, volume, prompt, **more):
        self.seen.append(volume)
        return super().segment(volume, prompt, **more)


@pytest.fixture
def engine() -> Watching:
    return Watching()


@pytest.fixture
def hand(open_window, scan_file, engine):
    hand = open_window(lambda: engine)
    hand.window.open_files([scan_file])
    assert hand.window.settle(60)
    return hand


def click(widget) -> None:
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=QPoint(10, widget.height() // 2))


def open_dialog(hand) -> PrepareDialog:
    hand.key(Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    dialog = hand.window.preparing.dialog
    assert dialog is not None
    assert QTest.qWaitForWindowExposed(dialog, 10_000)
    return dialog


def preview(qtbot, dialog: PrepareDialog, *names: str) -> None:
    for name in names:
        click(dialog.choice.ticks[name])
    click(dialog.preview)
    qtbot.waitUntil(lambda: not dialog.is_busy and dialog.pictures.after is not None, timeout=60_000)


def use(qtbot, hand, dialog: PrepareDialog, *, display: bool = True, model: bool = False) -> None:
    for box, wanted in ((dialog.for_display, display), (dialog.for_model, model)):
        if box.isChecked() is not wanted:
            click(box)
    click(dialog.use)
    back_to_window(qtbot, hand)


def back_to_window(qtbot, hand) -> None:
    qtbot.waitUntil(lambda: hand.window.preparing.dialog is None, timeout=10_000)
    hand.window.activateWindow()
    assert QTest.qWaitForWindowActive(hand.window, 10_000)
    assert hand.window.settle(60)


def test_a_preview_changes_nothing_until_it_is_used(qtbot, hand):
    dialog = open_dialog(hand)
    assert not dialog.preview.isEnabled() and not dialog.use.isEnabled()
    preview(qtbot, dialog, "denoise")
    assert dialog.use.isEnabled()
    assert hand.window.case.active_scan.preparation is None
    assert hand.window.state.picture is hand.window.state.volume
    click(dialog.close_button)
    back_to_window(qtbot, hand)
    assert hand.window.case.active_scan.preparation is None


def test_the_viewers_show_it_and_the_readings_stay(qtbot, hand):
    hand.draw_box()
    case, state = hand.window.case, hand.window.state
    readings, mask, cursor, prompt = case.readings(), case.mask, state.cursor, case.prompt
    native = case.active_scan.volume
    dialog = open_dialog(hand)
    preview(qtbot, dialog, "denoise", "clahe")
    use(qtbot, hand, dialog)
    assert state.picture.prepared == ("denoise", "clahe")
    assert state.volume is native
    assert case.active_scan.volume is native
    assert (case.mask, case.prompt, state.cursor) == (mask, prompt, cursor)
    assert np.array_equal(state.mask, mask.array)
    assert [reading.value_ml for reading in case.readings()] == [reading.value_ml for reading in readings]
    assert state.picture_note == "prepared: denoise, clahe"


def test_one_key_switches_between_scan_and_prepared_scan(qtbot, hand):
    dialog = open_dialog(hand)
    preview(qtbot, dialog, "clahe")
    use(qtbot, hand, dialog)
    action, state = hand.window.actions_table["show_prepared"], hand.window.state
    assert action.isChecked()
    hand.key(Qt.Key.Key_P, Qt.KeyboardModifier.AltModifier)
    assert state.picture is state.volume and not action.isChecked()
    hand.key(Qt.Key.Key_P, Qt.KeyboardModifier.AltModifier)
    assert state.picture.prepared == ("clahe",) and action.isChecked()


def test_the_model_sees_it_only_when_told_and_never_local_contrast(qtbot, hand, engine):
    dialog = open_dialog(hand)
    preview(qtbot, dialog, "denoise", "clahe")
    use(qtbot, hand, dialog)
    hand.draw_box()
    assert engine.seen[-1].prepared == ()
    assert hand.window.case.segmentation.prepared == ()
    dialog = open_dialog(hand)
    # There is a box now, which the steps leave out, so the old result no longer holds.
    assert not dialog.use.isEnabled()
    preview(qtbot, dialog)
    use(qtbot, hand, dialog, model=True)
    hand.window.actions_table["segment_again"].trigger()
    assert hand.window.settle(60)
    assert engine.seen[-1].prepared == ("denoise",)
    case = hand.window.case
    assert case.segmentation.prepared == ("denoise",)
    assert case.mask.geometry == case.active_scan.volume.geometry


def test_local_contrast_alone_cannot_go_to_the_model(qtbot, hand):
    dialog = open_dialog(hand)
    preview(qtbot, dialog, "clahe")
    assert not dialog.for_model.isEnabled()
    click(dialog.choice.ticks["denoise"])
    assert dialog.for_model.isEnabled() and not dialog.use.isEnabled()


def test_a_preview_can_be_cancelled_and_the_window_stays_alive(qtbot, hand):
    dialog = open_dialog(hand)
    click(dialog.choice.ticks["n4"])
    click(dialog.preview)
    assert dialog.is_busy and dialog.stop.isEnabled()
    click(dialog.stop)
    assert not dialog.is_busy
    assert dialog.words.text() == CANCELLED
    preview(qtbot, dialog, "denoise")
    assert dialog.pictures.after.prepared == ("n4", "denoise")


def test_it_comes_back_with_the_case(qtbot, hand, open_window, engine):
    hand.draw_box()
    dialog = open_dialog(hand)
    preview(qtbot, dialog, "n4", "denoise")
    use(qtbot, hand, dialog, model=True)
    before = hand.window.state.picture.array
    directory, recorded = hand.window.case.directory, hand.window.case.active_scan.preparation
    assert recorded.steps == (BiasFieldStep(), DenoiseStep())
    assert len(recorded.boxes) == 1
    hand.window.close()
    again = open_window(lambda: engine).window
    again.open_files([directory])
    qtbot.waitUntil(lambda: again.state.picture is not None and again.state.picture.prepared != (), timeout=60_000)
    assert again.settle(60)
    assert again.case.active_scan.preparation == recorded
    assert np.allclose(again.state.picture.array, before, rtol=1e-3, atol=0.5)


def test_the_scan_as_it_is_comes_back_too(qtbot, hand):
    dialog = open_dialog(hand)
    preview(qtbot, dialog, "clahe")
    use(qtbot, hand, dialog)
    dialog = open_dialog(hand)
    assert dialog.choice.ticks["clahe"].isChecked()
    click(dialog.remove)
    back_to_window(qtbot, hand)
    state = hand.window.state
    assert state.picture is state.volume and hand.window.case.active_scan.preparation is None
    directory = hand.window.case.directory
    hand.window.workflow.close_case()
    with Case.open(directory) as case:
        assert case.active_scan.preparation is None


def test_the_probe_tells_the_scans_own_values(qtbot, hand):
    dialog = open_dialog(hand)
    preview(qtbot, dialog, "normalise")
    use(qtbot, hand, dialog)
    values = hand.window.state.volume.array
    assert values[head()[1]].max() == LESION_VALUE
    assert abs(float(np.median(hand.window.state.picture.array[values > 200]))) < 0.5
