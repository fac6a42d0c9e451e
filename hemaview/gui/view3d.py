"""The 3D pane: hosts the scene on a real screen, off screen as a picture, or says why there is none."""

from __future__ import annotations

import logging
import threading
from enum import Enum
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from hemaview.gui.cards import WrappedLabel
from hemaview.gui.hosts3d import Host, is_offscreen, make_host, opengl_available
from hemaview.gui.icons import icon, pixmap
from hemaview.gui.theme import COLOURS, MARGIN
from hemaview.gui.view_state import ViewState
from hemaview.surface import Mesh

_log = logging.getLogger(__name__)

NO_OPENGL = (
    "The 3D view needs OpenGL, which this screen does not offer; update the graphics driver. "
    "The three slice views, volumes and exports work without it."
)
_RENDER_DELAY_MS = 25
_VIEWS = (("Front", (0.15, -1.0, 0.2)), ("Left", (1.0, -0.15, 0.2)), ("Above", (0.0, -0.35, 1.0)))
_BAR_PX = 236
_ROOM_FOR_VIEWS_PX = 400
_START_DIRECTION = (0.75, -1.0, 0.55)


class Part(Enum):
    """What of the scene may be out of date."""

    VOLUME = "volume"
    SLICES = "slices"
    LESION = "lesion"
    HEAD = "head"
    BOX = "box"


