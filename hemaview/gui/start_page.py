"""The empty window: how to begin in three steps, and the cases of the last days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from hemaview.case import CaseSummary
from hemaview.gui.icons import app_icon, icon
from hemaview.gui.theme import COLOURS, GAP, MARGIN

NOTICE = "For research use only. Not a medical device."

_STEPS = (
    ("Open a head scan", "Drop a folder, CD, zip or file on this window: DICOM, NIfTI, NRRD, MetaImage and more."),
    ("Draw a box round the haematoma", "Scroll to it, press B and drag. The 3D mask grows from that slice."),
    ("Read the volume, print the model", "Three volumes side by side; adjust the box or paint, then export the STL."),
)
_RECENT = 5
_COLUMN_WIDTH = 860


class StartPage(QWidget):
    """``open_requested``, ``folder_requested``, ``sample_requested`` and ``case_requested(Path)`` say what to open.

    ``names_wanted(bool)``: whether recent cases are to be told by their files' names, which may name patients.
    """

    names_wanted = Signal(bool)
    open_requested = Signal()
    folder_requested = Signal()
    sample_requested = Signal()
    case_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None, *, with_names: bool = False) -> None:
        super().__init__(parent)
        self._with_names = with_names
        self._cases: Sequence[CaseSummary] = ()
        column = QWidget(self)
        column.setMaximumWidth(_COLUMN_WIDTH)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(MARGIN * 2, MARGIN * 2, MARGIN * 2, MARGIN * 2)
        layout.setSpacing(0)
        layout.addStretch(2)
        layout.addLayout(_header())
        layout.addSpacing(32)
        layout.addLayout(self._steps())
        layout.addSpacing(28)
        layout.addLayout(self._buttons())
        layout.addSpacing(32)
        self._recent_heading = self._make_recent_heading()
        layout.addWidget(self._recent_heading)
        self._recent = QVBoxLayout()
        self._recent.setSpacing(GAP // 2)
        layout.addLayout(self._recent)
        layout.addStretch(3)
        notice = QLabel(NOTICE, self)
        notice.setProperty("kind", "badge")
        notice.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        layout.addWidget(notice, 0, Qt.AlignmentFlag.AlignHCenter)

        body = QWidget(self)
        centre = QHBoxLayout(body)
        centre.setContentsMargins(0, 0, 0, 0)
        centre.addStretch(1)
        centre.addWidget(column, 100)
        centre.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(body)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def show_recent(self, cases: Sequence[CaseSummary]) -> None:
        """List the cases changed last."""
        while (item := self._recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._cases = cases
        self._recent_heading.setVisible(bool(cases))
        for case in cases[:_RECENT]:
            self._recent.addWidget(self._case_row(case))

    def _make_recent_heading(self) -> QWidget:
        heading = QLabel("Recent cases", self)
        heading.setProperty("kind", "heading")
        self.names = QCheckBox("Show file names", self)
        self.names.setToolTip("File names may tell who the patient is")
        self.names.setChecked(self._with_names)
        self.names.toggled.connect(self._show_names)
        row = QWidget(self)
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, GAP // 2)
        layout.addWidget(heading)
        layout.addStretch(1)
        layout.addWidget(self.names)
        return row

    def _show_names(self, with_names: bool) -> None:
        self._with_names = with_names
        self.show_recent(self._cases)
        self.names_wanted.emit(with_names)

    def _case_row(self, case: CaseSummary) -> QPushButton:
        row = QPushButton(self)
        row.setProperty("kind", "row")
        row.setIcon(icon("case", COLOURS.accent))
        row.setIconSize(QSize(18, 18))
        count = f"{len(case.scans)} scans" if len(case.scans) > 1 else "1 scan"
        row.setText(f"  {case.name if self._with_names else case.label}      {count}, {_when(case.modified)}")
        row.setToolTip(str(case.directory))
        directory: Path = case.directory
        row.clicked.connect(lambda: self.case_requested.emit(directory))
        return row

    def _steps(self) -> QHBoxLayout:
        layout = QHBoxLayout()
        layout.setSpacing(MARGIN)
        for number, (title, text) in enumerate(_STEPS, start=1):
            card = QFrame(self)
            card.setProperty("kind", "card")
            inner = QVBoxLayout(card)
            inner.setContentsMargins(16, 16, 16, 16)
            inner.setSpacing(GAP)
            badge = QLabel(str(number), card)
            badge.setProperty("kind", "step")
            badge.setAlignment(Qt.AlignmentFlag.AlignCenter)
            heading = QLabel(title, card)
            heading.setProperty("kind", "heading")
            heading.setWordWrap(True)
            body = QLabel(text, card)
            body.setProperty("kind", "muted")
            body.setWordWrap(True)
            inner.addWidget(badge)
            inner.addWidget(heading)
            inner.addWidget(body)
            inner.addStretch(1)
            layout.addWidget(card, 1)
        return layout

    def _buttons(self) -> QHBoxLayout:
        layout = QHBoxLayout()
        layout.setSpacing(GAP)
        entries = (
            ("Open scan…", "open", "primary", self.open_requested),
            ("Open folder or CD…", "open", "", self.folder_requested),
            ("Open sample phantom", "sample", "", self.sample_requested),
        )
        for text, name, kind, signal in entries:
            button = QPushButton(f" {text}", self)
            button.setIcon(icon(name, COLOURS.on_primary if kind else COLOURS.text))
            button.setIconSize(QSize(18, 18))
            button.setMinimumHeight(38)
            button.setProperty("kind", kind)
            button.clicked.connect(signal)
            layout.addWidget(button)
        layout.addStretch(1)
        return layout


def _header() -> QHBoxLayout:
    layout = QHBoxLayout()
    layout.setSpacing(20)
    picture = QLabel()
    picture.setPixmap(app_icon().pixmap(64, 64))
    words = QVBoxLayout()
    words.setSpacing(4)
    title = QLabel("HEMAVIEW")
    title.setProperty("kind", "title")
    lead = QLabel("From a head scan to the volume and a printable model of a haematoma.")
    lead.setProperty("kind", "lead")
    lead.setWordWrap(True)
    words.addWidget(title)
    words.addWidget(lead)
    layout.addWidget(picture)
    layout.addLayout(words, 1)
    return layout


def _when(moment: datetime) -> str:
    """ "today 14:05", "yesterday 09:30" or a date, in local time."""
    local = moment.astimezone()
    days = (datetime.now().astimezone().date() - local.date()).days
    if days in (0, 1):
        return f"{'today' if days == 0 else 'yesterday'} {local:%H:%M}"
    return f"{local:%d %b %Y}"
