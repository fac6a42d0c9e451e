"""The browser of what a folder, CD, zip or any dropped files hold: choose the scans to open."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QImage, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from hemaview.gui.cards import WrappedLabel, restyle
from hemaview.gui.icons import icon
from hemaview.gui.import_choice import another_patient, likely_wanted, offer
from hemaview.gui.import_details import ImportDetails
from hemaview.gui.import_pages import EmptyPage, ScanningPage
from hemaview.gui.import_tree import ITEM, ImportFilter, ImportModel
from hemaview.gui.import_view import SeriesTree
from hemaview.gui.import_words import contents_text, count_text, left_out_text
from hemaview.gui.lazy_work import LazyWork
from hemaview.gui.theme import COLOURS, GAP, MARGIN
from hemaview.gui.thumbnails import picture_of
from hemaview.imaging.catalogue import Catalogue, SeriesItem, patient_title

_SIDE_BY_SIDE = 920
_DETAILS_WIDTH = 288
_DETAILS_HEIGHT = 264
_AROUND = 180


class ImportBrowser(QDialog):
    """Shows a ``Catalogue``; what the user wants leaves as a signal.

    ``chosen(tuple[SeriesItem, ...], add)`` opens series as a new case, or with ``add`` in the open one.
    ``dropped(list[Path])``, ``folder_requested()`` and ``files_requested()`` ask to look elsewhere, ``cancelled()``
    stops the looking. Names of patients are read when the rows are shown, stay in this window, and go with it.
    """

    chosen = Signal(object, bool)
    dropped = Signal(object)
    folder_requested = Signal()
    files_requested = Signal()
    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose scans")
        self.setMinimumSize(660, 440)
        room = self.screen().availableSize()
        self.resize(min(1280, room.width() - 80), min(760, room.height() - 80))
        self.setAcceptDrops(True)
        self.setModal(True)
        self._catalogue = Catalogue()
        self._names: dict[str, str] = {}
        self.pictures: dict[SeriesItem, QImage | None] = {}
        self._case_patients: Collection[str] | None = None
        self._prefer_add = False
        self._hidden = 0
        self._lazy = LazyWork(self)
        self._lazy.arrived.connect(self._on_arrived)
        self._model = ImportModel(self)
        self.filter = ImportFilter(self)
        self.filter.setSourceModel(self._model)
        self.empty = EmptyPage(self)
        self.scanning = ScanningPage(self)
        self.tree = SeriesTree(self.filter, self)
        self.details = ImportDetails(self)
        self.search = QLineEdit(self)
        self.measurable_only = QCheckBox("Hide what cannot be measured", self)
        self.show_names = QCheckBox("Patient names", self)
        self._found = WrappedLabel()
        self._say = WrappedLabel()
        self.open_button = QPushButton("Open", self)
        self.add_button = QPushButton("Add to this case", self)
        self._build()
        self.show_empty()

    # What is shown

    @property
    def selected(self) -> tuple[SeriesItem, ...]:
        """The chosen series, from top to bottom."""
        return self.tree.chosen()

    @property
    def is_searching(self) -> bool:
        """Whether it shows how far a search is."""
        return self._pages.currentWidget() is self.scanning

    @property
    def is_settled(self) -> bool:
        """Whether no picture and no name is being read any more."""
        return not self._lazy.is_busy

    @property
    def text(self) -> str:
        """What the lines round the tree say, for tests and screen readers."""
        parts = (self._found, self._say)
        return "\n".join(part.text() for part in parts if part.text())

    def show_empty(self, sentence: str = "") -> None:
        """Offer to choose a place; ``sentence`` says why there is nothing to show."""
        self._forget()
        self.empty.show_sentence(sentence)
        self._pages.setCurrentWidget(self.empty)

    def show_search(self, where: str) -> None:
        """Say that a place is being looked through."""
        self._forget()
        self.scanning.begin(where)
        self._pages.setCurrentWidget(self.scanning)

    def show_catalogue(
        self,
        catalogue: Catalogue,
        paths: Sequence[Path] = (),
        *,
        case_patients: Collection[str] | None = None,
        prefer_add: bool = False,
    ) -> None:
        """Show what was found below ``paths``, the likely wanted series chosen.

        ``case_patients``: the digests of the open case's patient, as far as its files name one, None without a case;
        ``prefer_add`` lets Enter and double click add to that case.
        """
        self._forget()
        self._catalogue = catalogue
        self._case_patients = case_patients
        self.search.clear()
        self._model.show_catalogue(catalogue)
        self._on_filter()
        found = f"{contents_text(catalogue)}. {left_out_text(catalogue)}".strip()
        self._found.setText("\n".join((found, *catalogue.notes)))
        self._prefer_add = case_patients is not None and prefer_add
        self._follow_preference()
        self._pages.setCurrentWidget(self._browse)
        self._follow_names()
        self._choose(likely_wanted(catalogue, paths))
        self.tree.setFocus()

    def _forget(self) -> None:
        self._lazy.forget()
        self._names.clear()
        self.pictures.clear()
        self._catalogue = Catalogue()
        self._model.show_catalogue(self._catalogue)

    # Layout

    def _build(self) -> None:
        self._browse = QWidget(self)
        column = QVBoxLayout(self._browse)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(MARGIN)
        column.addLayout(self._head())
        self.tree.series_seen.connect(self._want_picture)
        self.tree.doubleClicked.connect(self._on_double_click)
        self.tree.selectionModel().selectionChanged.connect(lambda *_: self._follow_selection())
        self._splitter = QSplitter(Qt.Orientation.Horizontal, self)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.setHandleWidth(MARGIN)
        self._splitter.addWidget(self.tree)
        self._splitter.addWidget(self.details)
        self._splitter.setStretchFactor(0, 1)
        column.addWidget(self._splitter, 1)
        says = QHBoxLayout()
        says.setSpacing(MARGIN)
        says.addWidget(self._found, 3)
        says.addWidget(self._say, 2)
        column.addLayout(says)
        column.addLayout(self._foot())
        self._pages = QStackedWidget(self)
        for page in (self.empty, self.scanning, self._browse):
            self._pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.addWidget(self._pages)
        self.empty.folder_requested.connect(self.folder_requested)
        self.empty.files_requested.connect(self.files_requested)
        self.empty.closed.connect(self.reject)
        self.scanning.cancel_requested.connect(self.reject)

    def _head(self) -> QHBoxLayout:
        self.search.setPlaceholderText("Filter: T1, axial, 5 mm, a name …")
        self.search.setAccessibleName("Filter the series")
        self.search.setClearButtonEnabled(True)
        self.search.addAction(icon("search", COLOURS.muted), QLineEdit.ActionPosition.LeadingPosition)
        self.search.setMinimumWidth(180)
        self.search.textChanged.connect(self._on_filter)
        self.measurable_only.toggled.connect(self._on_filter)
        self.show_names.setChecked(True)
        self.show_names.setToolTip("Names are read from the files and shown here only")
        self.show_names.toggled.connect(self._follow_names)
        row = QHBoxLayout()
        row.setSpacing(MARGIN)
        row.addWidget(self.search, 1)
        row.addWidget(self.measurable_only)
        row.addWidget(self.show_names)
        return row

    def _foot(self) -> QHBoxLayout:
        elsewhere = QPushButton("Look elsewhere…", self)
        elsewhere.setToolTip("Choose another folder to look through")
        elsewhere.clicked.connect(self.folder_requested)
        cancel = QPushButton("Cancel", self)
        cancel.clicked.connect(self.reject)
        self.open_button.clicked.connect(lambda: self._emit(add=False))
        self.add_button.clicked.connect(lambda: self._emit(add=True))
        self._say.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom)
        for button in (elsewhere, cancel, self.add_button, self.open_button):
            button.setAutoDefault(False)
        row = QHBoxLayout()
        row.setSpacing(GAP)
        row.addWidget(elsewhere)
        row.addStretch(1)
        for button in (cancel, self.add_button, self.open_button):
            row.addWidget(button)
        for before, after in pairwise((self.details, elsewhere, cancel, self.add_button, self.open_button)):
            self.setTabOrder(before, after)
        return row

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Put the details below the tree where there is no room beside it."""
        super().resizeEvent(event)
        beside = self.width() >= _SIDE_BY_SIDE
        wanted = Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical
        if self._splitter.orientation() is not wanted:
            self._splitter.setOrientation(wanted)
        self.details.set_beside(not beside)
        along = self.width() if beside else self.height() - _AROUND
        side = _DETAILS_WIDTH if beside else min(_DETAILS_HEIGHT, round(0.45 * along))
        self._splitter.setSizes([max(along - side, 1), side])

    # Following

    def _choose(self, items: Sequence[SeriesItem]) -> None:
        self.tree.choose([self.filter.mapFromSource(self._model.series_index(item)) for item in items])
        self._follow_selection()

    def _on_filter(self) -> None:
        kept = self.selected
        self.filter.set_words(self.search.text())
        self.filter.set_measurable_only(self.measurable_only.isChecked())
        self.tree.show_all()
        shown = list(self.filter.shown())
        self._hidden = sum(1 for _ in self._catalogue) - len(shown)
        if shown and not any(item in shown for item in kept):
            self._choose(shown[:1])
        self._follow_selection()

    def _follow_selection(self) -> None:
        items = self.selected
        current = self.tree.currentIndex()
        heading = "" if items or not current.isValid() else str(current.siblingAtColumn(0).data())
        self.details.show_items(items, heading)
        if len(items) == 1:
            self._want_picture(items[0])
            self._show_preview(items[0])
        made = offer(items)
        self.open_button.setText(made.text)
        self.open_button.setEnabled(not made.problem)
        self.add_button.setText("Add to this case" if len(items) < 2 else f"Add {len(items)} to this case")
        wrong_case = another_patient(items, self._case_patients or ())
        self.add_button.setEnabled(self._case_patients is not None and not made.problem and not wrong_case)
        warning = made.problem or made.caution or wrong_case
        self._say.setText(warning or (f"{count_text(self._hidden, 'series')} hidden" if self._hidden else ""))
        restyle(self._say, "kind", "warning" if warning else "muted")

    def _follow_preference(self) -> None:
        self.add_button.setVisible(self._case_patients is not None)
        for button, first in ((self.add_button, self._prefer_add), (self.open_button, not self._prefer_add)):
            restyle(button, "kind", "primary" if first else "")

    def _follow_names(self) -> None:
        for patient in self._catalogue.patients:
            wanted = self.show_names.isChecked() and bool(patient.key)
            self._model.show_name(patient.key, self._names.get(patient.key, "") if wanted else "")
            if wanted and patient.key not in self._names:
                self._lazy.want(patient.key, partial(patient_title, patient))

    def _want_picture(self, item: SeriesItem) -> None:
        self._lazy.want(item, partial(picture_of, item))

    def _on_arrived(self, key: object, result: object) -> None:
        if isinstance(key, str) and isinstance(result, str):
            self._names[key] = result
            if self.show_names.isChecked():
                self._model.show_name(key, result)
        elif isinstance(key, SeriesItem):
            picture = result if isinstance(result, QImage) else None
            self.pictures[key] = picture
            self._model.show_picture(key, picture)
            if self.selected == (key,):
                self._show_preview(key)

    def _show_preview(self, item: SeriesItem) -> None:
        if item in self.pictures:
            picture = self.pictures[item]
            self.details.preview.show_picture(picture, missing=picture is None)

    # Answers

    def _on_double_click(self, index: QModelIndex) -> None:
        if isinstance(index.siblingAtColumn(0).data(ITEM), SeriesItem):
            self._emit(add=self._prefer_add)

    def _emit(self, *, add: bool) -> None:
        items = self.selected
        if (self.add_button if add else self.open_button).isEnabled() and items:
            self.accept()
            self.chosen.emit(items, add)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens what is chosen, from the tree and from the filter; Down leaves the filter for the tree."""
        if self._pages.currentWidget() is self._browse:
            in_tree = self.tree.hasFocus() or self.search.hasFocus()
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and in_tree:
                self._emit(add=self._prefer_add)
                return
            if event.key() == Qt.Key.Key_Down and self.search.hasFocus():
                self.tree.setFocus()
                return
            if event.key() == Qt.Key.Key_F and event.modifiers() == Qt.KeyboardModifier.ControlModifier:
                self.search.setFocus()
                return
        super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Look through what was dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.dropped.emit(paths)

    def done(self, result: int) -> None:
        """Stop reading pictures and forget what was found, with every name; a running search is cancelled."""
        if self.is_searching:
            self.cancelled.emit()
        super().done(result)
        self._forget()

    def put_away(self) -> None:
        """Close because the search ended by itself, which cancels nothing."""
        self.show_empty()
        self.accept()

    def close_down(self) -> None:
        """End the reading of pictures and wait for it; called before the window goes."""
        self._lazy.close()