class View3D(QFrame):
    """The pane in the window. It follows the view state, draws at most once per few milliseconds, and never
    while hidden. ``ready`` is emitted when the scene (or the sentence in its place) is there;
    ``maximise_requested`` at a double-click on the title row.
    """

    ready = Signal()
    maximise_requested = Signal()
    _loaded = Signal(object)

    def __init__(self, state: ViewState, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self._host: Host | None = None
        self._scene: Any = None
        self._lesion: Mesh | None = None
        self._head: Mesh | None = None
        self._stale: set[Part] = set()
        self._closed = False
        self.problem: str | None = None

        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(2, 2, 2, 2)
        self._layout.setSpacing(0)
        self._layout.addWidget(self._controls())
        self._placeholder = QLabel("Preparing the 3D view…", self)
        self._placeholder.setProperty("kind", "muted")
        self._placeholder.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._layout.addWidget(self._placeholder, 1)

        self._has_opengl = not is_offscreen() and opengl_available()
        if self._has_opengl:
            # Qt makes the whole window anew, which flickers and loses the focus, when the first OpenGL child comes
            # after the window is shown; with this one it is made right at once.
            QOpenGLWidget(self).setFixedSize(1, 1)

        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_RENDER_DELAY_MS)
        self._timer.timeout.connect(self._draw)
        self._loaded.connect(self._build)
        state.volume_changed.connect(lambda: self._changed(Part.VOLUME))
        state.cursor_changed.connect(lambda: self._changed(Part.SLICES))
        state.window_changed.connect(lambda: self._changed(Part.SLICES))
        state.prompt_changed.connect(lambda: self._changed(Part.BOX))

    @property
    def has_scene(self) -> bool:
        """Whether the scene is drawn (not still loading, not replaced by a sentence)."""
        return self._scene is not None

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits to be drawn."""
        hidden = self._scene is not None and not self.isVisible()
        return self.problem is not None or hidden or (self._scene is not None and not self._stale)

    @property
    def lesion(self) -> Mesh | None:
        """The surface on display."""
        return self._lesion

    def start(self) -> None:
        """Load the graphics libraries in the background, then build the scene; called once the window is shown."""
        offscreen = is_offscreen()
        if not offscreen and not self._has_opengl:
            self._show_problem(NO_OPENGL)
            return

        def load() -> None:
            failure: Exception | None = None
            try:
                import pyvista  # noqa: F401

                import hemaview.gui.scene3d  # noqa: F401

                if not offscreen:
                    import pyvistaqt  # noqa: F401
            except Exception as error:
                failure = error
            if not self._closed:
                self._loaded.emit(failure)

        self._loader = threading.Thread(target=load, name="load-3d", daemon=True)
        self._loader.start()

    def close_scene(self) -> None:
        """Stop drawing and give the graphics memory back; call before the window goes."""
        self._closed = True
        self._timer.stop()
        if self._host is not None:
            self._host.close()
            self._host = None
            self._scene = None

    def set_lesion(self, mesh: Mesh | None) -> None:
        """Show the haematoma's surface."""
        self._lesion = mesh
        self._changed(Part.LESION)

    def set_head(self, outline: Mesh | None) -> None:
        """Show the head's outline."""
        self._head = outline
        self._changed(Part.HEAD)

    def reset_camera(self) -> None:
        """Look at the whole head from the front left, slightly above."""
        self._look(_START_DIRECTION)

    def _look(self, direction: tuple[float, float, float]) -> None:
        if self._scene is not None:
            self._scene.look_from(direction)
            self._changed(Part.SLICES)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Panel and coloured border, as round the slice viewers."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        border = QColor(COLOURS.space)
        border.setAlpha(130)
        painter.setPen(QPen(border, 1.5))
        painter.setBrush(QColor(COLOURS.panel))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.end()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """A double-click on the title row maximises the pane."""
        self.maximise_requested.emit()

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what changed while hidden."""
        super().showEvent(event)
        if self._stale:
            self._changed(Part.SLICES)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Draw at the new size; a narrow pane goes without the buttons for the camera, not at its neighbours' cost."""
        super().resizeEvent(event)
        for button in self._view_buttons:
            button.setVisible(self.width() >= _ROOM_FOR_VIEWS_PX)
        self._changed(Part.SLICES)

    def _controls(self) -> QWidget:
        bar = QWidget(self)
        layout = QHBoxLayout(bar)
        layout.setContentsMargins(10, 0, 2, 0)
        layout.setSpacing(2)
        self._title = QLabel("3D", bar)
        self._title.setStyleSheet(f"color: {COLOURS.space}; font-weight: 600; background: transparent;")
        layout.addWidget(self._title)
        layout.addStretch(1)
        self.slices_button = self._toggle("Slices", "Show the three slices", "set_slices_visible")
        self.head_button = self._toggle("Head", "Show the outline of the head", "set_head_visible")
        layout.addWidget(self.slices_button)
        layout.addWidget(self.head_button)
        self._view_buttons = [QToolButton(bar) for _ in _VIEWS]
        for button, (name, direction) in zip(self._view_buttons, _VIEWS, strict=True):
            button.setText(name)
            button.setToolTip(f"Look from the {'top' if name == 'Above' else name.lower()}")
            button.clicked.connect(lambda _checked=False, way=direction: self._look(way))
            layout.addWidget(button)
        reset = QToolButton(bar)
        reset.setIcon(icon("reset-view", COLOURS.muted))
        reset.setIconSize(QSize(14, 14))
        reset.setToolTip("Reset the camera")
        reset.setAccessibleName("Reset the camera of the 3D view")
        reset.clicked.connect(self.reset_camera)
        layout.addWidget(reset)
        larger = QToolButton(bar)
        larger.setIcon(icon("maximise", COLOURS.muted))
        larger.setIconSize(QSize(14, 14))
        larger.setToolTip("Show only this view, or all again (double-click on this row)")
        larger.setAccessibleName("Maximise the 3D view")
        larger.clicked.connect(self.maximise_requested)
        layout.addWidget(larger)
        for button in bar.findChildren(QToolButton):
            button.setProperty("kind", "small")
            button.setFixedHeight(24)
        bar.setFixedHeight(28)
        bar.setMinimumWidth(_BAR_PX)
        self._bar = bar
        return bar

    def _toggle(self, text: str, tip: str, setter: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setCheckable(True)
        button.setChecked(True)

        def toggled(on: bool) -> None:
            if self._scene is not None:
                getattr(self._scene, setter)(on)
                self._changed(Part.SLICES)

        button.toggled.connect(toggled)
        return button

    def _build(self, failure: Exception | None) -> None:
        if self._closed:
            return
        try:
            if failure is not None:
                raise failure
            from hemaview.gui.scene3d import Scene3D, SceneColours

            host = make_host(self)
            colours = SceneColours(
                ground_top="#1b2430", ground_bottom=COLOURS.window, lesion=COLOURS.lesion, head="#c9d6e6",
                box=COLOURS.box, frames=(COLOURS.axial, COLOURS.sagittal, COLOURS.coronal), text=COLOURS.text,
            )  # fmt: skip
            scene = Scene3D(host.plotter, colours, smooth_edges="ssaa" if is_offscreen() else "fxaa")
            scene.add_directions()
        except Exception:
            _log.exception("the 3D view could not be built")
            self._show_problem(NO_OPENGL)
            return
        self._host, self._scene = host, scene
        self._layout.replaceWidget(self._placeholder, host.widget)
        self._layout.setStretchFactor(host.widget, 1)
        self._placeholder.hide()
        host.widget.show()
        self._changed(Part.VOLUME)
        self.ready.emit()

    def _show_problem(self, sentence: str) -> None:
        self.problem = sentence
        message = QWidget(self)
        layout = QVBoxLayout(message)
        layout.setContentsMargins(MARGIN * 2, MARGIN * 2, MARGIN * 2, MARGIN * 2)
        picture = QLabel(message)
        picture.setPixmap(pixmap("info", 28, COLOURS.muted))
        picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        words = WrappedLabel(sentence, "muted", message)
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.addStretch(1)
        layout.addWidget(picture)
        layout.addWidget(words)
        layout.addStretch(1)
        self._layout.replaceWidget(self._placeholder, message)
        self._layout.setStretchFactor(message, 1)
        self._placeholder.hide()
        for button in self._bar.findChildren(QToolButton):
            button.setEnabled(False)
        self.ready.emit()

    def _changed(self, part: Part) -> None:
        """Bring ``part`` up to date at the next drawing; what changes many times in between costs once."""
        self._stale.add(part)
        if self._scene is not None and self.isVisible() and not self._timer.isActive():
            self._timer.start()

    def _draw(self) -> None:
        scene, state = self._scene, self._state
        if scene is None or self._host is None or not self.isVisible():
            return
        stale, self._stale = self._stale, set()
        if Part.VOLUME in stale:
            scene.set_volume(state.volume, state.content)
            stale |= {Part.LESION, Part.HEAD, Part.BOX}
            if state.volume is not None:
                scene.look_from(_START_DIRECTION)
        if Part.HEAD in stale:
            scene.set_head(self._head)
        if Part.LESION in stale:
            scene.set_lesion(self._lesion)
        if Part.BOX in stale:
            scene.set_boxes(state.prompt.boxes)
        scene.set_cursor(state.cursor, state.window)
        self._host.render()
