"""Preparing the scan on display: choose steps, see before and after, decide what the result is for."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from hemaview.case import ScanEntry
from hemaview.case.preparation import Preparation, boxes_of, prepare
from hemaview.gui.cards import WrappedLabel, label
from hemaview.gui.picture_pair import PicturePair
from hemaview.gui.scan_content import scan_looks
from hemaview.gui.step_choice import StepChoice
from hemaview.gui.task_thread import Report, Task, TaskQueue
from hemaview.gui.theme import GAP, MARGIN
from hemaview.gui.workflow import Workflow
from hemaview.imaging import Modality, Plane
from hemaview.imaging.preprocessing import Prepared
from hemaview.segmentation.deepbet import is_installed

INTRODUCTION = (
    "Every step is optional and is kept with the case. Mask and volumes are always those of the scan as it was read. "
    "Your boxes are left out of what the steps estimate."
)
MODEL_NOTE = "Masks made from a prepared scan get no corrected volume: it was fitted on scans as they are."
COMPUTING = "Computing…"
CANCELLED = "Cancelled; choose other steps or preview again."


class PrepareDialog(QDialog):
    """Works on the scan that is on display when it opens; nothing changes before ``use`` is pressed."""

    def __init__(self, workflow: Workflow, scan: ScanEntry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        assert scan.volume is not None
        self.setWindowTitle(f"Prepare {scan.name}")
        room = self.screen().availableSize()
        self.resize(min(1040, room.width() - 80), min(640, room.height() - 80))
        self._workflow, self._scan, self._volume = workflow, scan, scan.volume
        self._boxes = boxes_of(workflow.case.prompt, scan.geometry) if workflow.case is not None else ()
        self._made: tuple[tuple[Any, ...], Prepared] | None = None
        self._tasks = TaskQueue(self)
        self._tasks.changed.connect(self._show_progress)
        self._tasks.failed.connect(self._show_problem)

        self.choice = StepChoice(self, deepbet=is_installed())
        self.pictures = PicturePair(self)
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setAccessibleName("Slice")
        self.progress = QProgressBar(self)
        self.progress.setTextVisible(False)
        self.progress.setRange(0, 100)
        self.words = WrappedLabel(kind="muted")
        self.for_display = QCheckBox("Show it in the viewers", self)
        self.for_model = QCheckBox("Give it to the model too", self)
        self.model_note = WrappedLabel(MODEL_NOTE)
        self.preview = self._button("Preview", self.start, "Carry out the chosen steps and show the result here")
        self.stop = self._button("Cancel", self.cancel, "Stop what is being computed")
        self.use = self._button("Use", self.accept_result, "Use the result as ticked above")
        self.use.setProperty("kind", "primary")
        self.remove = self._button("Use the scan as it is", self.remove_preparation, "Forget the preparation")
        self.close_button = self._button("Close", self.reject, "Change nothing")
        self._lay_out()
        self._show_scan()
        self.choice.changed.connect(self._follow)
        self.slider.valueChanged.connect(self.pictures.set_slice)
        for box in (self.for_display, self.for_model):
            box.toggled.connect(self._follow)
        self._follow()

    @property
    def is_busy(self) -> bool:
        """Whether a preview is being computed."""
        return self._tasks.is_busy

    def start(self) -> None:
        """Compute the preview."""
        preparation = self._preparation()
        volume = self._volume
        self.words.setText("")

        def work(report: Report) -> Any:
            prepared = prepare(volume, preparation, report)
            scan_looks(prepared.display)
            return prepared

        def done(prepared: Any) -> None:
            self._made = (preparation.steps, prepared)
            self.pictures.show_after(prepared.display)
            self.words.setText(" ".join(prepared.notes))
            self._follow()

        self._tasks.run(Task("Preparing", work, done, self._show_problem))
        self._follow()

    def cancel(self) -> None:
        """Stop the preview."""
        self._tasks.cancel()
        self._show_problem(CANCELLED)

    def accept_result(self) -> None:
        """Keep the preparation with the case and close; the viewers and the model get it as ticked."""
        prepared = self._result()
        if prepared is not None:
            self._workflow.preparing.use(self._preparation(), prepared)
            self.accept()

    def remove_preparation(self) -> None:
        """Go back to the scan as it was read, and close."""
        self._workflow.preparing.use(None)
        self.accept()

    def done(self, result: int) -> None:
        """Close the dialog; what runs is stopped and its thread waited for."""
        self._tasks.close()
        super().done(result)

    def reject(self) -> None:
        """Esc stops a preview under way before it closes the dialog."""
        if self._tasks.is_busy:
            self.cancel()
        else:
            super().reject()

    def _preparation(self) -> Preparation:
        wanted, fit = self.for_model.isChecked(), self.for_model.isEnabled()
        return Preparation(self.choice.steps, self._boxes, self.for_display.isChecked(), wanted and fit)

    def _result(self) -> Prepared | None:
        """The preview, as long as it is that of the steps that are chosen now."""
        return self._made[1] if self._made is not None and self._made[0] == self.choice.steps else None

    def _show_scan(self) -> None:
        recorded = self._scan.preparation
        self.choice.show_steps(recorded.steps if recorded else (), ct=self._volume.modality is Modality.CT)
        self.for_display.setChecked(recorded is None or recorded.for_display)
        self.for_model.setChecked(recorded is not None and recorded.for_model)
        index = self._workflow.state.slice_index(Plane.AXIAL)
        self.pictures.show_before(self._volume, index)
        self.slider.setRange(0, max(0, self.pictures.slice_count - 1))
        self.slider.setValue(index)
        if recorded is not None and self._scan.prepared is not None and recorded.boxes == self._boxes:
            self._made = (recorded.steps, self._scan.prepared)
            self.pictures.show_after(self._scan.prepared.display)
            self.words.setText(" ".join(self._scan.prepared.notes))

    def _follow(self) -> None:
        busy, steps, result = self.is_busy, self.choice.steps, self._result()
        self.choice.setEnabled(not busy)
        self.preview.setEnabled(bool(steps) and not busy and result is None)
        self.stop.setEnabled(busy)
        self.for_model.setEnabled(any(not step.for_display_only for step in steps))
        self.model_note.setVisible(self.for_model.isChecked() and self.for_model.isEnabled())
        something = self.for_display.isChecked() or (self.for_model.isChecked() and self.for_model.isEnabled())
        self.use.setEnabled(result is not None and not busy and something)
        self.remove.setEnabled(self._scan.preparation is not None and not busy)
        if busy:
            self.pictures.show_after(None, COMPUTING)
        else:
            self.pictures.show_after(None if result is None else result.display)
            self.progress.setValue(0)

    def _show_progress(self, text: str, fraction: float) -> None:
        self.progress.setValue(round(100 * fraction))
        if not text:
            self._follow()

    def _show_problem(self, sentence: str) -> None:
        self.words.setText(sentence)
        self._follow()

    def _button(self, text: str, handler: Any, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.setAutoDefault(False)
        button.clicked.connect(lambda: handler())
        return button

    def _lay_out(self) -> None:
        left = QVBoxLayout()
        left.setSpacing(GAP)
        left.addWidget(WrappedLabel(INTRODUCTION))
        left.addWidget(self.choice)
        left.addStretch(1)
        left.addWidget(label("Use the result", "muted"))
        left.addWidget(self.for_display)
        left.addWidget(self.for_model)
        left.addWidget(self.model_note)
        side = QWidget(self)
        side.setFixedWidth(320)
        side.setLayout(left)
        left.setContentsMargins(0, 0, 0, 0)
        right = QVBoxLayout()
        right.setSpacing(GAP)
        right.addWidget(self.pictures, 1)
        right.addWidget(self.slider)
        right.addWidget(self.progress)
        right.addWidget(self.words)
        columns = QHBoxLayout()
        columns.setSpacing(MARGIN)
        columns.addWidget(side)
        columns.addLayout(right, 1)
        buttons = QHBoxLayout()
        for button in (self.remove, self.close_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        for button in (self.stop, self.preview, self.use):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(MARGIN)
        layout.addLayout(columns, 1)
        layout.addLayout(buttons)
