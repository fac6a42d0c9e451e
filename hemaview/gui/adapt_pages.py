"""The three pages of adapting: which cases and how, how far it is, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from hemaview.case.library import LibraryMask, MaskState
from hemaview.gui.cards import WrappedLabel, label
from hemaview.gui.icons import icon
from hemaview.gui.loss_curve import LossCurve
from hemaview.gui.theme import COLOURS, GAP, MARGIN
from hemaview.gui.training_process import HeldOutCase, Outcome, Progress

LEAST_PATIENTS = 4
"""Two to learn from, one to know when to stop, one that is held out to judge by."""

METHODS = (
    ("lora", "Small adapter (LoRA): recommended"),
    ("conv_lora", "Convolution adapter (ConvLoRA)"),
    ("lora+conv_lora", "Both adapters"),
    ("adabn", "Statistics only (AdaBN): seconds, for another scanner"),
    ("decoder", "Whole mask decoder: for MedSAM without a graphics card"),
)
DEFAULT_MINUTES = 10.0

_INTRODUCTION = (
    "The model learns from masks that you corrected or marked as checked, on this computer. "
    "A quarter of the cases is held out to see whether it became better."
)
_NO_CASES = (
    "No mask was corrected or checked yet. Segment a case, correct it, or look it over and press Ctrl+D "
    "(mark as checked); then it is listed here."
)
_STAGES = {
    "reading": "Reading the scans",
    "preparing": "Preparing the scans",
    "before": "Measuring the model on the cases held out",
    "training": "Learning",
    "after": "Measuring the adapter on the cases held out",
    "done": "Done",
    "verdict": "Done",
}
_NUMBERS = ("Volume", "Before", "After", "Dice before", "Dice after")
_STATES = {MaskState.CHECKED: "✓ checked", MaskState.CORRECTED: "✎ corrected"}
_VERDICTS = {
    "better": ("Better", "good", "The adapter draws the cases held out better than the model alone."),
    "same": ("No difference", "muted", "The adapter makes no clear difference; it can be used, but need not be."),
    "worse": (
        "Worse",
        "warning",
        "The adapter draws the cases held out worse than the model alone, so it cannot be used. "
        "Add more cases, or train longer.",
    ),
}


class ChoosePage(QWidget):
    """Cases, method and time; ``chosen`` are names of case folders."""

    start_requested = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._masks: tuple[LibraryMask, ...] = ()
        self._problem = WrappedLabel(kind="warning")
        self._problem.hide()
        self.table = _table(("Case", "Kind", "Volume", "Changed", "Mask"), "Cases to learn from")
        self.table.itemChanged.connect(self._follow)
        self._count = WrappedLabel()
        self._method = QComboBox(self)
        for _name, text in METHODS:
            self._method.addItem(text)
        self._method.setAccessibleName("Method")
        self._minutes = QDoubleSpinBox(self)
        self._minutes.setRange(0.5, 600.0)
        self._minutes.setDecimals(1)
        self._minutes.setValue(DEFAULT_MINUTES)
        self._minutes.setSuffix(" min")
        self._minutes.setAccessibleName("Longest time to learn, in minutes")
        advanced = QWidget(self)
        grid = QGridLayout(advanced)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        grid.addWidget(label("Method", "muted"), 0, 0)
        grid.addWidget(self._method, 0, 1)
        grid.addWidget(label("At most", "muted"), 1, 0)
        grid.addWidget(self._minutes, 1, 1, Qt.AlignmentFlag.AlignLeft)
        more = QCollapsible("Advanced", self, icon("chevron-down", COLOURS.muted), icon("chevron-right", COLOURS.muted))
        more.setDuration(0)
        more.addWidget(advanced)
        self._start = _button("Adapt the model", "primary")
        self._start.clicked.connect(self.start_requested)
        close = _button("Close", "")
        close.clicked.connect(self.closed)
        layout = _page(self)
        for part in (WrappedLabel(_INTRODUCTION), self._problem):
            layout.addWidget(part)
        layout.addWidget(self.table, 1)
        layout.addWidget(self._count)
        layout.addWidget(more)
        layout.addLayout(_row(close, self._start))
        self._follow()

    @property
    def chosen(self) -> list[str]:
        """Folder names of the ticked cases."""
        chosen = []
        for row, mask in enumerate(self._masks):
            item = self.table.item(row, 0)
            if item is not None and item.checkState() == Qt.CheckState.Checked:
                chosen.append(mask.case)
        return chosen

    @property
    def method(self) -> str:
        """The method's name for the command."""
        return METHODS[self._method.currentIndex()][0]

    @property
    def minutes(self) -> float:
        """The longest time to learn."""
        return self._minutes.value()

    @property
    def can_start(self) -> bool:
        """Whether enough cases are ticked."""
        return self._start.isEnabled()

    @property
    def text(self) -> str:
        """What the page says about the choice, with the problem if there is one."""
        return f"{self._problem.text()} {self._count.text()}".strip()

    def show_reading(self) -> None:
        """Say that the cases are being read."""
        self._problem.hide()
        self._problem.setText("")
        self._masks = ()
        self.table.setRowCount(0)
        self._count.setText("Reading the cases…")
        self._start.setEnabled(False)

    def show_masks(self, masks: Sequence[LibraryMask]) -> None:
        """List what can be learned from, all of it ticked."""
        self._masks = tuple(masks)
        self.table.blockSignals(True)
        self.table.setRowCount(len(masks))
        for row, mask in enumerate(self._masks):
            changed = f"{mask.modified.astimezone():%Y-%m-%d %H:%M}"
            modality = str(mask.scan.modality) if mask.scan.modality != "unknown" else "–"
            texts = (mask.case, modality, f"{mask.volume_ml:.1f} mL", changed, _STATES[mask.state])
            for column, text in enumerate(texts):
                item = _item(text, right=column == 2)
                if column == 0:
                    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                    item.setCheckState(Qt.CheckState.Checked)
                self.table.setItem(row, column, item)
        self.table.blockSignals(False)
        self._follow()

    def show_problem(self, sentence: str) -> None:
        """Say why the last attempt came to nothing."""
        self._problem.setText(sentence)
        self._problem.setVisible(bool(sentence))
        self._follow()

    def _follow(self) -> None:
        chosen = set(self.chosen)
        patients = len({mask.scan.digest for mask in self._masks if mask.case in chosen})
        self._start.setEnabled(patients >= LEAST_PATIENTS)
        if not self._masks:
            self._count.setText(_NO_CASES)
        elif patients < LEAST_PATIENTS:
            missing = LEAST_PATIENTS - patients
            more = "one more scan" if missing == 1 else f"{missing} more scans"
            self._count.setText(f"{patients} chosen. At least {LEAST_PATIENTS} different scans are needed: {more}.")
        else:
            few = "; with so few, judge the result with care" if patients < 12 else ""
            self._count.setText(f"{patients} different scans chosen{few}.")


