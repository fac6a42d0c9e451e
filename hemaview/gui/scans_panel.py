"""The scans of the case: a thumbnail, the name, the grid and what the reader noted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from hemaview.case import ScanEntry
from hemaview.gui.cards import Card, WrappedLabel
from hemaview.gui.icons import icon
from hemaview.gui.theme import COLOURS
from hemaview.imaging import Plane, Volume, plane_view
from hemaview.imaging.windowing import auto_window, to_grey8

_THUMBNAIL = 48
_ROW_HEIGHT = 60
_MOST_ROWS = 4


class ScansPanel(Card):
    """``scan_chosen(str)`` carries the id of the scan to show."""

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
        self._notes = WrappedLabel()
        self._thumbnails: dict[int, QIcon] = {}
        self.body.addWidget(self._list)
        self.body.addWidget(self._notes)

    def show_scans(self, scans: Sequence[ScanEntry], active: ScanEntry | None) -> None:
        """List the scans, the active one marked."""
        self._list.blockSignals(True)
        self._list.clear()
        kept: dict[int, QIcon] = {}
        for entry in scans:
            item = QListWidgetItem(f"{entry.name}\n{grid_text(entry)}")
            item.setData(Qt.ItemDataRole.UserRole, entry.id)
            item.setToolTip(f"{entry.path}\n{grid_text(entry)}")
            item.setSizeHint(QSize(100, _ROW_HEIGHT))
            if entry.volume is not None:
                key = id(entry.volume)
                kept[key] = self._thumbnails.get(key) or thumbnail(entry.volume)
                item.setIcon(kept[key])
            else:
                item.setIcon(icon("warning", COLOURS.warning))
            self._list.addItem(item)
            if active is not None and entry.id == active.id:
                self._list.setCurrentItem(item)
        self._thumbnails = kept
        self._list.setFixedHeight(max(1, min(len(scans), _MOST_ROWS)) * _ROW_HEIGHT + 10)
        self._list.blockSignals(False)
        notes = active.volume.notes if active is not None and active.volume is not None else ()
        problem = (active.problem,) if active is not None and active.problem else ()
        self._notes.setText("\n".join((*problem, *notes)))
        self._notes.setVisible(bool(problem or notes))

    def _on_chosen(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.scan_chosen.emit(item.data(Qt.ItemDataRole.UserRole))


def grid_text(entry: ScanEntry) -> str:
    """Modality, size and spacing of a scan in one line."""
    x, y, z = entry.geometry.size
    steps = tuple(f"{s:.2f}".rstrip("0").rstrip(".") for s in entry.geometry.spacing)
    spacing = steps[0] if len(set(steps)) == 1 else " × ".join(steps)
    modality = "" if entry.modality == "unknown" else f"{entry.modality} · "
    return f"{modality}{x} × {y} × {z} · {spacing} mm"


def thumbnail(volume: Volume) -> QIcon:
    """The middle axial slice, square."""
    view = plane_view(volume.geometry, Plane.AXIAL)
    picture = view.extract(volume.array, view.slice_count // 2)
    step = max(1, min(picture.shape) // 128)
    grey = np.ascontiguousarray(to_grey8(np.ascontiguousarray(picture[::step, ::step]), auto_window(volume)))
    rows, columns = grey.shape
    image = QImage(grey.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
    height = abs(view.y_vector_mm[1]) * rows
    width = abs(view.x_vector_mm[0]) * columns
    scale = 2 * _THUMBNAIL / max(width, height)
    size = QSize(max(1, round(width * scale)), max(1, round(height * scale)))
    pixmap = QPixmap.fromImage(
        image.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)
    )
    return QIcon(pixmap)
