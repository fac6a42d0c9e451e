"""Everything a viewer paints over the finished image of scan and mask, in one order."""

from __future__ import annotations

from dataclasses import dataclass, field

from PySide6.QtGui import QPainter

from hemaview.gui.annotations import (
    SMALL_VIEW_PX,
    Probe,
    crosshair_colours,
    paint_bottom_text,
    paint_crosshair,
    paint_letters,
    paint_scale_bar,
    paint_slice_text,
    paint_tada,
    paint_warning,
    slice_position,
    window_text,
)
from hemaview.gui.box_painting import paint_box, paint_box_size
from hemaview.gui.box_tool import ShownBox
from hemaview.gui.brush_tool import paint_ring
from hemaview.gui.point_tool import paint_points
from hemaview.gui.tool_gestures import Under
from hemaview.gui.view_state import Tool, ViewState
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import Plane, Volume


@dataclass(frozen=True)
class Scene:
    """What one viewer shows at this moment besides the shared state; sizes and positions in widget pixels."""

    transform: ViewTransform
    index: int
    width: float
    height: float
    mouse: tuple[float, float] | None = None
    probe: Probe | None = None
    boxes: tuple[ShownBox, ...] = ()
    under: Under = field(default_factory=Under)
    box_in_hand: bool = False


def paint_overlay(painter: QPainter, state: ViewState, volume: Volume, scene: Scene) -> None:
    """Crosshair, diameters, boxes, points, brush ring and texts."""
    _paint_crosshair(painter, state, scene)
    _paint_boxes(painter, state, scene)
    paint_points(
        painter, state, scene.transform, scene.index, hovered=scene.under.item, active=state.tool is Tool.POINTS
    )
    tada = state.tada
    if (
        tada is not None
        and state.overlay.visible
        and scene.transform.view.slice_axis == 2
        and tada.slice_index == scene.index
    ):
        paint_tada(painter, scene.transform, volume.geometry, tada)
    _paint_texts(painter, state, volume, scene)
    if state.tool in (Tool.BRUSH, Tool.ERASER) and scene.mouse is not None:
        paint_ring(painter, scene.transform, *scene.mouse, state.brush_radius_mm, state.tool is Tool.ERASER)


def _paint_crosshair(painter: QPainter, state: ViewState, scene: Scene) -> None:
    view = scene.transform.view
    views = {plane: other for plane in Plane if (other := state.view(plane)) is not None}
    x, y, _ = view.index_to_pixel(state.cursor)
    # While drawing and painting the lines step back behind the work.
    opacity = 0.9 if state.tool is Tool.CROSSHAIR else 0.45
    paint_crosshair(painter, scene.transform, float(x), float(y), crosshair_colours(view, views), opacity)


def _paint_boxes(painter: QPainter, state: ViewState, scene: Scene) -> None:
    view = scene.transform.view
    for shown in scene.boxes:
        hot = shown.item == scene.under.item
        paint_box(
            painter,
            shown.outline,
            scene.transform,
            guessed_x=shown.box.open_axis == view.x_axis,
            guessed_y=shown.box.open_axis == view.y_axis,
            handles=state.tool is Tool.BOX and not shown.stands_back,
            hot=scene.under.grip if hot else None,
            stands_back=shown.stands_back,
        )
        if scene.box_in_hand and hot:
            paint_box_size(painter, shown.outline, scene.transform)


def _paint_texts(painter: QPainter, state: ViewState, volume: Volume, scene: Scene) -> None:
    view, width, height = scene.transform.view, scene.width, scene.height
    small = min(width, height) < SMALL_VIEW_PX
    position = ""
    # A scan that can only be looked at may lie anywhere and have any size; no letter and no length may be read off it.
    if volume.not_measurable is None:
        paint_letters(painter, view, width, height)
        paint_scale_bar(painter, scene.transform.zoom, width, height)
        position = slice_position(volume.geometry, view, state.cursor, scene.index)
    paint_slice_text(painter, scene.index + 1, view.slice_count, position, small)
    if not small:
        paint_bottom_text(painter, window_text(state.window, hounsfield=volume.is_hounsfield), scene.probe, height)
    neurological = not state.radiological and view.plane is not Plane.SAGITTAL
    words = ("neurological: left on the left" if neurological else "", state.picture_note, state.mask_note)
    if any(words):
        paint_warning(painter, " · ".join(filter(None, words)), width)
