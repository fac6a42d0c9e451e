"""Choosing among the scans of a CD in the real window, with mouse and keyboard."""

from __future__ import annotations

import pytest
from browser_hand import NONE, every_index
from dicom_folder import write_series
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from hemaview.gui.import_tree import ITEM
from hemaview.imaging.reading import Verdict

CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def test_the_tree_shows_patients_studies_and_series_and_the_best_one_is_chosen(chooser):
    words = chooser.words
    for text in ("Doe, Jane", "Roe, John", "31 Jan 2020", "2 Feb 2020"):
        assert text in words
    assert len(chooser.shown) == 5
    assert chooser.chosen == [label for label in chooser.shown if "CT series 2" in label]
    details = chooser.browser.details
    assert "Measurable" in details.text
    assert details.preview.has_picture
    assert "1 file is no scan" in chooser.browser.text
    assert "2 patients" in chooser.browser.text


def test_enter_opens_what_is_chosen_and_no_name_leaves_the_browser(chooser, cases):
    window = chooser.window
    chooser.key(Qt.Key.Key_Return)
    assert window.settle(60)
    assert not chooser.browser.isVisible()
    assert [scan.geometry.size for scan in window.case.scans] == [(64, 48, 8)]
    assert "Doe" not in window.windowTitle() + window.messages.text + window.hint
    assert "Doe" not in chooser.words
    for file in cases.rglob("*"):
        if file.is_file():
            assert b"Doe" not in file.read_bytes()


def test_a_double_click_opens_that_series(chooser):
    chooser.double_click(5)
    assert chooser.window.settle(60)
    assert [scan.geometry.size for scan in chooser.window.case.scans] == [(32, 32, 4)]


def test_several_series_of_a_patient_open_as_one_case(chooser):
    chooser.click(3)
    chooser.click(4, CONTROL)
    chooser.click(2, CONTROL)
    browser = chooser.browser
    assert browser.open_button.text() == "Open 3 scans as one case"
    assert "3 series chosen" in browser.details.text
    chooser.press(browser.open_button)
    assert chooser.window.settle(60)
    assert [scan.geometry.size for scan in chooser.window.case.scans] == [(64, 48, 8), (40, 40, 6), (40, 40, 6)]
    assert chooser.window.case.active_scan is chooser.window.case.scans[0]


def test_scans_of_two_patients_are_not_one_case(chooser):
    chooser.click(2)
    chooser.click(5, CONTROL)
    assert not chooser.browser.open_button.isEnabled()
    assert "different patients" in chooser.browser.text
    chooser.key(Qt.Key.Key_Return)
    assert chooser.browser.isVisible()


def test_what_is_refused_says_why_and_does_not_open(chooser):
    (report,) = [item for item in chooser.browser.filter.shown() if item.summary.verdict is Verdict.REFUSED]
    assert report.summary.reason
    index = next(index for index in every_index(chooser.browser.filter) if index.data(ITEM) == report)
    chooser.browser.tree.scrollTo(index)
    at = chooser.browser.tree.visualRect(index).center()
    QTest.mouseClick(chooser.browser.tree.viewport(), Qt.MouseButton.LeftButton, NONE, at)
    assert report.summary.reason in chooser.browser.details.text
    assert not chooser.browser.open_button.isEnabled()
    QTest.mouseDClick(chooser.browser.tree.viewport(), Qt.MouseButton.LeftButton, NONE, at)
    assert chooser.window.case is None


def test_typing_filters_and_the_switch_hides_what_cannot_be_measured(chooser):
    browser = chooser.browser
    chooser.key(Qt.Key.Key_F, CONTROL)
    assert browser.search.hasFocus()
    QTest.keyClicks(browser.search, "mr jane")
    assert all("MR series" in label for label in chooser.shown)
    assert len(chooser.shown) == 2
    assert "3 series hidden" in browser.text
    chooser.key(Qt.Key.Key_Down)
    assert browser.tree.hasFocus()
    assert chooser.chosen == chooser.shown[:1]
    chooser.key(Qt.Key.Key_Down)
    assert chooser.chosen == chooser.shown[1:]
    browser.search.clear()
    QTest.keyClick(browser.measurable_only, Qt.Key.Key_Space)
    assert len(chooser.shown) == 4
    assert "1 series hidden" in browser.text
    QTest.keyClicks(browser.search, "nothing like this")
    assert chooser.shown == []
    assert not browser.open_button.isEnabled()


def test_names_can_be_hidden(chooser):
    QTest.keyClick(chooser.browser.show_names, Qt.Key.Key_Space)
    assert "Doe" not in chooser.words
    assert "Patient 1" in chooser.words
    QTest.keyClick(chooser.browser.show_names, Qt.Key.Key_Space)
    assert "Doe, Jane" in chooser.words


def test_esc_closes_the_browser_and_the_key_brings_it_back(chooser):
    window = chooser.window
    chooser.key(Qt.Key.Key_Escape)
    assert not chooser.browser.isVisible()
    assert window.case is None
    assert "Doe" not in chooser.words
    assert QTest.qWaitForWindowActive(window, 10_000)
    QTest.keyClick(window, Qt.Key.Key_B, CONTROL | SHIFT)
    assert window.settle(30)
    assert chooser.browser.isVisible()
    assert "Doe, Jane" in chooser.words


def test_in_a_narrow_window_names_and_verdicts_stay(chooser):
    browser = chooser.browser
    browser.resize(600, 700)
    QApplication.processEvents()
    tree = browser.tree
    assert not tree.isColumnHidden(0)
    assert not tree.isColumnHidden(1)
    assert tree.isColumnHidden(3)
    assert tree.columnWidth(0) >= 180
    assert browser.details.geometry().top() > tree.geometry().top()
    browser.resize(1280, 720)
    QApplication.processEvents()
    assert browser.details.geometry().left() > tree.geometry().left()


def test_every_control_of_the_browser_is_reached_by_tab_and_has_a_name(chooser):
    browser = chooser.browser
    reached = set()
    for _ in range(30):
        widget = QApplication.focusWidget()
        assert widget.accessibleName() or getattr(widget, "text", str)()
        reached.add(widget)
        QTest.keyClick(widget, Qt.Key.Key_Tab)
    wanted = {browser.tree, browser.search, browser.measurable_only, browser.show_names, browser.open_button}
    assert wanted <= reached


def test_the_picture_of_a_series_keeps_its_proportions(open_window, tmp_path):
    write_series(tmp_path / "a", number=1, spacing=(2.0, 1.0), shape=(4, 40, 40))
    write_series(tmp_path / "a", number=2, shape=(4, 40, 40))
    window = open_window().window
    window.open_files([tmp_path / "a"])
    assert window.settle(60)
    browser = window.browsing.browser
    tall, square = (browser.pictures[item] for item in browser.filter.shown())
    assert tall.height() == pytest.approx(2 * tall.width(), abs=2)
    assert square.height() == square.width()
