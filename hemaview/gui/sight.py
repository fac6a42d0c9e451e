"""What a viewer looks at, in the patient: kept when another scan of the same patient is shown."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from hemaview.gui.place import Place
from hemaview.gui.view_transform import ViewTransform
from hemaview.imaging import Geometry, PlaneView


@dataclass(frozen=True, eq=False)
class Sight:
    """The point in LPS mm, (3,), in the middle of a viewer and its zoom in screen pixels per mm."""

    point: NDArray
    zoom: float

    @classmethod
    def of(cls, transform: ViewTransform, geometry: Geometry, index: int, width: float, height: float) -> Sight:
        """What a viewer of this size shows of slice ``index``."""
        x, y = transform.to_picture(width / 2, height / 2)
        return cls(geometry.index_to_lps(transform.view.pixel_to_index(x, y, index)), transform.zoom)

    def taken_to(self, place: Place) -> Sight:
        """The same sight in the patient space of the next scan."""
        return Sight(place.move(self.point), self.zoom)

    def on(self, view: PlaneView, geometry: Geometry, width: float, height: float) -> ViewTransform:
        """The place of another scan's picture that shows the same point in the middle, as large."""
        x, y, _ = view.index_to_pixel(geometry.lps_to_index(self.point))
        at_corner = ViewTransform(view, self.zoom, (0.0, 0.0))
        sx, sy = (float(v) for v in at_corner.to_screen(x, y))
        return at_corner.panned(width / 2 - sx, height / 2 - sy)
