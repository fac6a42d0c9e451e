"""The slices of the 3D view across unevenly spaced slices, as they are drawn."""

import numpy as np
import pytest
import pyvista as pv

from hemaview.gui.scene3d import Scene3D, SceneColours
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.windowing import Window

PLACES = np.array([0, 10, 20, 30, 40, 70, 80, 100.0])
GREYS = np.array([60, 200, 60, 200, 60, 200, 60, 200])


@pytest.fixture
def plotter():
    """A picture of 400 x 400 pixels that no window shows."""
    made = pv.Plotter(off_screen=True, window_size=(400, 400))
    yield made
    made.close()


def test_bands_of_grey_are_as_high_as_the_slices_are_thick(plotter):
    geometry = Geometry((100, 100, 8), (1.0, 1.0, 100 / 7), (-50, -50, 0), slice_positions=tuple(PLACES))
    array = np.broadcast_to(GREYS.astype(np.int16)[:, None, None], geometry.shape)
    colours = SceneColours("#000000", "#000000", "#ff0000", "#ffffff", "#0000ff", ("#000000",) * 3, "#ffffff")
    scene = Scene3D(plotter, colours)
    scene.set_volume(Volume(array, geometry, Modality.MR))
    scene.set_cursor((50, 50, 0), Window(127.5, 255))
    plotter.camera.parallel_projection = True
    plotter.camera.position, plotter.camera.focal_point, plotter.camera.up = (0, -400, 50), (0, 0, 50), (0, 0, 1)
    plotter.camera.parallel_scale = 80
    plotter.renderer.reset_camera_clipping_range()
    picture = plotter.screenshot(return_img=True)
    # 160 mm over 400 pixels, z = 50 in the middle; beside the sagittal slice, which is seen edge-on.
    rows = np.round(200 - (PLACES - 50) * 400 / 160).astype(int)
    np.testing.assert_allclose(picture[rows[1:-1], 260, 0], GREYS[1:-1], atol=12)
    half_way = round(200 - (55 - 50) * 400 / 160)
    assert picture[half_way, 260, 0] == pytest.approx(130, abs=15)
    body = np.flatnonzero(picture[:, 260, 0] > 20)
    assert (body[-1] - body[0]) * 160 / 400 == pytest.approx(5 + 100 + 10, abs=2)
