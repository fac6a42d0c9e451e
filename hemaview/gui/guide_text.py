"""A page of the user guide on display: Markdown dressed like the window, its pictures as wide as there is room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import (
    QColor,
    QImage,
    QResizeEvent,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
)
from PySide6.QtWidgets import QTextBrowser, QTextEdit, QWidget

from hemaview.gui.card_reader import dress
from hemaview.gui.theme import COLOURS, GAP, MARGIN

KEYS_PAGE = "keys.html"
"""The page that is made from the table of actions instead of a file."""

_MARGIN = 28
_INDENT = 18
_BELOW_ITEM = 4
_BELOW_LIST = 12
_LINE_PERCENT = 118.0
_SETTLE_MS = 120
_PICTURE = "\ufffc"
"""What stands for a picture in the text of a document."""
_MONOSPACE = ["DejaVu Sans Mono", "Consolas", "Menlo", "Liberation Mono", "monospace"]


class GuideText(QTextBrowser):
    """Follows links to pages on this computer; ``keys`` gives the page of mouse gestures and keys as HTML."""

    def __init__(self, keys: Callable[[], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keys = keys
        self._words: tuple[str, ...] = ()
        self.setOpenLinks(False)
        # One that comes and goes would change the room that pictures are fitted to.
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setAccessibleName("Page of the user guide")
        self.anchorClicked.connect(self.follow)
        self.sourceChanged.connect(self._dress)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._fit_pictures)
        self._fitted_width = 0

    def follow(self, url: QUrl) -> None:
        """Open a page that lies on this computer; other addresses are shown in the guide, never opened."""
        path = Path(url.toLocalFile())
        if url.isLocalFile() and (path.name == KEYS_PAGE or (path.suffix == ".md" and path.is_file())):
            self.setSource(url)

    def page_document(self, url: QUrl) -> QTextDocument:
        """A page as a document of its own, its text the same as on display."""
        document = QTextDocument()
        if url.fileName() == KEYS_PAGE:
            document.setHtml(self._keys())
        else:
            document.setMarkdown(Path(url.toLocalFile()).read_text(encoding="utf-8"))
        return document

    def mark(self, words: tuple[str, ...]) -> None:
        """Mark these words wherever they stand on this page and the next ones; none to end that."""
        self._words = words
        self._mark_words()

    def go_to(self, place: int) -> None:
        """Scroll so that the character at ``place`` stands in the upper third."""
        cursor = QTextCursor(self.document())
        cursor.setPosition(min(place, self.document().characterCount() - 1))
        self.setTextCursor(cursor)
        bar = self.verticalScrollBar()
        bar.setValue(bar.value() + self.cursorRect(cursor).top() - self.viewport().height() // 4)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """Pages and pictures of the guide; nothing from the network."""
        url = QUrl(name)
        if url.fileName() == KEYS_PAGE:
            return self._keys()
        if url.scheme() not in ("", "file"):
            return None
        found = super().loadResource(kind, url)
        if kind == QTextDocument.ResourceType.ImageResource.value:
            picture = QImage.fromData(found) if found is not None else QImage()
            return self._fitting(picture)
        return found

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the pictures when the width has come to rest."""
        super().resizeEvent(event)
        self._settle.start()

    def _fitting(self, picture: QImage) -> QImage:
        """The picture in pixels of the screen, at most as wide as the text."""
        if picture.isNull():
            return picture
        ratio = self.devicePixelRatioF()
        self._fitted_width = self.viewport().width()
        width = min(picture.width(), self._fitted_width - 2 * _MARGIN)
        scaled = picture.scaledToWidth(max(1, round(width * ratio)), Qt.TransformationMode.SmoothTransformation)
        scaled.setDevicePixelRatio(ratio)
        return scaled

    def _fit_pictures(self) -> None:
        if self.source().isEmpty() or self.viewport().width() == self._fitted_width:
            return
        place = self.verticalScrollBar().value() / max(1, self.verticalScrollBar().maximum())
        self._fitted_width = self.viewport().width()
        self.reload()
        self.verticalScrollBar().setValue(round(place * self.verticalScrollBar().maximum()))

    def _dress(self) -> None:
        document = self.document()
        document.setDocumentMargin(_MARGIN)
        document.setIndentWidth(_INDENT)
        dress(document)
        block = document.begin()
        while block.isValid():
            if _is_code(block):
                _dress_code(block)
            else:
                _space(block)
            _dress_typed(document, block)
            block = block.next()
        self._mark_words()

    def _mark_words(self) -> None:
        form = QTextCharFormat()
        form.setBackground(QColor(COLOURS.selected))
        form.setForeground(QColor(COLOURS.text))
        marks = []
        for word in self._words:
            cursor = self.document().find(word)
            while not cursor.isNull():
                mark = QTextEdit.ExtraSelection()
                mark.cursor, mark.format = cursor, form
                marks.append(mark)
                cursor = self.document().find(word, cursor)
        self.setExtraSelections(marks)


def _is_code(block: QTextBlock) -> bool:
    return block.isValid() and block.blockFormat().hasProperty(QTextFormat.Property.BlockCodeFence)


def _dress_code(block: QTextBlock) -> None:
    """Lay a line of code on a ground of its own, with room above the first line and below the last."""
    form = block.blockFormat()
    form.setBackground(QColor(COLOURS.window))
    form.setTopMargin(0 if _is_code(block.previous()) else GAP)
    form.setBottomMargin(0 if _is_code(block.next()) else MARGIN)
    QTextCursor(block).setBlockFormat(form)


def _space(block: QTextBlock) -> None:
    """Give the lines of a paragraph room, and a list an end."""
    form = block.blockFormat()
    # A share of the height of a picture would be a hole below it.
    if _PICTURE not in block.text():
        form.setLineHeight(_LINE_PERCENT, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    if block.textList() is not None:
        follows = block.next().isValid() and block.next().textList() is block.textList()
        form.setBottomMargin(_BELOW_ITEM if follows else _BELOW_LIST)
    QTextCursor(block).setBlockFormat(form)


def _dress_typed(document: QTextDocument, block: QTextBlock) -> None:
    """Show keys, commands and file names in the colour of what can be typed."""
    typed = QTextCharFormat()
    typed.setForeground(QColor(COLOURS.text if _is_code(block) else COLOURS.accent))
    typed.setFontFamilies(_MONOSPACE)
    typed.setProperty(QTextFormat.Property.FontPixelSize, 12)
    parts = block.begin()
    spans = []
    while not parts.atEnd():
        part = parts.fragment()
        if part.charFormat().fontFixedPitch() and not part.charFormat().isAnchor():
            spans.append((part.position(), part.position() + part.length()))
        parts += 1
    for start, end in spans:
        cursor = QTextCursor(document)
        cursor.setPosition(start)
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        cursor.mergeCharFormat(typed)
