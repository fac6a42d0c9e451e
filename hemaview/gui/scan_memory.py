"""What of looking at a case outlives a change of scan: the window of each scan and the place in the patient."""

from __future__ import annotations

from numpy.typing import NDArray

from hemaview.gui.view_state import ViewState
from hemaview.imaging import Volume
from hemaview.imaging.windowing import Window


class ScanMemory:
    """Shows the scans of one case one after another in a ``ViewState``."""

    def __init__(self, state: ViewState) -> None:
        self._state = state
        self._windows: dict[str, Window] = {}
        self._place: NDArray | None = None
        self._shown_id = ""

    def forget(self) -> None:
        """Begin with another case."""
        self._windows.clear()
        self._place = None
        self._shown_id = ""

    def show(self, scan_id: str, volume: Volume | None) -> bool:
        """Show a scan as it was left, with the crosshair where it is in the patient; returns whether that was possible.

        A scan that is now taken for another kind of scan gets the automatic window of that kind.
        """
        state = self._state
        if state.volume is not None and self._shown_id:
            self._place = state.cursor_lps
            self._windows[self._shown_id] = state.window
        if scan_id == self._shown_id:
            self._windows.pop(scan_id, None)
        self._shown_id = scan_id
        state.set_volume(volume, self._windows.get(scan_id), self._place)
        return state.place_kept
