"""The user guide in a window of its own (F1): contents at the left, a page at the right, a search over all pages."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from hemaview.gui.guide_pages import guide_pages
from hemaview.gui.guide_search import Passage, excerpt, find, passages
from hemaview.gui.guide_text import KEYS_PAGE, GuideText
from hemaview.gui.icons import icon
from hemaview.gui.theme import COLOURS, GAP, MARGIN

_PAGE = Qt.ItemDataRole.UserRole
_PASSAGE = Qt.ItemDataRole.UserRole + 1
_CONTENTS_WIDTH = 260
_MOST_HITS = 60
_NOTHING = "Nothing found"


class HelpWindow(QWidget):
    """``keys`` gives the page of mouse gestures and keys. Raises ``HemaviewError`` when the guide is missing."""

    def __init__(self, keys: Callable[[], str], parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        pages = guide_pages()
        self._titles = {QUrl.fromLocalFile(str(page.path)): page.title for page in pages}
        self._titles[QUrl.fromLocalFile(str(pages[0].path.with_name(KEYS_PAGE)))] = "Mouse and keys"
        self._passages: tuple[Passage, ...] | None = None
        self._page = QUrl()
        self.setObjectName("helpWindow")
        self.setWindowTitle("HEMAVIEW user guide")
        room = self.screen().availableSize()
        self.resize(min(1120, room.width() - 80), min(820, room.height() - 80))

        self.text = GuideText(keys, self)
        self.contents = QListWidget(self)
        self.contents.setAccessibleName("Contents")
        self.contents.setWordWrap(True)
        self.contents.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.contents.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.search = QLineEdit(self)
        self.search.setPlaceholderText("Search the guide")
        self.search.setAccessibleName("Search the guide")
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("search", COLOURS.muted), QLineEdit.ActionPosition.LeadingPosition)
        self.search.installEventFilter(self)
        self.back = self._button("Back (Alt+Left)", self.text.backward)
        self.forward = self._button("Forward (Alt+Right)", self.text.forward)
        self._lay_out()

        self.search.textChanged.connect(self._on_search)
        self.contents.currentItemChanged.connect(self._on_chosen)
        self.contents.itemActivated.connect(lambda: self.text.setFocus())
        self.text.sourceChanged.connect(self._follow_page)
        self.text.backwardAvailable.connect(self.back.setEnabled)
        self.text.forwardAvailable.connect(self.forward.setEnabled)
        for keys_text, run in (
            ("Ctrl+F", self._begin_search),
            ("F3", lambda: self._step(1)),
            ("Shift+F3", lambda: self._step(-1)),
            ("Alt+Left", self.text.backward),
            ("Alt+Right", self.text.forward),
            ("Ctrl+W", self.close),
        ):
            QShortcut(QKeySequence(keys_text), self).activated.connect(run)
        self._list_pages()
        self.text.setSource(next(iter(self._titles)))
        self.text.setFocus()

    @property
    def page(self) -> str:
        """File name of the page on display."""
        return self._page.fileName()

    @property
    def listed(self) -> list[str]:
        """What the contents, or the results of a search, say."""
        return [self.contents.item(row).text() for row in range(self.contents.count())]

    # Layout

    def _button(self, tip: str, run: Callable[[], None]) -> QPushButton:
        button = QPushButton(tip.partition(" ")[0], self)
        button.setToolTip(tip)
        button.setEnabled(False)
        button.clicked.connect(run)
        return button

    def _lay_out(self) -> None:
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        head = QHBoxLayout()
        head.setSpacing(GAP)
        head.addWidget(self.search)
        head.addWidget(self.back)
        head.addWidget(self.forward)
        head.addStretch(1)
        self.search.setFixedWidth(_CONTENTS_WIDTH)
        body = QSplitter(Qt.Orientation.Horizontal, self)
        body.setHandleWidth(MARGIN)
        body.setChildrenCollapsible(False)
        body.addWidget(self.contents)
        body.addWidget(self.text)
        body.setStretchFactor(1, 1)
        body.setSizes([_CONTENTS_WIDTH, self.width()])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(MARGIN)
        layout.addLayout(head)
        layout.addWidget(body, 1)

    # Contents and search

    def _list_pages(self) -> None:
        self.contents.blockSignals(True)
        self.contents.clear()
        for url, title in self._titles.items():
            item = QListWidgetItem(title)
            item.setData(_PAGE, url)
            self.contents.addItem(item)
        self.contents.blockSignals(False)
        self._mark_page()

    def _list_hits(self, query: str) -> None:
        words = query.split()
        self.contents.blockSignals(True)
        self.contents.clear()
        for hit in find(self._all_passages(), query)[:_MOST_HITS]:
            url = QUrl(hit.page)
            item = QListWidgetItem(f"{self._titles[url]}\n{excerpt(hit.text, words)}")
            item.setData(_PAGE, url)
            item.setData(_PASSAGE, hit)
            item.setToolTip(hit.heading)
            self.contents.addItem(item)
        if not self.contents.count():
            nothing = QListWidgetItem(_NOTHING)
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
            self.contents.addItem(nothing)
        self.contents.blockSignals(False)

    def _all_passages(self) -> tuple[Passage, ...]:
        if self._passages is None:
            self._passages = tuple(
                passage for url in self._titles for passage in passages(url.toString(), self.text.page_document(url))
            )
        return self._passages

    def _on_search(self, query: str) -> None:
        self.text.mark(tuple(query.split()))
        if query.strip():
            self._list_hits(query)
        else:
            self._list_pages()

    def _on_chosen(self, item: QListWidgetItem | None) -> None:
        if item is None or item.data(_PAGE) is None:
            return
        if item.data(_PAGE) != self._page:
            self.text.setSource(item.data(_PAGE))
        hit = item.data(_PASSAGE)
        if hit is not None:
            self.text.go_to(hit.place)

    def _follow_page(self, page: QUrl) -> None:
        self._page = page
        title = self._titles.get(page, "")
        self.setWindowTitle(f"{title} – HEMAVIEW user guide" if title else "HEMAVIEW user guide")
        if not self.search.text().strip():
            self._mark_page()

    def _mark_page(self) -> None:
        """Mark the page on display in the contents; a page beside the guide has no place there."""
        self.contents.blockSignals(True)
        place = list(self._titles).index(self._page) if self._page in self._titles else -1
        self.contents.setCurrentRow(place)
        self.contents.blockSignals(False)

    def _begin_search(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _step(self, step: int) -> None:
        count = self.contents.count()
        if count:
            row = self.contents.currentRow()
            self.contents.setCurrentRow((row + step) % count if row >= 0 else 0)

    # Keys

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """From the search field: Enter goes to the next result, Down into the list."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._step(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
                return True
            if event.key() == Qt.Key.Key_Down:
                self.contents.setFocus()
                self._step(0)
                return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc ends a search first, then closes the window."""
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self.search.text():
            self.search.clear()
            self.text.setFocus()
        else:
            self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Begin with the contents when it is opened again."""
        self.search.clear()
        super().closeEvent(event)
