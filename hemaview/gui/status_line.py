"""The status line: what to do next, what lies under the mouse, what is running, how fast, and by which model."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QStatusBar, QWidget

from hemaview.gui.segmentation_run import Timing
from hemaview.gui.slice_view import Probe
from hemaview.gui.theme import GAP
from hemaview.gui.view_state import ViewState
from hemaview.imaging.geometry import AXIS_LETTERS
from hemaview.segmentation.contract import EngineInfo


class StatusLine(QObject):
    """Fills a status bar; ``cancel_requested`` comes from its button."""

    cancel_requested = Signal()

    def __init__(self, state: ViewState, bar: QStatusBar) -> None:
        super().__init__(bar)
        self._state = state
        self._probe = QLabel(bar)
        self._probe.setMinimumWidth(320)
        self._hint = QLabel(bar)
        self._hint.setProperty("kind", "muted")
        self._timing = QLabel(bar)
        self._engine = QLabel(bar)
        self._work = QWidget(bar)
        row = QHBoxLayout(self._work)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(GAP)
        self._label = QLabel(self._work)
        self._progress = QProgressBar(self._work)
        self._progress.setFixedWidth(140)
        self._progress.setTextVisible(False)
        cancel = QPushButton("Cancel", self._work)
        cancel.setProperty("kind", "quiet")
        cancel.setToolTip("Stop this (Esc)")
        cancel.clicked.connect(self.cancel_requested)
        for widget in (self._label, self._progress, cancel):
            row.addWidget(widget)
        self._work.hide()
        bar.addWidget(self._hint)
        bar.addWidget(self._probe)
        bar.addPermanentWidget(self._work)
        bar.addPermanentWidget(self._timing)
        bar.addPermanentWidget(self._engine)

    @property
    def text(self) -> str:
        """Timing and engine as shown, for tests and screen readers."""
        return f"{self._timing.text()} {self._engine.text()}".strip()

    def show_probe(self, probe: Probe | None) -> None:
        """Show position, voxel and value under the mouse, or nothing."""
        if probe is None:
            self._probe.setText("")
            return
        places = " ".join(
            f"{letters[1] if value >= 0 else letters[0]} {abs(value):.1f}"
            for letters, value in zip(AXIS_LETTERS, probe.lps or (), strict=False)
        )
        where = f"{places} mm   " if places else ""
        i, j, k = probe.voxel
        unit = f" {probe.unit}" if probe.unit else ""
        inside = "   in the mask" if probe.in_mask else ""
        self._probe.setText(f"{where}voxel {i}, {j}, {k}   value {probe.value:g}{unit}{inside}")

    @property
    def hint(self) -> str:
        """What to do next, as shown."""
        return self._hint.text()

    def show_hint(self, text: str) -> None:
        """Show what to do next."""
        self._hint.setText(text)

    def show_work(self, label: str, fraction: float) -> None:
        """Show what is running with its progress; an empty label hides it."""
        self._work.setVisible(bool(label))
        self._label.setText(label)
        self._progress.setRange(0, 100 if fraction > 0 else 0)
        self._progress.setValue(round(fraction * 100))

    def show_timing(self, timing: Timing | None) -> None:
        """Show how long the last box took."""
        if timing is None or timing.first is None:
            self._timing.setText("")
            return
        first = f"first slice {timing.first * 1000:.0f} ms"
        self._timing.setText(f"{first} · 3D mask {timing.total:.2f} s" if timing.total is not None else first)

    def show_engine(self, info: EngineInfo | None, problem: str) -> None:
        """Show which model answers, or why none does."""
        if info is not None:
            title = f"{info.title} + {info.adapter}" if info.adapter else info.title
            self._engine.setText(f"{title} · {info.device}")
            self._engine.setToolTip(engine_text(info))
        else:
            self._engine.setText("No model" if problem else "Loading model…")
            self._engine.setToolTip(problem)


def engine_text(info: EngineInfo) -> str:
    """What is to be known of a model, on lines."""
    adapter = (f"Adapter: {info.adapter}",) if info.adapter else ()
    facts = (
        info.title,
        *adapter,
        f"Trained on: {info.trained_on}",
        f"Licence: {info.licence}",
        f"SHA-256 {info.sha256[:16]}…",
    )
    return "\n".join(facts)
