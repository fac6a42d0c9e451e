"""The grey windows that a scan's values allow: their actions, their keys and the name of the one in force."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject

from hemaview.gui.actions import PRESET_COUNT, Actions
from hemaview.gui.scan_content import scan_looks
from hemaview.gui.tool_bar import ToolBar
from hemaview.gui.view_state import ViewState
from hemaview.imaging.windowing import WindowPreset, presets


class WindowPresets(QObject):
    """Follows the scan on display; ``handlers`` go to ``Actions.connect``."""

    def __init__(self, state: ViewState, actions: Actions, tools: ToolBar) -> None:
        super().__init__(tools)
        self._state, self._actions, self._tools = state, actions, tools
        self._presets: tuple[WindowPreset, ...] = ()
        state.volume_changed.connect(self._follow_volume)
        state.picture_changed.connect(self._follow_volume)
        state.window_changed.connect(self._follow_window)

    def handlers(self) -> dict[str, Callable[[], None]]:
        """What each action does."""
        found: dict[str, Callable[[], None]] = {"window_auto": self._use_automatic}
        for number in range(1, PRESET_COUNT + 1):
            found[f"preset_{number}"] = partial(self._use, number)
        return found

    def _follow_volume(self) -> None:
        volume = self._state.picture
        self._presets = (
            presets(hounsfield=volume.is_hounsfield, auto=scan_looks(volume).window) if volume is not None else ()
        )
        for number in range(1, PRESET_COUNT + 1):
            action = self._actions[f"preset_{number}"]
            preset = self._preset(number)
            action.setVisible(preset is not None)
            action.setText(preset.name if preset is not None else f"Preset {number}")
        self._follow_window()

    def _follow_window(self) -> None:
        window = self._state.window
        name = next((p.name for p in self._presets if p.window == window), "Custom")
        self._tools.show_window_name(name if self._presets else "")

    def _preset(self, number: int) -> WindowPreset | None:
        return next((p for p in self._presets if p.key == str(number)), None)

    def _use(self, number: int) -> None:
        preset = self._preset(number)
        if preset is not None:
            self._state.set_window(preset.window)

    def _use_automatic(self) -> None:
        if self._state.picture is not None:
            self._state.set_window(scan_looks(self._state.picture).window)
