"""A surface as a binary STL file in LPS millimetres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaview import __version__
from hemaview.errors import ExportError
from hemaview.saving import save_atomically
from hemaview.surface.mesh import Mesh
from hemaview.surface.topology import count_edges

_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def write_stl(mesh: Mesh, path: Path | str) -> None:
    """Write ``mesh`` as binary STL, atomically: 80-byte header with SPACE=LPS and the unit, float32 mm.

    Raises ``ExportError`` for a surface that is empty, open or inside out once rounded to float32, and
    when the disk is full or cannot be written to.
    """
    save_atomically(path, stl_bytes(mesh), "The mesh")


def stl_bytes(mesh: Mesh) -> bytes:
    """The file ``write_stl`` writes, 84 + 50 bytes per triangle."""
    points, triangles = _rounded(mesh)
    if len(triangles) == 0:
        raise ExportError("The surface is empty, so no STL was written; segment the haematoma first.")
    if not count_edges(triangles).closed:
        raise ExportError("The surface is not closed, so no STL was written; smooth or repair the mask and try again.")
    if mesh.volume_ml <= 0:
        raise ExportError("The surface is inside out, so no STL was written; make the mesh again from the mask.")
    facets = np.zeros(len(triangles), dtype=_FACET)
    corners = points[triangles]
    facets["corners"] = corners
    wide = corners.astype(np.float64)
    normals = np.cross(wide[:, 1] - wide[:, 0], wide[:, 2] - wide[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    facets["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    # Not "solid ...", by which some programs recognise a text file.
    header = f"HEMAVIEW {__version__[:16]} SPACE=LPS UNIT=mm research use".encode("ascii", "replace")
    return header.ljust(80) + len(triangles).to_bytes(4, "little") + facets.tobytes()


def _rounded(mesh: Mesh) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Points as float32 and triangles among them; what fell onto one point is joined as a reader would join it."""
    single = mesh.points.astype(np.float32)
    points, index = np.unique(single, axis=0, return_inverse=True)
    triangles = index.reshape(-1)[mesh.triangles].astype(np.int32)
    a, b, c = triangles.T
    return points, triangles[(a != b) & (b != c) & (c != a)]
