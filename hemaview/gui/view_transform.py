"""Where a picture lies in a viewer: picture pixels to screen pixels and back, fit, zoom and pan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hemaview.imaging import PlaneView

FIT_MARGINS_PX = (26.0, 24.0)
"""Left and right, top and bottom: room for the orientation letters when the head is fitted."""

_SMALLEST_PICTURE_PX = 48.0
_LARGEST_PIXEL_PX = 96.0
_KEPT_VISIBLE_PX = 48.0


@dataclass(frozen=True)
class ViewTransform:
    """The affine map from picture pixels (centres at integers) to widget pixels (corners at integers).

    ``zoom`` is in screen pixels per mm and the same in every direction, so distances and angles on the screen are
    those in the patient whatever the pixel spacing or shear. ``origin`` is where the centre of picture pixel (0, 0)
    lies on the screen.
    """

    view: PlaneView
    zoom: float
    origin: tuple[float, float]

    @classmethod
    def fit(
        cls,
        view: PlaneView,
        width: float,
        height: float,
        content: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> ViewTransform:
        """The map that centres the content in a widget, as large as fits.

        ``content`` are the lower and upper faces (i, j, k) of the part that matters; default the whole picture.
        """
        if content is None:
            left, top, right, bottom = -0.5, -0.5, view.columns - 0.5, view.rows - 0.5
        else:
            x, y, _ = view.index_to_pixel(np.array(content))
            left, right, top, bottom = x.min(), x.max(), y.min(), y.max()
        at_one = cls(view, 1.0, (0.0, 0.0))
        sx, sy = at_one.to_screen([left, right, right, left], [top, top, bottom, bottom])
        margin_x, margin_y = FIT_MARGINS_PX
        room_x, room_y = max(width - 2 * margin_x, width / 2, 1.0), max(height - 2 * margin_y, height / 2, 1.0)
        zoom = float(min(room_x / np.ptp(sx), room_y / np.ptp(sy)))
        centre_x, centre_y = (sx.min() + sx.max()) / 2, (sy.min() + sy.max()) / 2
        return cls(view, zoom, (float(width / 2 - centre_x * zoom), float(height / 2 - centre_y * zoom)))

    @property
    def x_step(self) -> tuple[float, float]:
        """Screen step (right, down) of one picture pixel to the right."""
        return self.zoom * self.view.x_vector_mm[0], self.zoom * self.view.x_vector_mm[1]

    @property
    def y_step(self) -> tuple[float, float]:
        """Screen step (right, down) of one picture pixel down."""
        return self.zoom * self.view.y_vector_mm[0], self.zoom * self.view.y_vector_mm[1]

    @property
    def is_axis_aligned(self) -> bool:
        """Whether voxel edges are horizontal and vertical on the screen (no shear)."""
        return abs(self.view.x_vector_mm[1]) + abs(self.view.y_vector_mm[0]) < 1e-9

    def to_screen(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Screen positions of picture positions."""
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        (xx, xy), (yx, yy) = self.x_step, self.y_step
        return self.origin[0] + x * xx + y * yx, self.origin[1] + x * xy + y * yy

    def to_picture(self, sx: ArrayLike, sy: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Picture positions of screen positions; inverse of ``to_screen``."""
        dx = np.asarray(sx, dtype=np.float64) - self.origin[0]
        dy = np.asarray(sy, dtype=np.float64) - self.origin[1]
        (xx, xy), (yx, yy) = self.x_step, self.y_step
        determinant = xx * yy - yx * xy
        return (dx * yy - dy * yx) / determinant, (dy * xx - dx * xy) / determinant

    def zoomed(self, factor: float, sx: float, sy: float) -> ViewTransform:
        """Enlarge by ``factor`` while what lies under the screen position (sx, sy) stays there; within sane limits."""
        step_x = float(np.hypot(*self.view.x_vector_mm))
        step_y = float(np.hypot(*self.view.y_vector_mm))
        lowest = _SMALLEST_PICTURE_PX / max(step_x * self.view.columns, step_y * self.view.rows)
        highest = max(_LARGEST_PIXEL_PX / min(step_x, step_y), lowest)
        zoom = float(np.clip(self.zoom * factor, lowest, highest))
        ratio = zoom / self.zoom
        origin = (sx + (self.origin[0] - sx) * ratio, sy + (self.origin[1] - sy) * ratio)
        return replace(self, zoom=zoom, origin=origin)

    def panned(self, dx: float, dy: float) -> ViewTransform:
        """Move the picture by screen pixels."""
        return replace(self, origin=(self.origin[0] + dx, self.origin[1] + dy))

    def kept_visible(self, width: float, height: float) -> ViewTransform:
        """Pull a picture back that would leave the widget, so that it cannot be lost."""
        left, top = -0.5, -0.5
        right, bottom = self.view.columns - 0.5, self.view.rows - 0.5
        sx, sy = self.to_screen([left, right, right, left], [top, top, bottom, bottom])
        shifts = []
        for low, high, room in ((sx.min(), sx.max(), width), (sy.min(), sy.max(), height)):
            keep = min(_KEPT_VISIBLE_PX, room / 2, (high - low) / 2)
            shifts.append(max(0.0, keep - high) - max(0.0, low - (room - keep)))
        return self if shifts == [0.0, 0.0] else self.panned(float(shifts[0]), float(shifts[1]))
