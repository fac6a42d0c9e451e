"""The inscribed ellipse and ellipsoid have the volume geometry says they have, on any grid."""

import math

import numpy as np
import pytest

from hemaview.errors import PromptError
from hemaview.evaluation.baselines import inscribed_ellipse, inscribed_ellipsoid
from hemaview.imaging import Geometry
from hemaview.segmentation import BoxPrompt


def test_ellipse_fills_pi_over_four_of_its_rectangle():
    picture = inscribed_ellipse((80, 120), (9.5, 19.5, 109.5, 59.5))
    assert picture.sum() == pytest.approx(math.pi / 4 * 100 * 40, rel=0.01)
    rows, columns = np.nonzero(picture)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 109, 20, 59)


def test_ellipsoid_volume_is_pi_over_six_on_a_sheared_anisotropic_grid():
    affine = np.array([[0.5, 0, 0, -30], [0, 0.7, 1.5, 12], [0, 0, 4.0, -80], [0, 0, 0, 1.0]])
    geometry = Geometry.from_affine(affine, (100, 90, 40))
    prompt = BoxPrompt.from_index_bounds(geometry, (9.5, 9.5, 4.5), (89.5, 69.5, 34.5))
    mask = inscribed_ellipsoid(prompt, geometry)
    sides = 80 * 60 * 30 * geometry.voxel_volume_ml
    assert mask.voxel_count * geometry.voxel_volume_ml == pytest.approx(math.pi / 6 * sides, rel=0.01)


def test_ellipsoid_of_a_box_that_leaves_the_scan_is_cut_not_squeezed():
    geometry = Geometry((20, 20, 20), (1, 1, 1))
    prompt = BoxPrompt.from_index_bounds(geometry, (-10.5, 4.5, 4.5), (9.5, 14.5, 14.5))
    half = inscribed_ellipsoid(prompt, geometry).array
    assert half[9, 9, 0]
    assert half[:, :, 0].sum() > half[:, :, 8].sum()


def test_box_outside_the_scan_is_refused():
    geometry = Geometry((20, 20, 20), (1, 1, 1))
    with pytest.raises(PromptError):
        inscribed_ellipsoid(BoxPrompt((50, 50, 50), (60, 60, 60)), geometry)
