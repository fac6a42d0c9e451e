"""The scans of the case: a thumbnail, what each is, its grid and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from hemaview.case import Case, ScanEntry
from hemaview.case.examinations import is_other_patient
from hemaview.gui.aligning import alignment_text
from hemaview.gui.cards import Card
from hemaview.gui.icons import icon, untinted
from hemaview.gui.scan_details import ScanDetails, why_text
from hemaview.gui.theme import COLOURS
from hemaview.gui.thumbnails import volume_picture
from hemaview.imaging import Volume

_THUMBNAIL = 52
_ROW_HEIGHT = 66
_MOST_ROWS = 4

Row = tuple[ScanEntry, str, str]
"""A scan, the text of its row and what a pause of the mouse over it says."""


class ScansPanel(Card):
    """``scan_chosen(str)`` carries the id of the scan to show; ``details`` says what the scan on display is."""

    scan_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Scans", parent)
        self._list = QListWidget(self)
        self._list.setAccessibleName("Scans of this case")
        self._list.setIconSize(QSize(_THUMBNAIL, _THUMBNAIL))
        self._list.setUniformItemSizes(True)
        self._list.setWordWrap(False)
        self._list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.currentItemChanged.connect(self._on_chosen)
        self.details = ScanDetails(self)
        self._thumbnails: dict[int, QIcon] = {}
        self._shown: tuple[list[Row], ScanEntry | None] | None = None
        self.body.addWidget(self._list)
        self.body.addWidget(self.details)

    def show_case(self, case: Case | None) -> None:
        """List a case's scans, the active one marked, and say what that one is."""
        self.details.setVisible(case is not None)
        if case is not None:
            self.details.show_case(case)
        scans = () if case is None else case.scans
        active = None if case is None else case.active_scan
        rows = [(entry, row_text(case, entry), tip_text(case, entry)) for entry in scans] if case is not None else []
        # Every stroke of the brush comes here; the list is made anew only where it says something else.
        if (rows, active) != self._shown:
            self._list_scans(rows, active)
            self._shown = (rows, active)

    def _list_scans(self, rows: Sequence[Row], active: ScanEntry | None) -> None:
        self._list.blockSignals(True)
        self._list.clear()
        kept: dict[int, QIcon] = {}
        for entry, text, tip in rows:
            item = QListWidgetItem(self._picture(entry, kept), text)
            item.setData(Qt.ItemDataRole.UserRole, entry.id)
            item.setToolTip(tip)
            item.setSizeHint(QSize(100, _ROW_HEIGHT))
            self._list.addItem(item)
            if active is not None and entry.id == active.id:
                self._list.setCurrentItem(item)
        self._thumbnails = kept
        self._list.setFixedHeight(max(1, min(len(rows), _MOST_ROWS)) * _ROW_HEIGHT + 10)
        self._list.scrollToItem(self._list.currentItem())
        self._list.blockSignals(False)

    def _picture(self, entry: ScanEntry, kept: dict[int, QIcon]) -> QIcon:
        if entry.volume is None:
            return icon("warning", COLOURS.warning)
        key = id(entry.volume)
        kept[key] = self._thumbnails.get(key) or thumbnail(entry.volume)
        return kept[key]

    def _on_chosen(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.scan_chosen.emit(item.data(Qt.ItemDataRole.UserRole))


def row_text(case: Case, entry: ScanEntry) -> str:
    """Three lines: what the scan is called, its grid, and what can be done with it and what it is aligned to."""
    sure = "" if entry.known_as.certain else " · guess"
    aligned = "" if entry.aligned_to is None else f" · aligned to {case.labels[entry.aligned_to]}"
    return f"{case.labels[entry.id]}{sure}\n{grid_text(entry)}\n{verdict_text(case, entry)}{aligned}"


def tip_text(case: Case, entry: ScanEntry) -> str:
    """Grid, why it is taken for its kind, how it is aligned, and its file."""
    lines = (grid_text(entry), why_text(entry), alignment_text(case, entry), str(entry.path))
    return "\n".join(line for line in lines if line)


def verdict_text(case: Case, entry: ScanEntry) -> str:
    """Whether a scan can be measured and whose mask it has, in a few words."""
    if entry.problem is not None:
        return "⚠ file is not there"
    if is_other_patient(entry, case.scans):
        return "⚠ Another patient"
    if entry.not_measurable is not None:
        return "Look only"
    if case.snapshot(entry.id).carried_from is not None:
        return "⚠ Carried mask, not measured"
    return "Measurable · has a mask" if case.has_mask(entry.id) else "Measurable"


def grid_text(entry: ScanEntry) -> str:
    """Size and spacing of a scan in one line; the mean spacing where slices are uneven."""
    x, y, z = entry.geometry.size
    steps = [f"{s:.2f}".rstrip("0").rstrip(".") for s in entry.geometry.spacing]
    if entry.geometry.is_uneven:
        steps[2] = f"~{entry.geometry.spacing[2]:.1f}"
    spacing = steps[0] if len(set(steps)) == 1 else "×".join(steps)
    return f"{x}×{y}×{z} · {spacing} mm"


def thumbnail(volume: Volume) -> QIcon:
    """The middle slice."""
    side = 2 * _THUMBNAIL
    fitted = volume_picture(volume).scaled(
        side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
    return untinted(QPixmap.fromImage(fitted))
