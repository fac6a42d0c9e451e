"""What a scan is: geometry, volume and mask, reading them and laying them on a screen."""

from hemaview.imaging.geometry import Geometry
from hemaview.imaging.planes import Plane, PlaneView, acquisition_plane, plane_view
from hemaview.imaging.volume import LabelMap, Modality, Volume

__all__ = ["Geometry", "LabelMap", "Modality", "Plane", "PlaneView", "Volume", "acquisition_plane", "plane_view"]