class RunPage(QWidget):
    """Stage, bar, time and the loss."""

    stop_requested = Signal()
    hidden = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._began = 0.0
        self._stage = label("", "heading")
        self._bar = QProgressBar(self)
        self._bar.setTextVisible(False)
        self._time = WrappedLabel()
        self.curve = LossCurve(self)
        stop = _button("Stop", "")
        stop.clicked.connect(self.stop_requested)
        hide = _button("Work on meanwhile", "primary")
        hide.setToolTip("Close this dialog; the training goes on. Tools, Adapt to my cases shows it again.")
        hide.clicked.connect(self.hidden)
        layout = _page(self)
        for part in (self._stage, self._bar, self._time):
            layout.addWidget(part)
        layout.addWidget(self.curve, 1)
        layout.addLayout(_row(stop, hide))

    @property
    def text(self) -> str:
        """The stage as shown."""
        return self._stage.text()

    def begin(self, cases: int) -> None:
        """A new run begins."""
        self._began = time.monotonic()
        self.curve.clear()
        self._stage.setText(f"Starting with {cases} cases")
        self._bar.setRange(0, 0)
        self._time.setText("The model is not changed until you decide to use the adapter.")

    def show_progress(self, progress: Progress) -> None:
        """Show one line of the command."""
        name = _STAGES.get(progress.stage, progress.stage.capitalize())
        self._stage.setText(name)
        self._bar.setRange(0, max(progress.total, 0))
        self._bar.setValue(progress.done)
        if progress.stage == "training":
            self.curve.add(progress.loss, progress.dice)
        minutes = (time.monotonic() - self._began) / 60
        share = f"{100 * progress.done / progress.total:.0f} %" if progress.total > 0 else "…"
        self._time.setText(f"{share} · {minutes:.1f} minutes so far")


