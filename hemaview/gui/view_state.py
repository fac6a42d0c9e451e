"""What the three viewers show together: scan, cursor, window, overlay, tool, mask, preview, prompt and measurement.

The state owns nothing that lasts: the case is the truth, the window copies into this object what is to be
shown. Viewers read it, change what belongs to looking (cursor, window) and show gestures in progress through it
(the box being dragged, the stroke being painted), so that all three follow live.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QObject, Signal

from hemaview.gui.aim import Aim
from hemaview.gui.mask_preview import MaskPreview
from hemaview.gui.overlay_style import MaskPatch, OverlayStyle
from hemaview.gui.place import Place
from hemaview.gui.scan_content import Region, mask_extent, scan_looks
from hemaview.gui.tool import Tool
from hemaview.imaging import Geometry, LabelMap, Plane, PlaneView, Volume, plane_view
from hemaview.imaging.windowing import Window
from hemaview.segmentation.contract import BoxPrompt, Prompt, SliceResult

if TYPE_CHECKING:
    from hemaview.gui.slice_review import SliceReview
    from hemaview.volumetry import TadaMeasurement

__all__ = ["BRUSH_RADIUS_LIMITS_MM", "MaskPatch", "OverlayStyle", "Region", "Tool", "ViewState"]

BRUSH_RADIUS_LIMITS_MM = (0.5, 50.0)


class ViewState(QObject):
    """The shared, observable state of the viewers.

    Every ``set_...`` emits its signal only when something changed. Indices are voxel indices (i, j, k),
    voxel centres at integers; arrays are ``[k, j, i]``.
    """

    volume_changed = Signal()
    picture_changed = Signal()
    cursor_changed = Signal()
    window_changed = Signal()
    overlay_changed = Signal()
    tool_changed = Signal()
    brush_changed = Signal()
    mask_changed = Signal()
    preview_changed = Signal()
    stroke_changed = Signal()
    prompt_changed = Signal()
    review_changed = Signal()
    tada_changed = Signal()
    display_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._volume: Volume | None = None
        self._picture: Volume | None = None
        self._content: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._value_range = (0.0, 1.0)
        self._views: dict[tuple[Plane, bool], PlaneView] = {}
        self._cursor = (0.0, 0.0, 0.0)
        self._place: Place | None = None
        self._window = Window(0.0, 1.0)
        self._overlay = OverlayStyle()
        self._tool = Tool.CROSSHAIR
        self._brush_radius_mm = 4.0
        self._mask: NDArray[np.bool_] | None = None
        self._mask_bounds: Region | None = None
        self._mask_note = ""
        self._preview: MaskPreview | None = None
        self._stroke: MaskPatch | None = None
        self._prompt = Prompt()
        self._review: SliceReview | None = None
        self._tada: TadaMeasurement | None = None
        self._radiological = True
        self._smooth = True
        self.aim = Aim(self)

    # Scan

    @property
    def volume(self) -> Volume | None:
        """The scan on display."""
        return self._volume

    @property
    def geometry(self) -> Geometry | None:
        """The grid of the scan on display."""
        return self._volume.geometry if self._volume is not None else None

    def set_volume(self, volume: Volume | None, window: Window | None = None, place: Place | None = None) -> None:
        """Show another scan: mask, preview, prompt and measurement are cleared.

        ``window`` defaults to the automatic one. The cursor goes to ``place`` where the scan holds it, else to
        the head's middle.
        """
        if volume is self._volume:
            return
        self._volume = self._picture = volume
        self._views.clear()
        self._mask = self._mask_bounds = self._preview = None
        self._stroke = self._tada = self._review = None
        self._mask_note = ""
        self._prompt = Prompt()
        self.aim.reset()
        if volume is not None:
            looks = scan_looks(volume)
            self._content = looks.content
            self._value_range = looks.value_range
            self._place_cursor(volume.geometry, place)
            self._window = window if window is not None else looks.window
        else:
            self._content = None
            self._place = None
            self._cursor = (0.0, 0.0, 0.0)
        for signal in (self.volume_changed, self.window_changed, self.cursor_changed, self.mask_changed):
            signal.emit()
        for signal in (self.preview_changed, self.stroke_changed, self.prompt_changed, self.tada_changed):
            signal.emit()
        self.review_changed.emit()

    @property
    def picture(self) -> Volume | None:
        """Whose greys the viewers show: the scan's, or those of the scan prepared for the eye, on the same grid."""
        return self._picture

    @property
    def picture_note(self) -> str:
        """Which steps changed the greys on display; empty for the scan's own."""
        steps = self._picture.prepared if self._picture is not None else ()
        return f"prepared: {', '.join(steps)}" if steps else ""

    def set_picture(self, picture: Volume | None) -> None:
        """Show other greys of the same scan, or with None its own; the window becomes theirs, all else stays."""
        shown = self._volume if picture is None else picture
        if shown is self._picture or shown is None:
            return
        self._picture = shown
        looks = scan_looks(shown)
        self._value_range = looks.value_range
        self._window = looks.window
        self.picture_changed.emit()
        self.window_changed.emit()

    def _place_cursor(self, geometry: Geometry, place: Place | None) -> None:
        index = None if place is None else place.index_in(geometry)
        self._place = None if index is None else place
        assert self._content is not None
        self._cursor = self._inside(np.round(sum(self._content) / 2) if index is None else index)

    @property
    def place(self) -> Place | None:
        """Where the scan on display took the crosshair over from the one before; None where it did not."""
        return self._place

    @property
    def content(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Lower and upper faces (i, j, k) of the part of the scan that is not background; a viewer fits it."""
        return self._content

    @property
    def value_range(self) -> tuple[float, float]:
        """Lowest and highest of the scan's usual values (outliers left out); the window drag scales with it."""
        return self._value_range

    def view(self, plane: Plane) -> PlaneView | None:
        """How ``plane`` of the scan lies on the screen under the orientation in force."""
        if self._volume is None:
            return None
        key = (plane, self._radiological)
        if key not in self._views:
            self._views[key] = plane_view(self._volume.geometry, plane, radiological=self._radiological)
        return self._views[key]

    # Cursor

    @property
    def cursor(self) -> tuple[float, float, float]:
        """The crosshair, continuous voxel indices (i, j, k), inside the scan."""
        return self._cursor

    def set_cursor(self, ijk: ArrayLike) -> None:
        """Move the crosshair; positions outside the scan are pulled to its border."""
        cursor = self._inside(ijk)
        if cursor != self._cursor:
            self._cursor = cursor
            self.cursor_changed.emit()

    def set_cursor_lps(self, point: ArrayLike) -> None:
        """Move the crosshair to a point in LPS mm."""
        if self._volume is not None:
            self.set_cursor(self._volume.geometry.lps_to_index(point))

    @property
    def cursor_lps(self) -> NDArray[np.float64]:
        """The crosshair in LPS mm, (3,); zeros without a scan."""
        return self._volume.geometry.index_to_lps(self._cursor) if self._volume is not None else np.zeros(3)

    def slice_index(self, plane: Plane) -> int:
        """The slice that the viewer of ``plane`` shows: the one nearest to the crosshair."""
        view = self.view(plane)
        if view is None:
            return 0
        return min(math.floor(self._cursor[view.slice_axis] + 0.5), view.slice_count - 1)

    def set_slice_index(self, plane: Plane, index: int) -> None:
        """Move the crosshair along the normal of ``plane`` to the centre of slice ``index``."""
        view = self.view(plane)
        if view is not None:
            cursor = list(self._cursor)
            cursor[view.slice_axis] = float(index)
            self.set_cursor(cursor)

    def _inside(self, ijk: ArrayLike) -> tuple[float, float, float]:
        if self._volume is None:
            return 0.0, 0.0, 0.0
        last = np.asarray(self._volume.geometry.size) - 1
        i, j, k = (float(v) for v in np.clip(np.asarray(ijk, dtype=np.float64), 0, last))
        return i, j, k

    # Looks

    @property
    def window(self) -> Window:
        """The grey window in the scan's units."""
        return self._window

    def set_window(self, window: Window) -> None:
        """Change the grey window."""
        if window != self._window:
            self._window = window
            self.window_changed.emit()

    @property
    def overlay(self) -> OverlayStyle:
        """How the mask is drawn."""
        return self._overlay

    def set_overlay(self, overlay: OverlayStyle) -> None:
        """Change how the mask is drawn."""
        if overlay != self._overlay:
            self._overlay = overlay
            self.overlay_changed.emit()

    @property
    def radiological(self) -> bool:
        """Whether the patient's right is on the screen's left (the default)."""
        return self._radiological

    def set_radiological(self, radiological: bool) -> None:
        """Choose the radiological or the neurological orientation."""
        if radiological != self._radiological:
            self._radiological = radiological
            self.display_changed.emit()

    @property
    def smooth(self) -> bool:
        """Whether pixels are interpolated for display; measurements never are."""
        return self._smooth

    def set_smooth(self, smooth: bool) -> None:
        """Choose interpolated or square pixels."""
        if smooth != self._smooth:
            self._smooth = smooth
            self.display_changed.emit()

    # Tools

    @property
    def tool(self) -> Tool:
        """What the left mouse button does."""
        return self._tool

    def set_tool(self, tool: Tool) -> None:
        """Choose what the left mouse button does."""
        if tool is not self._tool:
            self._tool = tool
            self.tool_changed.emit()

    @property
    def brush_radius_mm(self) -> float:
        """Radius of brush and eraser in mm."""
        return self._brush_radius_mm

    def set_brush_radius(self, radius_mm: float) -> None:
        """Choose the radius of brush and eraser, 0.5 to 50 mm."""
        low, high = BRUSH_RADIUS_LIMITS_MM
        radius = float(min(max(radius_mm, low), high))
        if radius != self._brush_radius_mm:
            self._brush_radius_mm = radius
            self.brush_changed.emit()

    # Mask, preview and stroke

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """The mask on display; treat as read-only."""
        return self._mask

    @property
    def mask_bounds(self) -> Region | None:
        """Smallest (k, j, i) slices that hold the mask; None when there is none or it is empty."""
        return self._mask_bounds

    @property
    def mask_note(self) -> str:
        """What the viewers write beside the mask on display; mostly nothing."""
        return self._mask_note

    def set_mask(self, mask: LabelMap | None, note: str = "") -> None:
        """Show a mask, with a few words beside it; it also ends preview and stroke, which it replaces."""
        self._mask_note = note
        self._mask = mask.array if mask is not None else None
        self._mask_bounds = mask_extent(self._mask) if self._mask is not None else None
        had_preview, had_stroke = self._preview is not None, self._stroke is not None
        self._preview = self._stroke = None
        self.mask_changed.emit()
        if had_preview:
            self.preview_changed.emit()
        if had_stroke:
            self.stroke_changed.emit()

    @property
    def preview(self) -> NDArray[np.bool_] | None:
        """The mask that is being streamed in; valid on the slices of ``preview_slices``."""
        return None if self._preview is None else self._preview.mask

    @property
    def preview_slices(self) -> NDArray[np.bool_] | None:
        """(slices,) which slices k the stream has answered so far."""
        return None if self._preview is None else self._preview.answered

    def begin_preview(self) -> None:
        """Expect a streamed result; the mask stays on display where no slice has arrived yet."""
        if self._volume is not None:
            self._preview = MaskPreview.of(self._volume.geometry.shape)
            self.preview_changed.emit()

    def add_preview(self, result: SliceResult) -> None:
        """Show one streamed slice; a later one for the same slice replaces it. Ignored when none is expected."""
        if self._preview is not None:
            self._preview.add(result)
            self.preview_changed.emit()

    def end_preview(self) -> None:
        """Drop the streamed result (cancelled or failed)."""
        if self._preview is not None:
            self._preview = None
            self.preview_changed.emit()

    @property
    def stroke(self) -> MaskPatch | None:
        """The brush stroke in progress, as the mask values it would leave."""
        return self._stroke

    def set_stroke(self, stroke: MaskPatch | None) -> None:
        """Show the brush stroke in progress."""
        if stroke is not self._stroke:
            self._stroke = stroke
            self.stroke_changed.emit()

    # Prompt, review and measurement

    @property
    def prompt(self) -> Prompt:
        """The boxes and points on display, also while one is being drawn or dragged."""
        return self._prompt

    @property
    def box(self) -> BoxPrompt | None:
        """The first box on display."""
        return self._prompt.box

    def set_prompt(self, prompt: Prompt) -> None:
        """Show boxes and points."""
        if prompt != self._prompt:
            self._prompt = prompt
            self.prompt_changed.emit()

    @property
    def review(self) -> SliceReview | None:
        """How sure the engine was of each slice and which a hand has drawn; None without a mask."""
        return self._review

    def set_review(self, review: SliceReview | None) -> None:
        """Show which slices need a second look."""
        if review is not self._review:
            self._review = review
            self.review_changed.emit()

    @property
    def tada(self) -> TadaMeasurement | None:
        """The A and B diameters on display."""
        return self._tada

    def set_tada(self, tada: TadaMeasurement | None) -> None:
        """Show the A and B diameters of the Tada formula on the slice they were measured on."""
        if tada is not self._tada:
            self._tada = tada
            self.tada_changed.emit()
