import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hemaview.imaging import Geometry
from hemaview.imaging.plane_name import plane_name

NORMALS = {"axial": "xyz", "coronal": "xzy", "sagittal": "yzx"}
"""The order of the patient's axes along columns, rows and slices of each plane."""


def _geometry(plane, turn=None):
    axes = np.eye(3)[:, ["xyz".index(axis) for axis in NORMALS[plane]]]
    turned = axes if turn is None else turn.as_matrix() @ axes
    return Geometry((4, 5, 6), (1, 1, 3), (0, 0, 0), tuple(turned.ravel()))


@pytest.mark.parametrize("plane", NORMALS)
def test_slices_along_the_patients_axes(plane):
    assert plane_name(_geometry(plane)) == plane


@given(st.sampled_from(sorted(NORMALS)), st.floats(0, 40), st.floats(0, 2 * np.pi))
def test_turned_slices_are_called_oblique_beyond_ten_degrees(plane, degrees, around):
    normal = np.eye(3)["xyz".index(NORMALS[plane][2])]
    across, other = (np.eye(3)["xyz".index(axis)] for axis in NORMALS[plane][:2])
    axis = np.cos(around) * across + np.sin(around) * other
    turned = _geometry(plane, Rotation.from_rotvec(np.radians(degrees) * axis))
    if abs(degrees - 10) > 0.01:
        assert plane_name(turned) == (f"oblique {plane}" if degrees > 10 else plane)
    # Turning a slice within its own plane changes nothing.
    assert plane_name(_geometry(plane, Rotation.from_rotvec(around * normal))) == plane


def test_a_tilted_gantry_counts_as_oblique_and_the_order_of_slices_does_not_count():
    tilt = np.radians(18.5)
    tilted = Geometry((4, 5, 6), (1, 1, 3), (0, 0, 0), (1, 0, 0, 0, np.cos(tilt), 0, 0, np.sin(tilt), 1))
    assert plane_name(tilted) == "oblique axial"
    upside_down = Geometry((4, 5, 6), (1, 1, 3), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, -1))
    assert plane_name(upside_down) == "axial"
