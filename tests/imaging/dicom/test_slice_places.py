"""Series whose slices are unevenly spaced, missing, overlapping or tilted: true places, true volumes."""

import numpy as np
import pytest

from hemaview.imaging.reading import read_scan


def _at(heights, axis=(0.0, 0.0, 1.0)):
    """Put slice k at ``heights[k]`` mm along ``axis`` from the series' origin."""

    def edit(dataset, k):
        place = np.array((-100.0, -80.0, 20.0)) + heights[k] * np.asarray(axis)
        dataset.ImagePositionPatient = [f"{v:.9g}" for v in place]

    return edit


def _slabs_ml(geometry):
    """mL of one voxel of every slice."""
    return np.array([geometry.volume_ml(row) for row in np.eye(geometry.size[2])])


def test_gaps_that_change_are_kept(dicom_series, ct_values):
    heights = np.array((0, 4, 8, 12, 19, 26.0))
    volume = read_scan(dicom_series(ct_values, edit=_at(heights)))
    geometry = volume.geometry
    assert geometry.slice_positions == pytest.approx(heights)
    assert geometry.spacing[2] == pytest.approx(26 / 5)
    assert np.array_equal(volume.array, ct_values)
    for k, height in enumerate(heights):
        assert geometry.index_to_lps((0, 0, k)) == pytest.approx((-100, -80, 20 + height))
    assert _slabs_ml(geometry) == pytest.approx(0.5 * 0.8 * np.array((4, 4, 4, 5.5, 7, 7)) / 1000)
    assert volume.notes == (
        "Slices are unevenly spaced: 4 mm from slice 1 to 4 and 7 mm from slice 4 to 6; volumes use the true "
        "distances.",
    )


@pytest.mark.parametrize("degrees", [18.5, -18.5, 30, -30])
def test_a_tilted_gantry_with_uneven_gaps_is_carried_exactly(dicom_series, ct_values, degrees):
    """Scanners step along the table while the pictures lean, so distances along the normal are shorter."""
    tilt = np.radians(degrees)
    heights = np.array((0, 4, 8, 12, 19, 26.0))
    folder = dicom_series(ct_values, column=(0, np.cos(tilt), -np.sin(tilt)), edit=_at(heights))
    volume = read_scan(folder)
    geometry = volume.geometry
    assert geometry.is_sheared
    assert geometry.slice_positions == pytest.approx(heights)
    assert geometry.index_to_lps((0, 0, 5)) == pytest.approx((-100, -80, 46))
    assert geometry.index_to_lps((3, 4, 2)) == pytest.approx(
        (-100 + 3 * 0.8, -80 + 4 * 0.5 * np.cos(tilt), 28 - 4 * 0.5 * np.sin(tilt))
    )
    assert _slabs_ml(geometry) == pytest.approx(0.5 * 0.8 * np.array((4, 4, 4, 5.5, 7, 7)) * np.cos(tilt) / 1000)
    assert volume.attributes["gantry_tilt_degrees"] == pytest.approx(f"{abs(degrees):.2f}")


@pytest.mark.parametrize("stated", ["18.5", "-18.5"])
def test_a_tilt_that_the_positions_have_lost_is_said(dicom_series, ct_values, stated):
    def tilted(dataset, _):
        dataset.GantryDetectorTilt = stated

    volume = read_scan(dicom_series(ct_values, edit=tilted))
    assert not volume.geometry.is_sheared
    assert any("tilted by 18.5 degrees, but" in note and "5 % too large" in note for note in volume.notes)


def test_a_stated_tilt_that_the_positions_show_is_no_loss(dicom_series, ct_values):
    def tilted(dataset, _):
        dataset.GantryDetectorTilt = "18.5"

    tilt = np.radians(18.5)
    volume = read_scan(dicom_series(ct_values, column=(0, np.cos(tilt), -np.sin(tilt)), edit=tilted))
    assert not any("too large" in note for note in volume.notes)


