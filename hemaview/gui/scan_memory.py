"""What of looking at a case outlives a change of scan: the window of each scan and the place in the patient."""

from __future__ import annotations

from collections.abc import Callable

from numpy.typing import NDArray

from hemaview.gui.place import Place
from hemaview.gui.view_state import ViewState
from hemaview.imaging import Volume
from hemaview.imaging.rigid import RigidMap
from hemaview.imaging.windowing import Window

Alignments = Callable[[str, str], RigidMap | None]
"""From the ids of two scans to what takes the LPS points of the first to the second, where they are aligned."""


class ScanMemory:
    """Shows the scans of one case one after another in a ``ViewState``."""

    def __init__(self, state: ViewState) -> None:
        self._state = state
        self._windows: dict[str, Window] = {}
        self._point: NDArray | None = None
        self._point_of = ""
        self._shown_id = ""

    def forget(self) -> None:
        """Begin with another case."""
        self._windows.clear()
        self._point = None
        self._point_of = ""
        self._shown_id = ""

    def show(self, scan_id: str, volume: Volume | None, alignments: Alignments) -> bool:
        """Show a scan as it was left, with the crosshair where it is in the patient; returns whether that was possible.

        The place is the same in the head where the scans are aligned, else the same by patient coordinates.
        A scan that is now taken for another kind of scan gets the automatic window of that kind.
        """
        state = self._state
        if state.volume is not None and self._shown_id:
            self._point, self._point_of = state.cursor_lps, self._shown_id
            self._windows[self._shown_id] = state.window
        if scan_id == self._shown_id:
            self._windows.pop(scan_id, None)
        self._shown_id = scan_id
        place = None
        if self._point is not None:
            place = Place(self._point, alignments(self._point_of, scan_id) or RigidMap())
        state.set_volume(volume, self._windows.get(scan_id), place)
        return state.place is not None
