"""Readings, surface and head outline of what is on display, computed by workers; late answers are dropped."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from hemaview.case import Snapshot
from hemaview.gui.derived_worker import DerivedWorker, HeadOutlineWorker
from hemaview.imaging import Volume
from hemaview.surface import Mesh
from hemaview.volumetry import Reading, TadaMeasurement


class Derivation(QObject):
    """``started()``, then ``readings_changed(readings, tada)`` and ``mesh_changed(Mesh | None)`` for each mask.

    ``head_changed(Mesh | None)`` follows each scan. ``failed(str)`` is one sentence; everything is then cleared.
    """

    started = Signal()
    readings_changed = Signal(object, object)
    mesh_changed = Signal(object)
    head_changed = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._snapshot: Snapshot | None = None
        self._volume: Volume | None = None
        self._worker = DerivedWorker(self)
        self._worker.readings_ready.connect(self._on_readings)
        self._worker.mesh_ready.connect(self._on_mesh)
        self._worker.failed.connect(self._on_failed)
        self._outliner = HeadOutlineWorker(self)
        self._outliner.outline_ready.connect(self._on_outline)

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._snapshot is not None or self._volume is not None

    def measure(self, snapshot: Snapshot | None) -> None:
        """Measure the mask of ``snapshot``; None, or no mask, clears readings and surface."""
        if snapshot is None or snapshot.mask is None:
            self._snapshot = None
            self._worker.cancel()
            self.readings_changed.emit(None, None)
            self.mesh_changed.emit(None)
            return
        self._snapshot = snapshot
        self.started.emit()
        self._worker.submit(snapshot)

    def outline(self, volume: Volume | None) -> None:
        """Outline the head of another scan; the outline of the one before goes at once."""
        self._volume = volume
        self.head_changed.emit(None)
        if volume is not None:
            self._outliner.submit(volume)
        else:
            self._outliner.cancel()

    def close(self) -> None:
        """Stop both workers and wait for them."""
        self._worker.cancel()
        self._outliner.cancel()
        self._worker.close()
        self._outliner.close()

    def _on_readings(self, snapshot: Snapshot, readings: tuple[Reading, ...], tada: TadaMeasurement | None) -> None:
        if snapshot is self._snapshot:
            self.readings_changed.emit(readings, tada)

    def _on_mesh(self, snapshot: Snapshot, mesh: Mesh | None) -> None:
        if snapshot is self._snapshot:
            self._snapshot = None
            self.mesh_changed.emit(mesh)

    def _on_failed(self, snapshot: Snapshot, sentence: str) -> None:
        if snapshot is self._snapshot:
            self.measure(None)
            self.failed.emit(sentence)

    def _on_outline(self, volume: Volume, outline: Mesh | None) -> None:
        if volume is self._volume:
            self._volume = None
            self.head_changed.emit(outline)
