"""Known answers from file to volume: a solid of known size on even, uneven, tilted and oblique DICOM series.

The solid is sampled here from the tags that are written, and the expected volume is summed here by hand, so neither
comes from the code under test.
"""

import numpy as np
import pytest

from hemaview.imaging import LabelMap, Plane, acquisition_plane
from hemaview.imaging.reading import read_scan
from hemaview.surface import check_printability, mesh_from_mask
from hemaview.volumetry import direct_volume, measure_tada

CENTRE = np.array((4.0, -6.0, 31.0))
SEMI_AXES = np.array((21.0, 17.0, 19.0))
TRUE_ML = 4 / 3 * np.pi * SEMI_AXES.prod() / 1000
COLUMNS, ROWS = 92, 100
ROW_SPACING, COLUMN_SPACING = 0.7, 0.8
LESION, BRAIN = 70, 30


def turned(*degrees):
    """Unit vectors along a row, down a column and along the normal after turns about x, y and z."""
    axes = np.eye(3)
    for n, angle in enumerate(np.radians(degrees)):
        a, b = [m for m in range(3) if m != n]
        turn = np.eye(3)
        turn[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        axes = turn @ axes
    return axes[:, 0], axes[:, 1], axes[:, 2]


def tilted(degrees):
    """A gantry that leans: slices follow each other along the table, not along their normal."""
    angle = np.radians(degrees)
    return np.array((1.0, 0, 0)), np.array((0, np.cos(angle), -np.sin(angle))), np.array((0, 0, 1.0))


EVEN = np.arange(-30.0, 31.0, 3.0)
THIN_BASE = np.concatenate([np.arange(-30.0, 0.0, 2.5), np.arange(0.0, 36.0, 5.0)])
ONE_MISSING = np.delete(np.arange(-30.0, 31.0, 4.0), 6)
OVERLAPPING = np.concatenate([np.arange(-28.0, 1.0, 4.0), np.arange(1.1, 36.0, 7.0)])
SERIES = {
    "even": (EVEN, turned(0, 0, 0)),
    "thin base": (THIN_BASE, turned(0, 0, 0)),
    "thin base, feet first": (THIN_BASE, turned(180, 0, 0)),
    "thin base, tilted": (THIN_BASE, tilted(20)),
    "thin base, tilted back": (THIN_BASE, tilted(-27)),
    "one missing": (ONE_MISSING, turned(0, 0, 0)),
    "one missing, tilted": (ONE_MISSING, tilted(18.5)),
    "two thicknesses that overlap, tilted": (OVERLAPPING, tilted(-18.5)),
    "thin base, double oblique": (THIN_BASE, turned(17, -12, 8)),
    "thin base, coronal": (THIN_BASE, turned(-90, 0, 0)),
    "thin base, sagittal": (THIN_BASE, turned(-90, 0, 90)),
}


def voxel_places(heights, frame):
    """(slices, rows, columns, 3) LPS of every voxel centre, and of the first voxel of every slice, by the standard."""
    row, column, along = frame
    first = CENTRE + heights[:, None] * along
    first = first - row * COLUMN_SPACING * (COLUMNS - 1) / 2 - column * ROW_SPACING * (ROWS - 1) / 2
    down = (np.arange(ROWS) * ROW_SPACING)[:, None, None] * column
    across = (np.arange(COLUMNS) * COLUMN_SPACING)[None, :, None] * row
    return first[:, None, None] + down + across, first


@pytest.fixture(params=list(SERIES))
def phantom(request, dicom_series):
    """The folder of a series, its voxels' places and values, and the slices' intervals along their normal."""
    heights, frame = SERIES[request.param]
    row, column, along = frame
    places, first = voxel_places(heights, frame)
    values = np.where((((places - CENTRE) / SEMI_AXES) ** 2).sum(axis=-1) <= 1, LESION, BRAIN).astype(np.int16)

    def edit(dataset, k):
        dataset.ImagePositionPatient = [f"{v:.9g}" for v in first[k]]

    folder = dicom_series(values, row=row, column=column, spacing=(ROW_SPACING, COLUMN_SPACING), edit=edit)
    gaps = np.diff(heights) * abs(along @ np.cross(row, column))
    intervals = np.array([gaps[0], *(gaps[1:] + gaps[:-1]) / 2, gaps[-1]])
    return folder, places, values, intervals


def test_direct_volume_and_tada_are_those_summed_by_hand(phantom):
    folder, _, values, intervals = phantom
    volume = read_scan(folder)
    assert volume.not_measurable is None
    mask = LabelMap(volume.array > 50, volume.geometry)
    areas = np.count_nonzero(values == LESION, axis=(1, 2)) * ROW_SPACING * COLUMN_SPACING
    reading, tada = direct_volume(mask), measure_tada(mask)
    assert reading.value_ml == pytest.approx(areas @ intervals / 1000, rel=1e-6)
    assert reading.value_ml == pytest.approx(TRUE_ML, rel=0.04)
    assert tada.c_mm == pytest.approx(intervals[areas > 0].sum(), rel=1e-6)
    weights = np.select([areas >= 0.75 * areas.max(), areas >= 0.25 * areas.max()], [1.0, 0.5])
    assert tada.weighted_c_mm == pytest.approx(weights @ intervals, rel=1e-6)
    assert tada.area_mm2 == pytest.approx(areas.max(), rel=1e-6)
    assert tada.component_ml == pytest.approx(reading.value_ml)


def test_the_mesh_has_the_masks_volume_and_place(phantom):
    folder, _, _, intervals = phantom
    volume = read_scan(folder)
    mask = LabelMap(volume.array > 50, volume.geometry)
    mesh = mesh_from_mask(mask)
    report = check_printability(mesh, mask)
    assert report.printable
    assert abs(report.deviation) < 0.01
    scaled = (mesh.points - CENTRE) / SEMI_AXES
    away = (np.linalg.norm(scaled, axis=1) - 1) * SEMI_AXES.mean()
    assert np.abs(away).mean() < 0.12 * intervals.max()


def test_every_voxel_lies_where_the_tags_say(phantom):
    folder, places, values, _ = phantom
    volume = read_scan(folder)
    k, j, i = np.meshgrid(*(np.arange(0, n, 7) for n in volume.array.shape), indexing="ij")
    read = volume.geometry.index_to_lps(np.stack([i, j, k], axis=-1))
    # Slices are sorted along the normal, which the order of writing may run against.
    turned_round = np.linalg.norm(read[0, 0, 0] - places[0, 0, 0]) > 1
    written = places[::-1] if turned_round else places
    assert np.allclose(read, written[k, j, i], atol=1e-4)
    assert np.array_equal(volume.array[k, j, i], (values[::-1] if turned_round else values)[k, j, i])


def test_the_plane_of_acquisition_is_told(dicom_series):
    for name, plane in (("coronal", Plane.CORONAL), ("sagittal", Plane.SAGITTAL), ("double oblique", Plane.AXIAL)):
        heights, (row, column, along) = SERIES[f"thin base, {name}"]
        folder = dicom_series(
            np.zeros((len(heights), 6, 7), dtype=np.int16) + np.arange(7, dtype=np.int16),
            folder=name,
            row=row,
            column=column,
            step=3.0 * along,
        )
        assert acquisition_plane(read_scan(folder).geometry) is plane
