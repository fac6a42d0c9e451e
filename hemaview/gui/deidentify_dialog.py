"""How the DICOM files of a scan are to be de-identified, and where they go."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from hemaview.gui.cards import ElidedLabel, WrappedLabel
from hemaview.gui.model_card import Choice
from hemaview.gui.theme import GAP, MARGIN
from hemaview.interchange.dates import Dates

_EXPLANATION = (
    "Names, numbers, institutions, comments and private elements are removed and UIDs replaced (DICOM PS3.15, basic "
    "profile). Pixels and geometry stay. Text in the pictures is not painted over and the face is not removed: look at "
    "the files before you pass them on."
)
_DATES = {Dates.REMOVE: "Remove", Dates.SHIFT: "Move by a random number of days"}
_FOLDER_NAME = "deidentified"


class DeidentifyDialog(QDialog):
    """Asks for the folder and the options; ``folder`` is a new one inside the folder that was chosen."""

    def __init__(self, scan: str, start: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export de-identified DICOM")
        self.setMinimumWidth(520)
        self._start = start
        self._folder: Path | None = None
        self._shown = ElidedLabel(self)
        self._dates = Choice(self)
        self._dates.setAccessibleName("Dates and times")
        for dates, text in _DATES.items():
            self._dates.addItem(text, dates)
        self.screenshots = QCheckBox("Also write pictures that may show the patient's name", self)
        self.browse = QPushButton("Choose folder…", self)
        self.browse.clicked.connect(self._ask_folder)
        self.buttons = QDialogButtonBox(self)
        self.write = QPushButton("Write files", self)
        self.write.setProperty("kind", "primary")
        self.buttons.addButton(self.write, QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._lay_out(scan)
        self.set_parent_folder(None)

    def _lay_out(self, scan: str) -> None:
        place = QHBoxLayout()
        place.setSpacing(GAP)
        place.addWidget(self._shown, 1)
        place.addWidget(self.browse)
        form = QFormLayout()
        form.setSpacing(GAP)
        form.addRow("Scan", WrappedLabel(scan, "text"))
        form.addRow("New folder", place)
        form.addRow("Dates and times", self._dates)
        form.addRow("", self.screenshots)
        column = QVBoxLayout(self)
        column.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        column.setSpacing(MARGIN)
        column.addLayout(form)
        column.addWidget(WrappedLabel(_EXPLANATION))
        column.addWidget(self.buttons)

    @property
    def folder(self) -> Path | None:
        """The folder to make, or None while none was chosen."""
        return self._folder

    @property
    def dates(self) -> Dates:
        """What becomes of dates."""
        return Dates(self._dates.currentData())

    def set_dates(self, dates: Dates) -> None:
        """Choose what becomes of dates."""
        self._dates.setCurrentIndex(self._dates.findData(dates))

    def set_parent_folder(self, parent: Path | None) -> None:
        """Write into a new folder inside ``parent``."""
        self._folder = None if parent is None else _unused(parent / _FOLDER_NAME)
        self._shown.set_text(str(self._folder or "not chosen yet"))
        self.write.setEnabled(self._folder is not None)

    def _ask_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Write de-identified files in", str(self._start))
        if name:
            self.set_parent_folder(Path(name))


def _unused(folder: Path) -> Path:
    """The folder, or with a number where there is one of that name."""
    number = 1
    candidate = folder
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
