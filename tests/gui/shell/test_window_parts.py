"""Actions, keys, palette, panels, start page and theme."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QTextBrowser

from hemaview.gui.about_dialog import AboutDialog
from hemaview.gui.actions import SEPARATOR, SPECS
from hemaview.gui.command_palette import match_rank
from hemaview.gui.icons import icon
from hemaview.gui.keys_dialog import KeysDialog
from hemaview.gui.theme import COLOURS, TEXT_PAIRS, contrast_ratio, style_sheet
from hemaview.gui.view_state import Tool
from hemaview.gui.volume_texts import clipboard_text, disagreement, interval_text, value_text
from hemaview.imaging import Plane
from hemaview.volumetry import Reading, ReadingKind

CONTROL = Qt.KeyboardModifier.ControlModifier

EXPECTED_KEYS = {
    "tool_crosshair": "C", "tool_window": "W", "tool_box": "B", "tool_brush": "E", "tool_eraser": "X",
    "window_auto": "0", "overlay": "S", "brush_smaller": "[", "brush_larger": "]", "slice_next": "PgUp",
    "slice_previous": "PgDown", "fit": "R", "undo": "Ctrl+Z", "open": "Ctrl+O", "save_results": "Ctrl+S",
    "guide": "F1", "keys": "Shift+F1", "palette": "Ctrl+K", **{f"preset_{n}": str(n) for n in range(1, 10)},
}  # fmt: skip


def test_every_action_is_in_a_menu_and_no_key_is_taken_twice(open_window):
    window = open_window().window
    keys = Counter(
        key.toString(QKeySequence.SequenceFormat.PortableText)
        for _, action in window.actions_table.all()
        for key in action.shortcuts()
    )
    assert [key for key, count in keys.items() if count > 1] == []
    for action_id, key in EXPECTED_KEYS.items():
        found = [
            k.toString(QKeySequence.SequenceFormat.PortableText) for k in window.actions_table[action_id].shortcuts()
        ]
        assert key in found, action_id
    assert {k.toString() for k in window.actions_table["redo"].shortcuts()} == {"Ctrl+Shift+Z", "Ctrl+Y"}
    menus = {menu.title().replace("&", ""): menu for menu in (a.menu() for a in window.menuBar().actions())}
    for spec in SPECS:
        if spec.id != SEPARATOR:
            assert window.actions_table[spec.id] in menus[spec.menu].actions()


def test_every_icon_of_an_action_exists():
    for spec in SPECS:
        if spec.icon:
            assert not icon(spec.icon).isNull(), spec.icon


def test_keys_choose_tools_and_change_the_view(hand):
    window, state = hand.window, hand.window.state
    for key, tool in (
        ("W", Tool.WINDOW),
        ("B", Tool.BOX),
        ("E", Tool.BRUSH),
        ("X", Tool.ERASER),
        ("C", Tool.CROSSHAIR),
    ):
        hand.key(getattr(Qt.Key, f"Key_{key}"))
        assert state.tool is tool
        assert window.actions_table[f"tool_{tool.value}"].isChecked()
    hand.key(Qt.Key.Key_S)
    assert not state.overlay.visible
    assert not window.display.visible.isChecked()
    hand.key(Qt.Key.Key_S)
    assert state.overlay.visible
    radius = state.brush_radius_mm
    hand.key(Qt.Key.Key_BracketRight)
    assert state.brush_radius_mm > radius
    hand.key(Qt.Key.Key_BracketLeft)
    assert state.brush_radius_mm == pytest.approx(radius)
    window.grid.frames[Plane.AXIAL].view.setFocus()
    index = state.slice_index(Plane.AXIAL)
    hand.key(Qt.Key.Key_PageUp)
    assert state.slice_index(Plane.AXIAL) == index + 1
    hand.key(Qt.Key.Key_PageDown)
    assert state.slice_index(Plane.AXIAL) == index
    auto = state.window
    hand.key(Qt.Key.Key_3)
    assert state.window != auto
    hand.key(Qt.Key.Key_0)
    assert state.window == auto
    view = window.grid.frames[Plane.AXIAL].view
    fitted = view.transform.zoom
    view.zoom_by(2.0)
    hand.key(Qt.Key.Key_R)
    assert view.transform.zoom == pytest.approx(fitted)


def test_the_palette_finds_an_action_by_its_words_and_runs_it(hand):
    window = hand.window
    hand.key(Qt.Key.Key_K, CONTROL)
    assert window.palette_box.isVisible()
    QTest.keyClicks(QApplication.focusWidget(), "eras")
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    assert not window.palette_box.isVisible()
    assert window.state.tool is Tool.ERASER
    hand.key(Qt.Key.Key_K, CONTROL)
    QTest.keyClicks(QApplication.focusWidget(), "b")
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
    assert not window.palette_box.isVisible()
    assert window.state.tool is Tool.ERASER


def test_palette_ranks():
    assert match_rank("exp", "Export STL…") == 0
    assert match_rank("stl", "Export STL…") == 1
    assert match_rank("stl export", "Export STL…") == 2
    assert match_rank("bone", "Export STL…") is None


def test_the_start_page_says_how_to_begin_and_reopens_recent_cases(open_window, scan_file, lesion):
    hand = open_window()
    window = hand.window
    words = " ".join(label.text() for label in window.start_page.findChildren(QLabel))
    assert "Not a medical device" in words
    assert "Draw a box" in words
    window.open_files([scan_file])
    assert window.settle(60)
    hand.draw_box()
    hand.key(Qt.Key.Key_W, CONTROL)
    assert window.case is None
    assert window.start_page.isVisible()
    assert window.windowTitle() == "HEMAVIEW"
    QApplication.processEvents()
    (row,) = [b for b in window.start_page.findChildren(QPushButton) if "1 scan" in b.text() and b.isVisible()]
    QTest.mouseClick(row, Qt.MouseButton.LeftButton)
    assert window.settle(60)
    assert (window.state.mask == lesion).all()


def test_every_control_of_the_window_can_be_reached_by_keyboard_and_has_a_name(hand):
    window = hand.window
    reached = []
    widget = window
    for _ in range(200):
        widget = widget.nextInFocusChain()
        if widget is window:
            break
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible() and widget.isEnabled():
            reached.append(widget)
    assert window.display.opacity in reached or window.display.opacity in {w.parent() for w in reached}
    assert all(frame.view in reached for frame in window.grid.frames.values())
    for button in reached:
        if isinstance(button, QPushButton):
            assert button.text() or button.accessibleName()


def test_the_display_panel_and_the_views_follow_each_other(hand):
    window, state = hand.window, hand.window.state
    window.display.opacity.setValue(70)
    assert state.overlay.opacity == pytest.approx(0.7)
    state.set_overlay(replace(state.overlay, opacity=0.2, fill=False))
    assert window.display.opacity.value() == 20
    assert not window.display.fill.isChecked()
    assert not window.display.opacity.isEnabled()


def test_dialogs_hold_what_they_promise(open_window):
    window = open_window().window
    about = AboutDialog(window.workflow.engine, window)
    keys = KeysDialog(window.actions_table, window)
    about_text = about.findChild(QTextBrowser).toPlainText()
    assert "Bright voxels" in about_text
    assert "LGPL" in about_text
    keys_text = keys.findChild(QTextBrowser).toPlainText()
    assert "Ctrl+K" in keys_text
    assert "Wheel" in keys_text


def test_text_contrast_is_at_least_four_and_a_half_to_one():
    for text, ground in TEXT_PAIRS:
        ratio = contrast_ratio(getattr(COLOURS, text), getattr(COLOURS, ground))
        assert ratio >= 4.5, f"{text} on {ground}: {ratio:.2f}"
    assert contrast_ratio("#000000", "#ffffff") == pytest.approx(21)


def test_the_style_sheet_is_complete_and_shows_the_focus():
    sheet = style_sheet()
    assert "$" not in sheet
    for widget in ("QPushButton", "QToolButton", "QLineEdit", "QSlider", "QListView"):
        assert re.search(rf"{widget}[^{{]*:focus", sheet), widget


def reading(kind, value, **more) -> Reading:
    return Reading(kind, value, reason=None if value is not None else "There is no mask.", **more)


def test_volume_texts():
    direct, tada = reading(ReadingKind.DIRECT, 20.0), reading(ReadingKind.TADA, 26.0)
    corrected = reading(ReadingKind.CORRECTED, 22.0, interval_ml=(19.5, 24.5))
    assert value_text(direct) == "20.0"
    assert value_text(reading(ReadingKind.DIRECT, 0.123)) == "0.12"
    assert value_text(reading(ReadingKind.TADA, None)) == "–"
    assert interval_text(corrected) == "90 % interval 19.5 – 24.5 mL"
    line = disagreement((direct, tada, corrected))
    assert "6.0 mL (+30%) above" in line
    assert "too small" in line
    assert "agrees" in disagreement((direct, reading(ReadingKind.TADA, 20.4), corrected))
    assert disagreement((reading(ReadingKind.DIRECT, None), tada, corrected)) == ""
    copied = clipboard_text((direct, tada, corrected))
    assert copied.splitlines()[0] == "Direct\t20.0 mL"
    assert len(copied.splitlines()) == 3
