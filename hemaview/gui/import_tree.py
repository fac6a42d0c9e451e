"""The tree of the browser: patients, their studies, their series, filtered by words and by what can be measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, QSortFilterProxyModel, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPixmap, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QWidget

from hemaview.gui.icons import icon, untinted
from hemaview.gui.import_words import (
    NOTHING_KNOWN,
    VERDICTS,
    count_text,
    family_text,
    matrix_text,
    modality_text,
    patient_text,
    sequence_text,
    slices_text,
    spacing_text,
    spoken_row,
    study_text,
    verdict_sentence,
)
from hemaview.gui.theme import COLOURS
from hemaview.imaging.catalogue import Catalogue, Patient, SeriesItem, Study

COLUMNS = ("Series", "Verdict", "Sequence", "Modality", "Plane", "Matrix", "Voxel, mm", "Slices")
THUMBNAIL = 64
ITEM = Qt.ItemDataRole.UserRole + 1
WORDS = Qt.ItemDataRole.UserRole + 2
PARTS = Qt.ItemDataRole.UserRole + 3
"""True for a row that gathers the many stacks of one series, as of a perfusion; it begins closed."""

_SERIES_HEIGHT = THUMBNAIL + 8
_GROUP_HEIGHT = 34
_MANY_PARTS = 5
_Index = QModelIndex | QPersistentModelIndex


class ImportModel(QStandardItemModel):
    """Rows of a ``Catalogue``; the first cell of a series carries it as ``ITEM``."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(COLUMNS), parent)
        self._blank = untinted(_framed(None))
        self._series: dict[SeriesItem, QStandardItem] = {}
        self._patients: dict[str, tuple[Patient, QStandardItem, int]] = {}
        self.setHorizontalHeaderLabels(COLUMNS)

    def show_catalogue(self, catalogue: Catalogue) -> None:
        """Show what was found instead of what is shown."""
        self.removeRows(0, self.rowCount())
        self._series.clear()
        self._patients.clear()
        for number, patient in enumerate(catalogue.patients, start=1):
            row = _group(patient_text(patient, number), bold=True)
            self._patients[patient.key] = patient, row, number
            for study in patient.studies:
                row.appendRow(self._study_row(study))
            self.appendRow(row)

    def series_index(self, item: SeriesItem) -> QModelIndex:
        """Where a series is shown; an invalid index when it is not there."""
        row = self._series.get(item)
        return row.index() if row is not None else QModelIndex()

    def show_name(self, key: str, name: str) -> None:
        """Show the name of the patient with this key, or with an empty name the number again."""
        if key in self._patients:
            patient, row, number = self._patients[key]
            text = patient_text(patient, number, name)
            row.setText(text)
            row.setData(text, WORDS)

    def show_picture(self, item: SeriesItem, picture: QImage | None) -> None:
        """Show the thumbnail that was asked for; without one an empty frame stays."""
        row = self._series.get(item)
        if row is not None and picture is not None:
            row.setIcon(untinted(_framed(picture)))

    def _study_row(self, study: Study) -> QStandardItem:
        row = _group(f"{study_text(study)}   ·   {count_text(len(study.series), 'series')}")
        for family in families(study.series):
            below = row
            if len(family) >= _MANY_PARTS:
                below = _group(family_text(family))
                below.setData(True, PARTS)
                row.appendRow(below)
            for item in family:
                below.appendRow(self._series_row(item))
        return row

    def _series_row(self, item: SeriesItem) -> list[QStandardItem]:
        summary = item.summary
        look = VERDICTS[summary.verdict]
        texts = (
            summary.label,
            look.word,
            sequence_text(summary),
            modality_text(summary),
            summary.plane or NOTHING_KNOWN,
            matrix_text(summary),
            spacing_text(summary),
            slices_text(summary),
        )
        cells = [_cell(text) for text in texts]
        first, verdict = cells[:2]
        first.setData(item, ITEM)
        first.setData(" ".join((*texts, item.path.name)), WORDS)
        first.setData(spoken_row(item), Qt.ItemDataRole.AccessibleTextRole)
        first.setIcon(self._blank)
        first.setSizeHint(QSize(0, _SERIES_HEIGHT))
        for cell in cells:
            cell.setToolTip(f"{summary.label}\n{verdict_sentence(summary)}")
        colour = getattr(COLOURS, look.tone)
        verdict.setIcon(icon(look.icon, colour))
        verdict.setForeground(QColor(colour))
        if not summary.measurable:
            for cell in (first, *cells[2:]):
                cell.setForeground(QColor(COLOURS.muted))
        self._series[item] = first
        return cells


