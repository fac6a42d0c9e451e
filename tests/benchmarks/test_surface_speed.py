"""How long a 50 mL surface takes beside VTK's bare flying edges in the same run, and how true it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

from hemaview.imaging import Geometry, LabelMap
from hemaview.surface import check_printability, mesh_from_mask, stl_bytes
from hemaview.surface.topology import count_edges

pytestmark = pytest.mark.benchmark

AXES = (30.0, 18.0, 22.1)
"""Semi-axes in mm of an ellipsoid of 50 mL."""

GRIDS = [(1.0, 1.0, 1.0), (0.9, 0.9, 5.0), (0.45, 0.45, 5.0), (0.45, 0.45, 3.0)]


def clot(spacing: tuple[float, float, float]) -> LabelMap:
    """The ellipsoid, lying obliquely, in the middle of a 230 mm field of view."""
    size = (round(230 / spacing[0]), round(230 / spacing[1]), round(150 / spacing[2]))
    geometry = Geometry(size, spacing)
    k, j, i = np.ogrid[: size[2], : size[1], : size[0]]
    x, y, z = ((n - c / 2 - 0.3) * s for n, c, s in zip((i, j, k), size, spacing, strict=True))
    c, s = math.cos(0.5), math.sin(0.5)
    x, z = c * x + s * z, c * z - s * x
    x, y = c * x + s * y, c * y - s * x
    return LabelMap((x / AXES[0]) ** 2 + (y / AXES[1]) ** 2 + (z / AXES[2]) ** 2 <= 1, geometry)


def median_ms(action: Callable[[], object], repeats: int = 9) -> float:
    """Median processor time of ``action`` in ms after one call to warm up; wall time depends on who else runs."""
    action()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return 1000 * float(np.median(taken))


def bare_contour(mask: LabelMap) -> vtkFlyingEdges3D:
    """The reference: flying edges of the whole mask, nothing else."""
    image = vtkImageData()
    image.SetDimensions(*mask.geometry.size)
    values = mask.array.view(np.uint8).ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(values))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.5)
    contour.Update()
    return contour


@pytest.mark.parametrize("spacing", GRIDS, ids=str)
def test_mesh_of_a_50_ml_mask(spacing, capsys, record_property):
    mask = clot(spacing)
    reference = median_ms(lambda: bare_contour(mask))
    ours = median_ms(lambda: mesh_from_mask(mask))
    mesh = mesh_from_mask(mask)
    check = median_ms(lambda: check_printability(mesh, mask), 3)
    write = median_ms(lambda: stl_bytes(mesh), 3)
    deviation = mesh.volume_ml / (mask.voxel_count * mask.geometry.voxel_volume_ml) - 1
    record_property("ratio", ours / reference)
    with capsys.disabled():
        print(
            f"\nmesh {spacing}: {ours:.0f} ms CPU, bare flying edges {reference:.0f} ms, ratio {ours / reference:.2f}; "
            f"{len(mesh.triangles)} triangles, volume {deviation:+.2%}; check {check:.0f} ms, STL {write:.0f} ms"
        )
    assert count_edges(mesh.triangles).closed
    assert abs(deviation) < 0.01