def test_a_missing_slice_is_said_and_its_place_kept(dicom_series, ct_values):
    volume = read_scan(dicom_series(ct_values, edit=_at((0, 5, 10, 20, 25, 30.0))))
    assert volume.geometry.slice_positions == pytest.approx((0, 5, 10, 20, 25, 30))
    assert any("1 slice is missing: slices 3 and 4 lie 10 mm apart instead of 5 mm" in note for note in volume.notes)
    assert _slabs_ml(volume.geometry) == pytest.approx(0.4 * np.array((5, 5, 7.5, 7.5, 5, 5)) / 1000)


def test_a_run_of_wider_gaps_is_a_spacing_and_lacks_no_slice(dicom_series, ct_values):
    volume = read_scan(dicom_series(ct_values, edit=_at((0, 2.5, 5, 10, 15, 20.0))))
    assert volume.geometry.slice_positions == pytest.approx((0, 2.5, 5, 10, 15, 20))
    assert volume.notes == (
        "Slices are unevenly spaced: 2.5 mm from slice 1 to 3 and 5 mm from slice 3 to 6; volumes use the true "
        "distances.",
    )


@pytest.mark.parametrize(("decimals", "step"), [(1, 0.7), (1, 0.4), (2, 0.5)])
def test_oblique_positions_rounded_by_the_workstation_can_be_measured(dicom_series, decimals, step):
    """Reformats of some workstations say positions to 0.1 mm, up to 0.1 mm beside the line they lie on."""
    values = np.random.default_rng(4).integers(-1000, 1000, (60, 5, 6)).astype(np.int16)
    pitch, yaw = np.radians(11.3), np.radians(-7.7)
    row = np.array((np.cos(yaw), np.sin(yaw), 0.0))
    column = np.array((-np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), np.sin(pitch)))
    along = step * np.cross(row, column)

    def rounded(dataset, k):
        place = np.array((-100.0, -80.0, 20.0)) + k * along
        dataset.ImagePositionPatient = [f"{v:.{decimals}f}" for v in place]
        dataset.ImageOrientationPatient = [f"{v:.3f}" for v in (*row, *column)]

    volume = read_scan(dicom_series(values, edit=rounded))
    assert volume.not_measurable is None
    assert np.array_equal(volume.array, values)
    exact = 0.4 * step * 59 / 1000
    assert _slabs_ml(volume.geometry)[:-1].sum() == pytest.approx(exact, rel=0.01)
    assert volume.geometry.index_to_lps((0, 0, 30)) == pytest.approx((-100, -80, 20) + 30 * along, abs=0.15)


def test_overlapping_slices_measure_their_distance(dicom_series, ct_values):
    volume = read_scan(dicom_series(ct_values, step=(0, 0, 2.5)))
    assert volume.geometry.spacing[2] == pytest.approx(2.5)
    assert not volume.geometry.is_uneven
    assert any("2.5 mm apart but are 5 mm thick" in note for note in volume.notes)


def test_many_different_gaps_are_said_in_short(dicom_series, ct_values):
    volume = read_scan(dicom_series(ct_values, edit=_at((0, 2, 5, 9, 14, 20.0))))
    assert "Slices are unevenly spaced, 2 to 6 mm apart; volumes use the true distances." in volume.notes


def test_a_hole_is_not_taken_for_a_spacing(dicom_series, ct_values):
    volume = read_scan(dicom_series(ct_values, edit=_at((0, 60, 62, 64, 66, 68.0))))
    assert "hole of 60 mm" in volume.not_measurable


def test_slices_that_drift_sideways_are_no_grid(dicom_series, ct_values):
    def drift(dataset, k):
        dataset.ImagePositionPatient = [-100, -80 + (0, 0, 0, 1, 2, 3)[k], 20 + 5 * k]

    assert "shifted sideways" in read_scan(dicom_series(ct_values, edit=drift)).not_measurable


def test_slices_far_from_their_normal_are_no_grid(dicom_series, ct_values):
    volume = read_scan(dicom_series(ct_values, step=(0, 6, 5)))
    assert "50 degrees away from their normal" in volume.not_measurable