def families(series: Sequence[SeriesItem]) -> list[list[SeriesItem]]:
    """The stacks of each series together, in the order in which their first ones come."""
    found: dict[str, list[SeriesItem]] = {}
    for item in series:
        found.setdefault(f"{item.path}|{item.summary.uid.partition('#')[0]}", []).append(item)
    return list(found.values())


class ImportFilter(QSortFilterProxyModel):
    """Shows the series that hold every word of the filter, or whose patient or study does, and their parents."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words: tuple[str, ...] = ()
        self._measurable_only = False
        self.setRecursiveFilteringEnabled(True)

    def set_words(self, text: str) -> None:
        """Show only what holds all these words, in any order; without words, all."""
        self.beginFilterChange()
        self._words = tuple(text.casefold().split())
        self.endFilterChange()

    @property
    def has_words(self) -> bool:
        """Whether words are asked for."""
        return bool(self._words)

    def set_measurable_only(self, only: bool) -> None:
        """Hide what cannot be measured."""
        self.beginFilterChange()
        self._measurable_only = only
        self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: _Index) -> bool:
        """Only series are judged; their parents follow them."""
        index = self.sourceModel().index(row, 0, parent)
        item = index.data(ITEM)
        if not isinstance(item, SeriesItem):
            return False
        if self._measurable_only and not item.summary.measurable:
            return False
        words = " ".join(_words_upward(index)).casefold()
        return all(word in words for word in self._words)

    def shown(self) -> Iterator[SeriesItem]:
        """The series on display, from top to bottom."""
        for index in self._indexes(QModelIndex()):
            item = index.data(ITEM)
            if isinstance(item, SeriesItem):
                yield item

    def _indexes(self, parent: QModelIndex) -> Iterator[QModelIndex]:
        for row in range(self.rowCount(parent)):
            index = self.index(row, 0, parent)
            yield index
            yield from self._indexes(index)


def _group(text: str, *, bold: bool = False) -> QStandardItem:
    row = QStandardItem(text)
    row.setEditable(False)
    row.setData(text, WORDS)
    row.setSizeHint(QSize(0, _GROUP_HEIGHT))
    if bold:
        font = QFont()
        font.setWeight(QFont.Weight.DemiBold)
        row.setFont(font)
    else:
        row.setForeground(QColor(COLOURS.muted))
    return row


def _cell(text: str) -> QStandardItem:
    cell = QStandardItem(text)
    cell.setEditable(False)
    return cell


def _words_upward(index: QModelIndex) -> Iterator[str]:
    while index.isValid():
        yield str(index.data(WORDS) or "")
        index = index.parent()


def _framed(picture: QImage | None) -> QPixmap:
    """A square with the picture in its middle, drawn at twice its size for sharp screens."""
    side = 2 * THUMBNAIL
    pixmap = QPixmap(side, side)
    pixmap.fill(QColor("#000000" if picture is not None else COLOURS.panel))
    if picture is not None:
        fitted = picture.scaled(
            side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        painter = QPainter(pixmap)
        painter.drawImage((side - fitted.width()) // 2, (side - fitted.height()) // 2, fitted)
        painter.end()
    pixmap.setDevicePixelRatio(2)
    return pixmap
