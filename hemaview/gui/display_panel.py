"""How the mask and the greys are shown: opacity, fill, outline, window, brush size."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QWidget
from superqt import QLabeledDoubleSlider, QLabeledSlider

from hemaview.gui.cards import Card, label
from hemaview.gui.theme import GAP
from hemaview.gui.view_state import Tool, ViewState


class DisplayPanel(Card):
    """Controls of the shared view state; they follow it, whoever changes it."""

    def __init__(self, state: ViewState, parent: QWidget | None = None) -> None:
        super().__init__("Display", parent)
        self._state = state
        self.visible = QCheckBox("Mask")
        self.visible.setToolTip("Show the mask (S)")
        self.fill = QCheckBox("Fill")
        self.outline = QCheckBox("Outline")
        self.opacity = QLabeledSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setAccessibleName("Opacity of the mask in percent")
        self.brush = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.brush.setRange(0.5, 25.0)
        self.brush.setSingleStep(0.5)
        self.brush.setDecimals(1)
        self.brush.setAccessibleName("Radius of the brush in mm")
        self.brush.setToolTip("Radius of brush and eraser ([ and ])")
        self._brush_name = label("Brush, mm", "muted")

        checks = QHBoxLayout()
        checks.setSpacing(16)
        for box in (self.visible, self.fill, self.outline):
            checks.addWidget(box)
        checks.addStretch(1)
        grid = QGridLayout()
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(GAP // 2)
        grid.setColumnStretch(1, 1)
        grid.addWidget(label("Opacity, %", "muted"), 0, 0)
        grid.addWidget(self.opacity, 0, 1)
        grid.addWidget(self._brush_name, 1, 0)
        grid.addWidget(self.brush, 1, 1)
        self.body.addLayout(checks)
        self.body.addLayout(grid)

        self.visible.toggled.connect(lambda on: state.set_overlay(replace(state.overlay, visible=on)))
        self.fill.toggled.connect(lambda on: state.set_overlay(replace(state.overlay, fill=on)))
        self.outline.toggled.connect(lambda on: state.set_overlay(replace(state.overlay, outline=on)))
        self.opacity.valueChanged.connect(lambda value: state.set_overlay(replace(state.overlay, opacity=value / 100)))
        self.brush.valueChanged.connect(lambda value: state.set_brush_radius(float(value)))
        state.overlay_changed.connect(self._follow_overlay)
        state.brush_changed.connect(self._follow_brush)
        state.tool_changed.connect(self._follow_tool)
        self._follow_overlay()
        self._follow_brush()
        self._follow_tool()

    def _follow_overlay(self) -> None:
        overlay = self._state.overlay
        for box, on in ((self.visible, overlay.visible), (self.fill, overlay.fill), (self.outline, overlay.outline)):
            box.setChecked(on)
        self.opacity.setValue(round(overlay.opacity * 100))
        for control in (self.fill, self.outline):
            control.setEnabled(overlay.visible)
        self.opacity.setEnabled(overlay.visible and overlay.fill)

    def _follow_brush(self) -> None:
        self.brush.blockSignals(True)
        self.brush.setValue(min(self._state.brush_radius_mm, self.brush.maximum()))
        self.brush.blockSignals(False)

    def _follow_tool(self) -> None:
        painting = self._state.tool in (Tool.BRUSH, Tool.ERASER)
        self.brush.setVisible(painting)
        self._brush_name.setVisible(painting)
