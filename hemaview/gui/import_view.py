"""The tree of series on the screen: its columns, its rows, and how it makes do with little room."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from hemaview.gui.import_tree import ITEM, PARTS, THUMBNAIL, ImportFilter
from hemaview.gui.theme import COLOURS
from hemaview.imaging.catalogue import SeriesItem

_SERIES_WIDTH = 260
_WIDTHS = {1: 122, 2: 84, 3: 76, 4: 82, 5: 90, 6: 146, 7: 56}
_LEAST_NEEDED = (3, 4, 5, 2, 7, 6)
_Index = QModelIndex | QPersistentModelIndex


class SeriesTree(QTreeView):
    """Shows an ``ImportFilter``; ``series_seen(SeriesItem)`` whenever a series comes into view.

    Columns that have no room are left out, the least needed first; the details say the same.
    """

    series_seen = Signal(object)

    def __init__(self, rows: ImportFilter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = rows
        self.setModel(rows)
        delegate = RowDelegate(self)
        delegate.painted.connect(self.series_seen)
        self.setItemDelegate(delegate)
        self.setAccessibleName("Patients, studies and series")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setAllColumnsShowFocus(True)
        self.setIndentation(16)
        self.setWordWrap(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in _WIDTHS.items():
            header.resizeSection(column, width)

    def show_all(self) -> None:
        """Open every patient and study, their names over all columns; many parts of one series only for a search."""
        self.expandAll()
        self._span(QModelIndex())

    def chosen(self) -> tuple[SeriesItem, ...]:
        """The selected series, from top to bottom."""
        indexes = sorted(self.selectionModel().selectedRows(), key=_place)
        items = (index.data(ITEM) for index in indexes)
        return tuple(item for item in items if isinstance(item, SeriesItem))

    def choose(self, indexes: Sequence[QModelIndex]) -> None:
        """Select these rows and no other, and bring the first into view with what belongs to it."""
        flag = QItemSelectionModel.SelectionFlag
        self.clearSelection()
        for index in reversed(indexes):
            self.selectionModel().setCurrentIndex(index, flag.Select | flag.Rows)
            self.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtCenter)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as many columns as there is room for beside the names of the series."""
        super().resizeEvent(event)
        room = self.viewport().width() - sum(_WIDTHS.values())
        for column in _LEAST_NEEDED:
            lacks_room = room < _SERIES_WIDTH
            self.setColumnHidden(column, lacks_room)
            room += _WIDTHS[column] if lacks_room else 0

    def _span(self, parent: QModelIndex) -> None:
        for row in range(self._rows.rowCount(parent)):
            index = self._rows.index(row, 0, parent)
            if not isinstance(index.data(ITEM), SeriesItem):
                self.setFirstColumnSpanned(row, parent, True)
                if index.data(PARTS) and not self._rows.has_words:
                    self.collapse(index)
                self._span(index)


class RowDelegate(QStyledItemDelegate):
    """Paints whole rows with a thin line under each; ``painted(SeriesItem)`` as the row of a series comes into view."""

    painted = Signal(object)

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        """The height that the first cell asks for; asked for every cell of a large tree, so nothing is measured."""
        hint = index.data(Qt.ItemDataRole.SizeHintRole) if index.column() == 0 else None
        return hint if isinstance(hint, QSize) else QSize(0, 0)

    def initStyleOption(self, option: QStyleOptionViewItem, index: _Index) -> None:
        """Thumbnails at their own size, verdict icons small, numbers of equal width."""
        super().initStyleOption(option, index)
        size = THUMBNAIL if index.column() == 0 else 16
        option.decorationSize = QSize(size, size)
        option.font.setFeature(QFont.Tag("tnum"), 1)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        """The cell as the theme draws it, and the line below it."""
        if index.column() == 0 and isinstance(item := index.data(ITEM), SeriesItem):
            self.painted.emit(item)
        super().paint(painter, option, index)
        painter.setPen(QPen(QColor(COLOURS.border), 1))
        rect: QRect = option.rect
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())


def _place(index: QModelIndex) -> tuple[int, ...]:
    """Rows from the root down to this one, which order as the tree shows them."""
    rows: tuple[int, ...] = ()
    while index.isValid():
        rows = (index.row(), *rows)
        index = index.parent()
    return rows