class ResultPage(QWidget):
    """The cases held out before and after, the verdict, and what to do with it."""

    use_requested = Signal()
    again_requested = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._verdict = label("", "title")
        self._words = WrappedLabel()
        self._problem = WrappedLabel(kind="warning")
        self._problem.hide()
        self.table = _table(
            ("Case held out", "Volume", "Before", "After", "Dice before", "Dice after", ""), "Cases held out"
        )
        self._use = _button("Use this adapter", "primary")
        self._use.clicked.connect(self.use_requested)
        again = _button("Choose other cases", "")
        again.clicked.connect(self.again_requested)
        close = _button("Close", "")
        close.clicked.connect(self.closed)
        layout = _page(self)
        for part in (self._verdict, self._words, self._problem):
            layout.addWidget(part)
        layout.addWidget(self.table, 1)
        layout.addLayout(_row(again, close, self._use))

    @property
    def can_use(self) -> bool:
        """Whether the adapter is offered."""
        return self._use.isEnabled()

    @property
    def text(self) -> str:
        """Verdict and reasons as shown."""
        return f"{self._verdict.text()} {self._words.text()} {self._problem.text()}".strip()

    def show_outcome(self, outcome: Outcome) -> None:
        """Show what a run came to."""
        title, kind, words = _VERDICTS.get(outcome.verdict, _VERDICTS["worse"])
        mark = {"good": "▲", "warning": "▼"}.get(kind, "=")
        self._verdict.setText(f"{mark}  {title}")
        count = len(outcome.cases)
        scans = "1 case" if count == 1 else f"{count} cases"
        self._words.setText(
            f"{words} Mean Dice on {scans} held out: {outcome.mean_before:.3f} before, {outcome.mean_after:.3f} after."
        )
        self._problem.hide()
        self._use.setEnabled(outcome.verdict in ("better", "same") and outcome.adapter.is_file())
        self._use.setToolTip("" if self._use.isEnabled() else "Not offered: it is worse on the cases held out")
        self.table.setRowCount(count)
        for row, case in enumerate(outcome.cases):
            for column, text in enumerate(_case_texts(case)):
                self.table.setItem(row, column, _item(text, right=0 < column < 6))

    def show_problem(self, sentence: str) -> None:
        """Say why the adapter is not used."""
        self._problem.setText(sentence)
        self._problem.show()


def _case_texts(case: HeldOutCase) -> tuple[str, ...]:
    change = case.dice_after - case.dice_before
    mark = "= same" if abs(change) < 0.005 else "▲ better" if change > 0 else "▼ worse"
    volumes = (f"{value:.1f} mL" for value in (case.volume_ml, case.volume_before_ml, case.volume_after_ml))
    return (case.case, *volumes, f"{case.dice_before:.3f}", f"{case.dice_after:.3f}", mark)


def _table(titles: Sequence[str], name: str) -> QTableWidget:
    table = QTableWidget(0, len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    table.setAccessibleName(name)
    table.verticalHeader().hide()
    table.setShowGrid(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    table.horizontalHeader().setHighlightSections(False)
    for column, title in enumerate(titles):
        header = table.horizontalHeaderItem(column)
        if header is not None and title in _NUMBERS:
            header.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return table


def _item(text: str, *, right: bool = False) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
    if right:
        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item


def _button(text: str, kind: str) -> QPushButton:
    button = QPushButton(text)
    button.setAutoDefault(False)
    if kind:
        button.setProperty("kind", kind)
    return button


def _page(page: QWidget) -> QVBoxLayout:
    layout = QVBoxLayout(page)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(MARGIN)
    return layout


def _row(*buttons: QPushButton) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(GAP)
    row.addStretch(1)
    for button in buttons:
        row.addWidget(button)
    return row
