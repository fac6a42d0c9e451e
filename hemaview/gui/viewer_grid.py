"""Axial, sagittal, coronal and 3D in two rows of two; any of them can fill the whole place."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from hemaview.gui.slice_frame import SliceViewFrame
from hemaview.gui.slice_view import SliceView
from hemaview.gui.theme import GAP
from hemaview.gui.view3d import View3D
from hemaview.gui.view_state import ViewState
from hemaview.imaging import Plane

_PLACES = {Plane.AXIAL: (0, 0), Plane.SAGITTAL: (0, 1), Plane.CORONAL: (1, 0)}


class ViewerGrid(QWidget):
    """``frames`` are the slice viewers by plane, ``space`` the 3D pane; signals are those of all three viewers."""

    prompted = Signal(object, str)
    brush_stroke = Signal(object, object)
    probe_changed = Signal(object)

    def __init__(self, state: ViewState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.frames: dict[Plane, SliceViewFrame] = {}
        self._maximised: QWidget | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(GAP, GAP, GAP, GAP)
        self._grid.setSpacing(GAP)
        for plane, (row, column) in _PLACES.items():
            frame = SliceViewFrame(state, plane, self)
            frame.view.prompted.connect(self.prompted)
            frame.view.brush_stroke.connect(self.brush_stroke)
            frame.view.probe_changed.connect(self.probe_changed)
            frame.view.maximise_requested.connect(lambda _plane, target=frame: self.toggle_maximised(target))
            self.frames[plane] = frame
            self._grid.addWidget(frame, row, column)
        self.space = View3D(state, self)
        self.space.maximise_requested.connect(lambda: self.toggle_maximised(self.space))
        self._grid.addWidget(self.space, 1, 1)
        for line in (0, 1):
            self._grid.setRowStretch(line, 1)
            self._grid.setColumnStretch(line, 1)

    @property
    def current(self) -> SliceView:
        """The viewer that keys act on: the one with the focus, else the one that fills the place, else axial."""
        for frame in self.frames.values():
            if frame.view.hasFocus() or frame is self._maximised:
                return frame.view
        return self.frames[Plane.AXIAL].view

    @property
    def maximised(self) -> QWidget | None:
        """The pane that fills the place, if one does."""
        return self._maximised

    def fit(self) -> None:
        """Fit the head into every viewer."""
        for frame in self.frames.values():
            frame.view.fit()

    def toggle_maximised(self, pane: QWidget | None = None) -> None:
        """Let a pane (default: the current viewer's) fill the place, or show all four again."""
        panes: list[QWidget] = [*self.frames.values(), self.space]
        if self._maximised is not None:
            self._maximised = None
        else:
            self._maximised = pane if pane is not None else self.frames[self.current.plane]
        alone = self._maximised
        for pane in panes:
            pane.setVisible(alone is None or pane is alone)
        # An empty row or column takes no room only without stretch.
        kept = divmod(panes.index(alone), 2) if alone is not None else None
        for line in (0, 1):
            self._grid.setRowStretch(line, 1 if kept is None or kept[0] == line else 0)
            self._grid.setColumnStretch(line, 1 if kept is None or kept[1] == line else 0)
        self._grid.setSpacing(GAP if alone is None else 0)
        if isinstance(alone, SliceViewFrame):
            alone.view.setFocus()
