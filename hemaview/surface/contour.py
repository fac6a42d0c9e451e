"""The level surface of a field on a voxel grid, by VTK."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SINC_ITERATIONS = 20
SINC_PASS_BAND = 0.05


def level_surface(
    field: NDArray[np.float32], level: float, *, smooth: bool
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Points (n, 3) in voxel indices (i, j, k) and triangles (m, 3) of ``field[k, j, i] == level``.

    The surface is closed when the outermost voxels are below ``level``; corners run counter-clockwise seen
    from the lower side. ``smooth`` removes the voxel staircase by a windowed-sinc filter that keeps the
    volume. The filter is linear in the points, so it may run on indices on any affine grid.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter

    image = vtkImageData()
    image.SetDimensions(*field.shape[::-1])
    values = np.ascontiguousarray(field, dtype=np.float32).ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(values))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, level)
    contour.ComputeNormalsOff()
    contour.ComputeGradientsOff()
    contour.ComputeScalarsOff()
    last = contour
    if smooth:
        last = vtkWindowedSincPolyDataFilter()
        last.SetInputConnection(contour.GetOutputPort())
        last.SetNumberOfIterations(SINC_ITERATIONS)
        last.SetPassBand(SINC_PASS_BAND)
        last.BoundarySmoothingOff()
        last.FeatureEdgeSmoothingOff()
        last.NonManifoldSmoothingOn()
        last.NormalizeCoordinatesOn()
    last.Update()
    output = last.GetOutput()
    if output.GetNumberOfPoints() == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), np.int32)
    points = vtk_to_numpy(output.GetPoints().GetData()).astype(np.float64)
    triangles = vtk_to_numpy(output.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int32)
    return points, triangles
