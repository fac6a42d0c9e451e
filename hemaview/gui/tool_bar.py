"""The tool bar: opening, history, tools, window presets, search and the way out of the program with an STL."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QSizePolicy, QToolBar, QToolButton, QWidget

from hemaview.gui.actions import Actions
from hemaview.gui.icons import icon
from hemaview.gui.theme import COLOURS

_GROUPS = (
    ("open", "sample"),
    ("undo", "redo"),
    ("tool_crosshair", "tool_window", "tool_box", "tool_points", "tool_brush", "tool_eraser"),
    ("fit", "overlay"),
)


class ToolBar(QToolBar):
    """Shows actions of the table; owns none."""

    def __init__(self, actions: Actions, parent: QWidget | None = None) -> None:
        super().__init__("Tools", parent)
        self.setObjectName("toolBar")
        self.setMovable(False)
        self.setIconSize(QSize(20, 20))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        for group in _GROUPS:
            for action_id in group:
                self.addAction(actions[action_id])
            self.addSeparator()
        # The one tool everybody needs says its name.
        box = self.widgetForAction(actions["tool_box"])
        if isinstance(box, QToolButton):
            box.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._presets = self._button("menu", "Window presets (1 to 9, 0 automatic)")
        self._presets.setMenu(actions.presets)
        self._presets.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        spacer = QWidget(self)
        spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.addWidget(spacer)
        search = self._button("menu", "Find an action (Ctrl+K)")
        search.setIcon(icon("search", COLOURS.muted))
        search.setText("Find an action   Ctrl+K")
        search.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        search.clicked.connect(actions["palette"].trigger)
        export = self._button("primary", "")
        export.setDefaultAction(actions["export_stl"])
        export.setText("Export STL")
        export.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.show_window_name("")
        for button in self.findChildren(QToolButton):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAccessibleName(button.text())

    def show_window_name(self, name: str) -> None:
        """Show which window preset is in force; empty while there is no scan."""
        self._presets.setText(f"{name or 'Window'}  ▾")
        self._presets.setEnabled(bool(name))

    def _button(self, kind: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setProperty("kind", kind)
        button.setToolTip(tip)
        self.addWidget(button)
        return button
