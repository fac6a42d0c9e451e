"""What a pressed mouse button can be doing in a viewer; one object lives from press to release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hemaview.gui.view_state import ViewState
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import PlaneView
from hemaview.imaging.windowing import Window

ToPicture = Callable[[float, float], tuple[float, float]]
"""Widget to picture position, asked at every step because the viewer can be resized during a drag."""

ZOOM_PER_PX = 1.008
_WINDOW_DRAG_PX = 300.0


class Gesture(Protocol):
    """A drag in progress; positions are widget pixels."""

    def move(self, sx: float, sy: float) -> None:
        """Follow the mouse."""
        ...

    def finish(self) -> None:
        """The button was released: keep the result."""
        ...

    def cancel(self) -> None:
        """Escape was pressed: put everything back."""
        ...


class PanDrag:
    """Move the picture with the mouse."""

    def __init__(
        self, transform: ViewTransform, start: tuple[float, float], place: Callable[[ViewTransform], None]
    ) -> None:
        self._before, self._start, self._place = transform, start, place

    def move(self, sx: float, sy: float) -> None:
        """Follow the mouse."""
        self._place(self._before.panned(sx - self._start[0], sy - self._start[1]))

    def finish(self) -> None:
        """Keep the place."""

    def cancel(self) -> None:
        """Back to where it was."""
        self._place(self._before)


class ZoomDrag:
    """Up enlarges, down reduces; the point that was pressed stays where it is."""

    def __init__(
        self, transform: ViewTransform, start: tuple[float, float], place: Callable[[ViewTransform], None]
    ) -> None:
        self._before, self._start, self._place = transform, start, place

    def move(self, sx: float, sy: float) -> None:
        """Follow the mouse."""
        self._place(self._before.zoomed(ZOOM_PER_PX ** (self._start[1] - sy), *self._start))

    def finish(self) -> None:
        """Keep the zoom."""

    def cancel(self) -> None:
        """Back to the zoom before."""
        self._place(self._before)


class WindowDrag:
    """Right widens the grey window, left narrows it; up lowers the level (brighter), down raises it (darker).

    The step follows the window itself and the range of the scan's values, so a CT brain window and a raw MR scan
    are both set within one hand's width.
    """

    def __init__(self, state: ViewState, start: tuple[float, float]) -> None:
        self._state, self._start, self._before = state, start, state.window
        low, high = state.value_range
        self._step = (0.75 * self._before.width + 0.02 * (high - low)) / _WINDOW_DRAG_PX
        self._narrowest = max((high - low) * 1e-3, 1e-6)

    def move(self, sx: float, sy: float) -> None:
        """Follow the mouse."""
        width = max(self._before.width + (sx - self._start[0]) * self._step, self._narrowest)
        centre = self._before.centre + (sy - self._start[1]) * self._step
        self._state.set_window(Window(centre, width))

    def finish(self) -> None:
        """Keep the window."""

    def cancel(self) -> None:
        """Back to the window before."""
        self._state.set_window(self._before)


class CrosshairDrag:
    """The crosshair follows the mouse within the slice; the other viewers follow the crosshair."""

    def __init__(
        self, state: ViewState, view: PlaneView, index: int, start: tuple[float, float], picture: ToPicture
    ) -> None:
        self._state, self._view, self._index, self._picture = state, view, index, picture
        self._before = state.cursor
        self.move(*start)

    def move(self, sx: float, sy: float) -> None:
        """Follow the mouse."""
        x, y = self._picture(sx, sy)
        self._state.set_cursor(self._view.pixel_to_index(x, y, self._index))

    def finish(self) -> None:
        """Keep the crosshair."""

    def cancel(self) -> None:
        """Back to where the crosshair was."""
        self._state.set_cursor(self._before)
