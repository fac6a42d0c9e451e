"""One viewer: a plane of the scan with everything drawn on it and every gesture made on it."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from hemaview.gui.view_state import ViewState
from hemaview.imaging import Plane


@dataclass(frozen=True)
class Probe:
    """What lies under the mouse: voxel (i, j, k), point in LPS mm, the scan's value and whether the mask holds it."""

    plane: Plane
    voxel: tuple[int, int, int]
    lps: tuple[float, float, float]
    value: float
    unit: str
    in_mask: bool


class SliceView(QWidget):
    """A viewer of one plane.

    ``box_drawn(BoxPrompt)``: a new rectangle was drawn. ``box_edited(BoxPrompt)``: a handle or the box was dragged.
    ``brush_stroke(region, values)``: a stroke ended; ``region`` are (k, j, i) slices and ``values`` the mask's new
    voxels there. ``maximise_requested(Plane)``: double-click. ``probe_changed(Probe | None)``: the mouse moved.
    """

    box_drawn = Signal(object)
    box_edited = Signal(object)
    brush_stroke = Signal(object, object)
    maximise_requested = Signal(object)
    probe_changed = Signal(object)

    def __init__(self, state: ViewState, plane: Plane, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self.plane = plane

    def fit(self) -> None:
        """Show the whole head, as large as fits."""
        self.update()

    def step(self, count: int) -> None:
        """Move ``count`` slices towards the patient's head (axial), front (coronal) or left (sagittal)."""
        self._state.set_slice_index(self.plane, self._state.slice_index(self.plane) + count)
