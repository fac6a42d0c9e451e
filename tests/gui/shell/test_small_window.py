"""The window at its smallest, and its way by the Tab key."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolButton

from hemaview.imaging import Plane


def _view_buttons(window) -> list[str]:
    return [b.text() for b in window.grid.space.findChildren(QToolButton) if b.isVisible() and b.text()]


def test_at_its_smallest_the_axial_view_is_as_wide_as_the_others(hand):
    window = hand.window
    window.resize(960, 600)
    QTest.qWait(100)
    axial, sagittal = (window.grid.frames[plane].width() for plane in (Plane.AXIAL, Plane.SAGITTAL))
    assert abs(axial - sagittal) <= 2
    assert _view_buttons(window) == ["Slices", "Head"]
    window.grid.toggle_maximised(window.grid.space)
    QTest.qWait(100)
    assert _view_buttons(window) == ["Slices", "Head", "Front", "Left", "Above"]


def _tab_through(window, widgets) -> list:
    """The widgets in the order in which the Tab key comes to them."""
    met = []
    for _ in range(120):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        if QApplication.focusWidget() in widgets and QApplication.focusWidget() not in met:
            met.append(QApplication.focusWidget())
    return met


def test_tab_goes_down_the_side_panel_as_it_is_read(hand):
    window = hand.window
    window.grid.current.setFocus()
    down = [window.volumes.draw, window.display.visible, window.scans.details.choice]
    assert _tab_through(window, down) == down
    heights = [widget.mapTo(window, QPoint(0, 0)).y() for widget in down]
    assert heights == sorted(heights)


def test_tab_goes_along_the_browser_s_buttons_from_left_to_right(chooser):
    browser = chooser.browser
    browser.tree.setFocus()
    met = _tab_through(browser, [browser.open_button, browser.details, browser.search])
    assert met == [browser.details, browser.open_button, browser.search]
