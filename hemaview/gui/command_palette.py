"""The searchable list of every action (Ctrl+K)."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QAction, QColor, QKeyEvent, QKeySequence, QPainter, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from hemaview.gui.theme import COLOURS, GAP

_ACTION = Qt.ItemDataRole.UserRole
_KEYS = Qt.ItemDataRole.UserRole + 1
_MENU = Qt.ItemDataRole.UserRole + 2
_WIDTH, _HEIGHT, _ROW = 560, 380, 36


def match_rank(query: str, text: str) -> int | None:
    """How well ``text`` answers ``query``: 0 starts with it, 1 holds it, 2 holds all its words; None otherwise."""
    query, text = query.strip().casefold(), text.casefold()
    if text.startswith(query):
        return 0
    if query in text:
        return 1
    return 2 if all(word in text for word in query.split()) else None


class CommandPalette(QFrame):
    """A list that narrows while one types; Enter runs the marked action, Esc closes."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._owner = parent
        self.setObjectName("palette")
        self.setAccessibleName("Find an action")
        self._actions: list[tuple[str, QAction]] = []
        self._field = QLineEdit(self)
        self._field.setPlaceholderText("What do you want to do?")
        self._field.setClearButtonEnabled(True)
        self._field.textChanged.connect(self._narrow)
        self._field.installEventFilter(self)
        self._model = QStandardItemModel(self)
        self._list = QListView(self)
        self._list.setModel(self._model)
        self._list.setItemDelegate(_RowDelegate(self._list))
        self._list.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self._list.setUniformItemSizes(True)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.clicked.connect(self._run)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(GAP, GAP, GAP, GAP)
        layout.setSpacing(GAP)
        layout.addWidget(self._field)
        layout.addWidget(self._list)
        self.hide()

    def popup(self, actions: list[tuple[str, QAction]]) -> None:
        """Show the palette over the upper half of the window with all ``(menu, action)`` that can run now."""
        self._actions = [(menu, action) for menu, action in actions if action.isEnabled() and action.isVisible()]
        window = self._owner
        width = min(_WIDTH, window.width() - 4 * GAP)
        self.setGeometry((window.width() - width) // 2, 72, width, self._height(len(self._actions)))
        self._field.clear()
        self._narrow("")
        self.show()
        self.raise_()
        self._field.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Steer the list from the field with the arrow keys."""
        if event.type() == QEvent.Type.ShortcutOverride:
            # Single letters are shortcuts of the window; here they are text, and Esc closes the palette.
            event.accept()
            return True
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            row = self._list.currentIndex().row()
            moves = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8, Qt.Key.Key_PageUp: -8}
            key = Qt.Key(event.key())
            if key in moves:
                last = self._model.rowCount() - 1
                self._list.setCurrentIndex(self._model.index(max(0, min(last, row + moves[key])), 0))
                return True
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._run(self._list.currentIndex())
                return True
            if key == Qt.Key.Key_Escape:
                self._close()
                return True
        if event.type() == QEvent.Type.FocusOut and not self.isAncestorOf(self.window().focusWidget() or self._field):
            self.hide()
        return super().eventFilter(watched, event)

    def _narrow(self, query: str) -> None:
        ranked = []
        for place, (menu, action) in enumerate(self._actions):
            rank = match_rank(query, action.text().replace("&", ""))
            if rank is None and (rank := match_rank(query, f"{menu} {action.text()} {action.statusTip()}")) is not None:
                rank += 3
            if rank is not None:
                ranked.append((rank, place, menu, action))
        self._model.clear()
        for _, _, menu, action in sorted(ranked, key=lambda entry: entry[:2]):
            item = QStandardItem(action.icon(), action.text().replace("&", ""))
            item.setData(action, _ACTION)
            item.setData(
                " / ".join(k.toString(QKeySequence.SequenceFormat.NativeText) for k in action.shortcuts()), _KEYS
            )
            item.setData(menu, _MENU)
            self._model.appendRow(item)
        self._list.setCurrentIndex(self._model.index(0, 0))
        self.resize(self.width(), self._height(len(ranked)))

    def _height(self, rows: int) -> int:
        around = self._field.sizeHint().height() + 3 * GAP + 4
        return min(around + max(rows, 1) * _ROW, _HEIGHT, self._owner.height() - 120)

    def _run(self, index: QModelIndex) -> None:
        action = index.data(_ACTION) if index.isValid() else None
        self._close()
        if isinstance(action, QAction):
            action.trigger()

    def _close(self) -> None:
        self.hide()
        self._owner.setFocus()


class _RowDelegate(QStyledItemDelegate):
    """A row with icon, text, menu and key."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(200, _ROW)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        rect = option.rect.adjusted(2, 1, -2, -1)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(COLOURS.selected if chosen else COLOURS.raised))
            painter.drawRoundedRect(rect, 6, 6)
        picture = index.data(Qt.ItemDataRole.DecorationRole)
        if picture is not None and not picture.isNull():
            picture.paint(painter, QRect(rect.left() + 10, rect.center().y() - 9, 18, 18))
        centre = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(COLOURS.text))
        painter.drawText(rect.adjusted(40, 0, -190, 0), centre | Qt.AlignmentFlag.AlignLeft, index.data())
        painter.setPen(QColor(COLOURS.muted))
        painter.drawText(rect.adjusted(0, 0, -140, 0), centre | Qt.AlignmentFlag.AlignRight, index.data(_MENU))
        painter.drawText(rect.adjusted(0, 0, -12, 0), centre | Qt.AlignmentFlag.AlignRight, index.data(_KEYS))
        painter.restore()
