"""A user at the browser of found scans: works with real mouse and key events, in numbers of series."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from hemaview.gui.import_tree import ITEM
from hemaview.imaging.catalogue import SeriesItem

NONE = Qt.KeyboardModifier.NoModifier


class Chooser:
    """A user at the browser."""

    def __init__(self, window) -> None:
        self.window = window
        self.browser = window.browsing.browser

    def place(self, number: int) -> QPoint:
        """The middle of the row of the series with this number."""
        tree = self.browser.tree
        tree.scrollTo(self.index(number))
        return tree.visualRect(self.index(number)).center()

    def index(self, number: int):
        (found,) = (
            index
            for index in every_index(self.browser.filter)
            if isinstance(index.data(ITEM), SeriesItem) and f"series {number}" in index.data(ITEM).summary.label
        )
        return found

    def click(self, number: int, modifiers=NONE) -> None:
        QTest.mouseClick(self.browser.tree.viewport(), Qt.MouseButton.LeftButton, modifiers, self.place(number))

    def double_click(self, number: int) -> None:
        self.click(number)
        QTest.mouseDClick(self.browser.tree.viewport(), Qt.MouseButton.LeftButton, NONE, self.place(number))

    def press(self, button) -> None:
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def key(self, key, modifiers=NONE) -> None:
        QTest.keyClick(QApplication.focusWidget(), key, modifiers)

    @property
    def chosen(self) -> list[str]:
        return [item.summary.label for item in self.browser.selected]

    @property
    def shown(self) -> list[str]:
        return [item.summary.label for item in self.browser.filter.shown()]

    @property
    def words(self) -> str:
        """Everything that the tree shows."""
        cells = (
            index.siblingAtColumn(column).data()
            for index in every_index(self.browser.filter)
            for column in range(self.browser.filter.columnCount())
        )
        return "\n".join(text for text in cells if text)


def every_index(rows, parent=QModelIndex()):  # noqa: B008 - the root of every model
    found = []
    for row in range(rows.rowCount(parent)):
        index = rows.index(row, 0, parent)
        found += [index, *every_index(rows, index)]
    return found
