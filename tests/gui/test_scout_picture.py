"""How a picture that can only be looked at is shown: all of it, and from the side it was taken from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hemaview.gui.scan_content import content_bounds
from hemaview.gui.thumbnails import volume_picture
from hemaview.imaging import Geometry, Modality, Volume

SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


@pytest.fixture
def scout(qapp):
    """One sagittal picture, 96 x 64, of something bright in a corner."""
    values = np.full((1, 64, 96), -1000, dtype=np.int16)
    values[:, 40:60, 60:90] = 900
    geometry = Geometry((96, 64, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), SAGITTAL)
    return Volume(values, geometry, Modality.CT, not_measurable="it is a scout view")


def test_all_of_it_is_fitted_and_not_only_what_is_bright(scout):
    lower, upper = content_bounds(scout)
    np.testing.assert_array_equal(lower, [-0.5, -0.5, -0.5])
    np.testing.assert_array_equal(upper, [95.5, 63.5, 0.5])
    lower, upper = content_bounds(replace(scout, not_measurable=None))
    assert np.prod(upper - lower) < 96 * 64 / 2


def test_its_thumbnail_is_the_picture_and_not_its_edge(scout):
    picture = volume_picture(scout)
    assert (picture.width(), picture.height()) == (96, 64)
