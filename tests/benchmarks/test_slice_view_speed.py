"""How long a slice change, a window drag and a brush dab take, beside VTK's slice mapper in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkRenderingCore import vtkImageSlice, vtkImageSliceMapper, vtkRenderer, vtkRenderWindow

import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  isort: skip - registers the OpenGL classes

from hemaview.gui.slice_view import SliceView
from hemaview.gui.view_state import Tool, ViewState
from hemaview.imaging import Geometry, LabelMap, Modality, Plane, Volume
from hemaview.imaging.windowing import Window
from hemaview.segmentation.contract import BoxPrompt, Prompt

pytestmark = pytest.mark.benchmark

SIDE = 760
SHAPE = (200, 512, 512)


@pytest.fixture(scope="module")
def scan() -> Volume:
    """A head-sized scan of noise over a slope: 512 x 512 x 200 int16, 0.45 x 0.45 x 0.8 mm."""
    rng = np.random.default_rng(0)
    array = rng.integers(0, 400, SHAPE, dtype=np.int16) + np.arange(512, dtype=np.int16)
    return Volume(array, Geometry((512, 512, 200), (0.45, 0.45, 0.8)), Modality.CT)


@pytest.fixture(scope="module")
def mask(scan: Volume) -> LabelMap:
    """A ball of 60 mm across in the middle."""
    k, j, i = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    ball = ((k - 100) * 0.8) ** 2 + ((j - 256) * 0.45) ** 2 + ((i - 256) * 0.45) ** 2 < 30**2
    return LabelMap(ball, scan.geometry)


def shown(qtbot, scan: Volume, mask: LabelMap, plane: Plane) -> tuple[ViewState, SliceView]:
    state = ViewState()
    view = SliceView(state, plane)
    qtbot.addWidget(view)
    view.resize(SIDE, SIDE)
    state.set_volume(scan, Window(300, 600))
    state.set_mask(mask)
    state.set_prompt(Prompt.of(BoxPrompt.around(mask)))
    with qtbot.waitExposed(view):
        view.show()
    return state, view


def milliseconds(action: Callable[[int], None], repeats: int) -> tuple[float, float, float]:
    """Median and worst CPU ms, and median wall ms, of ``action(n)`` after a warm-up."""
    for n in range(5):
        action(n)
    cpu, wall = [], []
    for n in range(repeats):
        wall_start, start = time.perf_counter(), time.process_time()
        action(n)
        cpu.append(1000 * (time.process_time() - start))
        wall.append(1000 * (time.perf_counter() - wall_start))
    return float(np.median(cpu)), max(cpu), float(np.median(wall))


def vtk_slice_ms(scan: Volume, plane: Plane) -> float:
    """Median CPU ms per slice change of vtkImageSliceMapper, off screen at the same size."""
    data = vtkImageData()
    data.SetDimensions(*scan.geometry.size)
    data.SetSpacing(*scan.geometry.spacing)
    data.GetPointData().SetScalars(numpy_to_vtk(scan.array.ravel(), deep=False))
    mapper = vtkImageSliceMapper()
    mapper.SetInputData(data)
    mapper.SetOrientation({Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[plane])
    actor = vtkImageSlice()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColorWindow(600)
    actor.GetProperty().SetColorLevel(300)
    renderer = vtkRenderer()
    renderer.AddViewProp(actor)
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(SIDE, SIDE)
    window.AddRenderer(renderer)
    camera = renderer.GetActiveCamera()
    camera.ParallelProjectionOn()
    camera.SetFocalPoint(0, 0, 0)
    camera.SetPosition(*{Plane.SAGITTAL: (1, 0, 0), Plane.CORONAL: (0, 1, 0), Plane.AXIAL: (0, 0, 1)}[plane])
    camera.SetViewUp(*((0, 1, 0) if plane is Plane.AXIAL else (0, 0, 1)))
    renderer.ResetCamera()

    def turn(n: int) -> None:
        mapper.SetSliceNumber(80 + n % 40)
        window.Render()
        window.WaitForCompletion()

    median, _, _ = milliseconds(turn, 15)
    window.Finalize()
    return median


@pytest.mark.parametrize("plane", list(Plane))
def test_slice_change(qtbot, scan, mask, plane):
    state, view = shown(qtbot, scan, mask, plane)
    drawn = set()

    def turn(n: int) -> None:
        state.set_slice_index(plane, 80 + n % 40)
        view.repaint()
        drawn.add(view.slice_index)

    median, worst, wall = milliseconds(turn, 60)
    reference = vtk_slice_ms(scan, plane)
    print(
        f"\nslice change {plane.value}: {median:.2f} ms CPU median, {worst:.2f} worst, {wall:.2f} wall; "
        f"vtkImageSliceMapper {reference:.2f} ms CPU; ratio {median / reference:.3f}"
    )
    assert len(drawn) == 40


def test_window_drag(qtbot, scan, mask):
    state, view = shown(qtbot, scan, mask, Plane.AXIAL)
    before = view.grab().toImage()

    def drag(n: int) -> None:
        state.set_window(Window(200 + n, 500 + n))
        view.repaint()

    median, worst, _ = milliseconds(drag, 60)
    print(f"\nwindow drag: {median:.2f} ms CPU median, {worst:.2f} worst")
    assert view.grab().toImage() != before


def test_brush_dab(qtbot, scan, mask):
    state, view = shown(qtbot, scan, mask, Plane.AXIAL)
    state.set_tool(Tool.BRUSH)
    state.set_brush_radius(8.0)
    strokes = []
    view.brush_stroke.connect(lambda region, values: strokes.append(region))
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=view.rect().center())

    def dab(n: int) -> None:
        QTest.mouseMove(view, view.rect().center() + QPoint(4 * (n % 60), n % 7))
        view.repaint()

    median, worst, _ = milliseconds(dab, 60)
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=view.rect().center())
    print(f"\nbrush dab: {median:.2f} ms CPU median, {worst:.2f} worst")
    assert len(strokes) == 1
