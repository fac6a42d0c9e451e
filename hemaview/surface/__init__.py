"""The printable surface of a haematoma."""

from hemaview.surface.building import mesh_from_mask
from hemaview.surface.mesh import Mesh
from hemaview.surface.printability import Body, PrintReport, check_printability
from hemaview.surface.stl import stl_bytes, write_stl

__all__ = ["Body", "Mesh", "PrintReport", "check_printability", "mesh_from_mask", "stl_bytes", "write_stl"]
