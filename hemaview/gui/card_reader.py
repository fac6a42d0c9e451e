"""A model card to read: Markdown, dressed like the window."""

from __future__ import annotations

from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QTextBlock,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFrameFormat,
    QTextTable,
)
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from hemaview.gui.theme import COLOURS

_ABOVE_HEADING = 14
_BELOW = 8


class CardReader(QDialog):
    """Modal; links are shown, not followed, because the window opens nothing on the network."""

    def __init__(self, title: str, markdown: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Model card: {title}")
        self.resize(900, 720)
        text = QTextBrowser(self)
        text.setOpenLinks(False)
        text.setMarkdown(markdown)
        text.document().setDocumentMargin(16)
        dress(text.document())
        text.moveCursor(QTextCursor.MoveOperation.Start)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.addWidget(text, 1)
        layout.addWidget(buttons)


def dress(document: QTextDocument) -> None:
    """Give headings and paragraphs room and tables thin lines; a table's empty heading row goes."""
    for frame in document.rootFrame().childFrames():
        if isinstance(frame, QTextTable):
            _dress_table(frame)
    block = document.begin()
    while block.isValid():
        cursor = QTextCursor(block)
        if cursor.currentTable() is None and block.textList() is None:
            form = block.blockFormat()
            form.setTopMargin(_ABOVE_HEADING if form.headingLevel() > 1 else 0)
            form.setBottomMargin(_BELOW)
            cursor.setBlockFormat(form)
        _use_own_bold(document, block)
        block = block.next()


def _use_own_bold(document: QTextDocument, block: QTextBlock) -> None:
    """Show bold words in the weight the window's typeface has; a missing one would be smeared from another."""
    bold = []
    parts = block.begin()
    while not parts.atEnd():
        part = parts.fragment()
        if part.charFormat().fontWeight() >= QFont.Weight.Bold:
            bold.append((part.position(), part.position() + part.length()))
        parts += 1
    weight = QTextCharFormat()
    weight.setFontWeight(QFont.Weight.DemiBold)
    for start, end in bold:
        cursor = QTextCursor(document)
        cursor.setPosition(start)
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        cursor.mergeCharFormat(weight)


def _dress_table(table: QTextTable) -> None:
    columns = range(table.columns())
    if table.rows() > 1 and not any(_cell_text(table, 0, column).strip() for column in columns):
        table.removeRows(0, 1)
    form = table.format()
    form.setBorder(1)
    form.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    form.setBorderBrush(QBrush(QColor(COLOURS.border_strong)))
    form.setBorderCollapse(True)
    form.setCellPadding(6)
    form.setTopMargin(_BELOW)
    form.setBottomMargin(_BELOW)
    table.setFormat(form)


def _cell_text(table: QTextTable, row: int, column: int) -> str:
    cell = table.cellAt(row, column)
    cursor = cell.firstCursorPosition()
    cursor.setPosition(cell.lastCursorPosition().position(), QTextCursor.MoveMode.KeepAnchor)
    return cursor.selectedText()
