"""One viewer: a plane of the scan, what is drawn over it and the gestures made on it.

Mouse: the wheel changes the slice, Ctrl+wheel zooms about the pointer, a right drag zooms, a middle drag pans, a
left drag is the current tool, Shift+move takes the crosshair along, a double-click asks for a larger view. In
the box tool Shift+drag adds a box, Ctrl+drag redraws the rectangle of this slice alone, and Ctrl+Shift+drag draws a
new box wherever it begins. In the point tool a click places a point, a right click or Alt+click one of the other
sign, a drag moves one, a right click on one turns its sign and a double-click removes it.
Keys: PgUp/PgDn and the arrows change the slice, Home/End go to the last and first, Ctrl+arrows move the crosshair
within the slice (with Shift ten voxels), + and - zoom, R fits, Esc gives up the drag. In the box tool Return draws
a box round the crosshair, Alt+arrows move the box and Shift+arrows its right or lower side by a voxel; in the point
tool Return or the space bar places a point at the crosshair (with Shift of the other sign); with brush and eraser the
space bar dabs there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QFocusEvent,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from hemaview.gui.annotations import Probe, bottom_text_rect, probe_at
from hemaview.gui.box_tool import ARROWS, BoxDrag, shown_boxes
from hemaview.gui.gestures import Gesture
from hemaview.gui.sight import Sight
from hemaview.gui.slice_overlay import Scene, paint_overlay
from hemaview.gui.slice_painter import SliceLayers
from hemaview.gui.slice_slider import index_rises
from hemaview.gui.theme import COLOURS
from hemaview.gui.tool_gestures import Site, Under, begin, in_hand, mouse_cursor, remove_item, tool_key, under_mouse
from hemaview.gui.view_state import Region, Tool, ViewState
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import Geometry, Plane

__all__ = ["Probe", "SliceView"]

_WHEEL_NOTCH = 120
_ZOOM_PER_NOTCH = 1.2
_WHOLE_SCAN = 1 << 20
_SLICE_KEYS = {
    Qt.Key.Key_PageUp: 1,
    Qt.Key.Key_PageDown: -1,
    Qt.Key.Key_Up: 1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Home: _WHOLE_SCAN,
    Qt.Key.Key_End: -_WHOLE_SCAN,
}


class SliceView(QWidget):
    """A viewer of one plane; everything it shows is in the ``ViewState`` that it shares with the other viewers.

    ``prompted(Prompt, str)``: a box or point was drawn, dragged or removed; the text names the step.
    ``brush_stroke(region, values)``: a stroke ended; ``region`` are (k, j, i) slices and ``values`` the mask's new
    voxels there. ``maximise_requested(Plane)``: double-click. ``probe_changed(Probe | None)``: the mouse moved.
    """

    prompted = Signal(object, str)
    brush_stroke = Signal(object, object)
    maximise_requested = Signal(object)
    probe_changed = Signal(object)

    def __init__(self, state: ViewState, plane: Plane, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plane = plane
        self._state = state
        self._layers = SliceLayers()
        self._transform: ViewTransform | None = None
        self._geometry: Geometry | None = None
        self._fitted = True
        self._index = 0
        self._gesture: Gesture | None = None
        self._gesture_button = Qt.MouseButton.NoButton
        self._mouse: tuple[float, float] | None = None
        self._probe: Probe | None = None
        self._under = Under()
        self._pressed_on_point = False
        self._wheel = 0.0
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.WheelFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 120)
        self.setAccessibleName(f"{plane.value.capitalize()} view")
        state.volume_changed.connect(self._on_volume)
        state.display_changed.connect(self._on_display)
        state.cursor_changed.connect(self._on_cursor)
        state.window_changed.connect(self._on_window)
        state.overlay_changed.connect(self._on_overlay)
        state.tool_changed.connect(self._on_tool)
        state.brush_changed.connect(self.update)
        for signal in (state.mask_changed, state.preview_changed, state.stroke_changed):
            signal.connect(self._on_mask)
        state.prompt_changed.connect(self._on_tool)
        state.aim.changed.connect(self.update)
        state.tada_changed.connect(self.update)
        self._on_volume()

    # What the window calls

    def sizeHint(self) -> QSize:
        """A square that shows a head well."""
        return QSize(420, 420)

    @property
    def transform(self) -> ViewTransform | None:
        """Where the picture lies in this widget; None without a scan."""
        return self._transform

    @property
    def slice_index(self) -> int:
        """The slice on display, from 0."""
        return self._index

    def fit(self) -> None:
        """Show the whole head, as large as fits; it stays fitted while the widget changes its size."""
        self._fitted = True
        view = self._state.view(self.plane)
        self._transform = (
            ViewTransform.fit(view, self.width(), self.height(), self._state.content) if view is not None else None
        )
        self._layers.placement_changed()
        self.update()

    def step(self, count: int) -> None:
        """Move ``count`` slices towards the patient's head (axial), front (coronal) or left (sagittal)."""
        rises = index_rises(self._state, self.plane)
        self._state.set_slice_index(self.plane, self._index + (count if rises else -count))

    def zoom_by(self, factor: float, sx: float | None = None, sy: float | None = None) -> None:
        """Enlarge about a position in the widget, by default its middle."""
        if self._transform is not None:
            x = self.width() / 2 if sx is None else sx
            y = self.height() / 2 if sy is None else sy
            self._place(self._transform.zoomed(factor, x, y))

    # The state changed

    def _on_volume(self) -> None:
        place = self._state.place
        sight = self._sight()
        self._show_anew(sight.taken_to(place) if sight is not None and place is not None else None)

    def _show_anew(self, sight: Sight | None) -> None:
        self._gesture = None
        self._probe = None
        self._index = self._state.slice_index(self.plane)
        self._geometry = self._state.geometry
        self._layers.scan_changed()
        self._layers.mask_changed()
        self.fit()
        if sight is not None and self._transform is not None and self._geometry is not None:
            self._place(sight.on(self._transform.view, self._geometry, self.width(), self.height()))
        self._on_tool()
        self._describe()

    def _sight(self) -> Sight | None:
        """What is looked at on the scan that was on display; None for a whole head, which is fitted anew."""
        if self._transform is None or self._geometry is None or self._fitted:
            return None
        return Sight.of(self._transform, self._geometry, self._index, self.width(), self.height())

    def _on_display(self) -> None:
        if self._transform is not None and self._transform.view is not self._state.view(self.plane):
            self._show_anew(self._sight())
        self._layers.placement_changed()
        self.update()

    def _on_cursor(self) -> None:
        index = self._state.slice_index(self.plane)
        if index != self._index:
            self._index = index
            self._layers.scan_changed()
            self._describe()
            self._update_probe()
        self.update()

    def _on_window(self) -> None:
        self._layers.window_changed()
        self.update()

    def _on_overlay(self) -> None:
        self._layers.placement_changed()
        self.update()

    def _on_mask(self) -> None:
        self._layers.mask_changed()
        self.update()

    def _on_tool(self) -> None:
        self._update_mouse_cursor()
        self.update()

    def _place(self, transform: ViewTransform) -> None:
        self._fitted = False
        self._transform = transform.kept_visible(self.width(), self.height())
        self._layers.placement_changed()
        self._update_probe()
        self.update()

    def _describe(self) -> None:
        view = self._state.view(self.plane)
        text = f"slice {self._index + 1} of {view.slice_count}" if view is not None else "no scan"
        self.setAccessibleDescription(text)

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin the gesture of the pressed button."""
        if self._gesture is not None or self._transform is None:
            return
        self._mouse = start = (event.position().x(), event.position().y())
        site = self._site()
        if site is None:
            return
        self._gesture_button = event.button()
        self._pressed_on_point = self._state.tool is Tool.POINTS and under_mouse(site, *start).item is not None
        self._gesture = begin(site, event.button(), event.modifiers(), start)
        self._update_mouse_cursor()
        self.update()

    def _site(self) -> Site | None:
        view, transform = self._state.view(self.plane), self._transform
        if view is None or transform is None:
            return None
        prompted, stroke = self.prompted.emit, self._emit_stroke
        return Site(self._state, view, self._index, transform, self._picture, self._place, prompted, stroke)

    def _emit_stroke(self, region: Region, values: NDArray[np.bool_]) -> None:
        self.brush_stroke.emit(region, values)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Continue the gesture, or tell what lies under the mouse."""
        before = self._mouse
        self._mouse = (event.position().x(), event.position().y())
        if self._gesture is not None:
            self._gesture.move(*self._mouse)
        elif (
            event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            and event.buttons() == Qt.MouseButton.NoButton
            and self._transform is not None
        ):
            x, y = self._picture(*self._mouse)
            self._state.set_cursor(self._transform.view.pixel_to_index(x, y, self._index))
        else:
            self._update_mouse_cursor()
        self._update_probe()
        self._update_ring(before)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the gesture that this button began."""
        if self._gesture is not None and event.button() == self._gesture_button:
            gesture, self._gesture = self._gesture, None
            gesture.finish()
            self._update_mouse_cursor()
            self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Ask for a larger view; while painting a second click is a second dab, on a point it removes the point."""
        if event.button() != Qt.MouseButton.LeftButton or self._state.tool in (Tool.BRUSH, Tool.ERASER):
            self.mousePressEvent(event)
        elif self._state.tool is Tool.POINTS:
            site = self._site()
            under = under_mouse(site, event.position().x(), event.position().y()) if site is not None else Under()
            # Two quick clicks on an empty place are one point, not one placed and taken away again.
            if under.item is not None and self._pressed_on_point:
                remove_item(self._state, under.item, self.prompted.emit)
        else:
            self.maximise_requested.emit(self.plane)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Change the slice, with Ctrl the zoom; touchpads count in fractions of a notch."""
        notches = event.angleDelta().y() / _WHEEL_NOTCH
        event.accept()
        if self._gesture is not None or notches == 0:
            return
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom_by(_ZOOM_PER_NOTCH**notches, event.position().x(), event.position().y())
            return
        self._wheel = self._wheel + notches if self._wheel * notches >= 0 else notches
        whole = int(self._wheel)
        if whole:
            self._wheel -= whole
            self.step(whole)

    def enterEvent(self, event: QEnterEvent) -> None:
        """The mouse came in."""
        self._mouse = (event.position().x(), event.position().y())
        self._update_probe()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        """The mouse left: no probe, no brush ring, nothing under it."""
        self._mouse = None
        self._under = Under()
        self._state.aim.set_hovered(None)
        self._update_probe()
        self.update()

    # Keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Slices, crosshair, zoom and fit without a mouse; other keys go to the window."""
        key, modifiers = Qt.Key(event.key()), event.modifiers()
        control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        if key == Qt.Key.Key_Escape and self._gesture is not None:
            self._cancel_gesture()
        elif control and key in ARROWS:
            reach = 10 if modifiers & Qt.KeyboardModifier.ShiftModifier else 1
            self._nudge(ARROWS[key][0] * reach, ARROWS[key][1] * reach)
        elif self._gesture is None and self._tool_key(key, modifiers):
            pass
        elif not control and key in _SLICE_KEYS:
            self.step(_SLICE_KEYS[key])
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal) and not control:
            self.zoom_by(_ZOOM_PER_NOTCH)
        elif key == Qt.Key.Key_Minus and not control:
            self.zoom_by(1 / _ZOOM_PER_NOTCH)
        elif key == Qt.Key.Key_R and not control:
            self.fit()
        else:
            super().keyPressEvent(event)

    def _tool_key(self, key: Qt.Key, modifiers: Qt.KeyboardModifier) -> bool:
        site = self._site()
        return site is not None and tool_key(site, key, modifiers)

    def _cancel_gesture(self) -> None:
        gesture, self._gesture = self._gesture, None
        if gesture is not None:
            gesture.cancel()
            self._update_mouse_cursor()
            self.update()

    def hideEvent(self, event: QHideEvent) -> None:
        """A viewer that is put away mid-drag gives the drag up."""
        self._cancel_gesture()
        super().hideEvent(event)

    def _nudge(self, dx: int, dy: int) -> None:
        view = self._state.view(self.plane)
        if view is not None:
            self._state.set_cursor(self._state.cursor + view.voxel_step(dx, dy))

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show the focus ring."""
        self.update()
        super().focusInEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Hide the focus ring."""
        self.update()
        super().focusOutEvent(event)

    # Mouse position

    def _picture(self, sx: float, sy: float) -> tuple[float, float]:
        """The picture position of a widget position as the viewer lies now."""
        assert self._transform is not None
        x, y = self._transform.to_picture(sx, sy)
        return float(x), float(y)

    def _update_mouse_cursor(self) -> None:
        site = self._site()
        if site is None:
            self.unsetCursor()
            return
        under = in_hand(self._gesture)
        if under is None:
            free = self._gesture is None and self._mouse is not None
            under = under_mouse(site, *self._mouse) if free and self._mouse is not None else Under()
        if under != self._under:
            self._under = under
            self.update()
        if self._mouse is not None:
            self._state.aim.set_hovered(under.item)
        shape = mouse_cursor(self._state, self._gesture, under)
        if shape != self.cursor().shape():
            self.setCursor(shape)

    def _update_probe(self) -> None:
        probe = None
        if self._mouse is not None and self._state.volume is not None and self._transform is not None:
            probe = probe_at(self._state.volume, self._state.mask, self._transform, self._index, *self._mouse)
        if probe != self._probe:
            self._probe = probe
            self.probe_changed.emit(probe)
            self.update(bottom_text_rect(self.height()).toAlignedRect())

    def _update_ring(self, before: tuple[float, float] | None) -> None:
        if self._state.tool not in (Tool.BRUSH, Tool.ERASER) or self._transform is None:
            return
        reach = self._state.brush_radius_mm * self._transform.zoom + 4
        for place in (before, self._mouse):
            if place is not None:
                self.update(QRectF(place[0] - reach, place[1] - reach, 2 * reach, 2 * reach).toAlignedRect())

    # Painting

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stay fitted, or keep what lies in the middle."""
        if self._fitted or self._transform is None:
            self.fit()
        else:
            old = event.oldSize()
            shift = (self.width() - old.width()) / 2, (self.height() - old.height()) / 2
            self._place(self._transform.panned(*shift))
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The finished image of scan and mask, and what is light over it."""
        state, view, transform = self._state, self._state.view(self.plane), self._transform
        painter = QPainter(self)
        try:
            if state.volume is None or view is None or transform is None:
                painter.fillRect(event.rect(), QColor(COLOURS.window))
                return
            size = (self.width(), self.height())
            screen = self._layers.screen(state, view, self._index, transform, size, self.devicePixelRatioF())
            painter.drawImage(QPointF(0, 0), screen)
            paint_overlay(painter, state, state.volume, self._scene(transform))
            if self.hasFocus():
                painter.setPen(QPen(QColor(COLOURS.accent), 2))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(self.rect().adjusted(1, 1, -1, -1))
        finally:
            painter.end()

    def _scene(self, transform: ViewTransform) -> Scene:
        geometry = self._state.geometry
        boxes = shown_boxes(self._state.prompt, geometry, transform.view, self._index) if geometry is not None else []
        return Scene(
            transform,
            self._index,
            self.width(),
            self.height(),
            mouse=self._mouse,
            probe=self._probe,
            boxes=tuple(boxes),
            under=self._under,
            box_in_hand=isinstance(self._gesture, BoxDrag),
        )
