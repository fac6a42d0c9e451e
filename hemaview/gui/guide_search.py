"""Finding words in the user guide: the passages of its pages as they are shown, and those that answer a query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from PySide6.QtGui import QTextBlock, QTextCursor, QTextDocument, QTextTable

_AROUND = 60


@dataclass(frozen=True)
class Passage:
    """A paragraph, a list item or a row of a table.

    ``page`` is the page's address, ``heading`` the last heading before the passage, ``place`` its position in the
    document in characters.
    """

    page: str
    heading: str
    text: str
    place: int
    is_heading: bool = False


def passages(page: str, document: QTextDocument) -> tuple[Passage, ...]:
    """The passages of a page in their order."""
    found: list[Passage] = []
    heading = ""
    for first, text in _pieces(document):
        level = first.blockFormat().headingLevel()
        heading = text if level else heading
        found.append(Passage(page, heading, text, first.position(), bool(level)))
    return tuple(found)


def find(among: Iterable[Passage], query: str) -> list[Passage]:
    """The passages that hold every word of ``query``, headings first; none for an empty query."""
    words = query.casefold().split()
    hits = [one for one in among if words and all(word in one.text.casefold() for word in words)]
    return sorted(hits, key=lambda one: not one.is_heading)


def excerpt(text: str, words: Sequence[str]) -> str:
    """A line of ``text`` about the first of ``words``, cut between words."""
    start = min((place for word in words if (place := text.casefold().find(word.casefold())) >= 0), default=0)
    first, last = max(0, start - _AROUND // 3), min(len(text), start + _AROUND)
    if first > 0:
        first = text.find(" ", first, start) + 1 or start
    if last < len(text):
        last = text.rfind(" ", start, last) if " " in text[start:last] else last
    return f"{'… ' if first else ''}{text[first:last]}{' …' if last < len(text) else ''}"


def _pieces(document: QTextDocument) -> Iterator[tuple[QTextBlock, str]]:
    """The first block and the words of each passage; the cells of a row belong together."""
    block = document.begin()
    while block.isValid():
        table = _table_at(block)
        if table is None:
            if block.text().strip("\ufffc \n"):
                yield block, block.text().replace("\u2028", " ")
        else:
            yield from _rows(document, table)
            # A row may end a table that ends the document; the block behind the last cell is outside it.
            block = document.findBlock(table.lastPosition())
        block = block.next()


def _table_at(block: QTextBlock) -> QTextTable | None:
    return QTextCursor(block).currentTable()


def _rows(document: QTextDocument, table: QTextTable) -> Iterator[tuple[QTextBlock, str]]:
    for row in range(table.rows()):
        cells = [table.cellAt(row, column) for column in range(table.columns())]
        texts = [document.findBlock(cell.firstPosition()).text() for cell in cells]
        yield document.findBlock(cells[0].firstPosition()), " · ".join(text for text in texts if text)
