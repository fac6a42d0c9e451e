"""A case of a scan with unevenly spaced slices: measured, saved and reopened by its true places."""

import json

import numpy as np
import pytest

from hemaview.case import Case
from hemaview.case.headless import CSV_NAME, MASK_NAME, RECORD_NAME, write_results
from hemaview.case.library import library_masks
from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.imaging.reading import read_label_map
from hemaview.surface import check_printability

PLACES = (0.0, 2.5, 5.0, 7.5, 12.5, 22.5, 27.5, 34.5)
LEAN = 0.3
GRID = Geometry(
    (40, 36, 8),
    (0.9, 0.9, 34.5 / 7),
    (-20.0, 11.5, 7.25),
    (1, 0, 0, 0, 1, float(np.sin(LEAN)), 0, 0, float(np.cos(LEAN))),
    PLACES,
)
BY_HAND_ML = 20 * 16 * 0.81 * np.cos(LEAN) * (2.5 + 3.75 + 7.5 + 7.5) / 1000


@pytest.fixture
def uneven(tmp_path):
    """An open case whose mask is a block on four slices."""
    array = np.random.default_rng(1).normal(400, 30, GRID.shape).astype(np.float32)
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[2:6, 10:26, 8:28] = True
    with Case.create(tmp_path / "cases") as case:
        case.add_scan(tmp_path / "head", Volume(array, GRID, Modality.CT, "phantom"))
        case.replace_mask(LabelMap(mask, GRID))
        yield case


def test_reopening_keeps_the_places_and_the_volumes(uneven):
    readings = uneven.readings()
    assert readings[0].value_ml == pytest.approx(BY_HAND_ML)
    uneven.close()
    with Case.open(uneven.directory, load_scans=False) as again:
        assert again.active_scan.geometry == GRID
        assert again.readings()[:2] == readings[:2]


def test_the_library_measures_alike(uneven):
    uneven.set_checked(True)
    (one,) = library_masks(uneven.directory.parent)
    assert one.volume_ml == pytest.approx(BY_HAND_ML)


def test_saved_results_tell_the_places(uneven, tmp_path):
    results = write_results(uneven.snapshot(), tmp_path / "out")
    document = json.loads((tmp_path / "out" / RECORD_NAME).read_text())
    assert document["scan"]["slice_positions_mm"] == list(PLACES)
    assert document["mask_notes"] == list(results.mask_notes)
    assert "unevenly spaced" in results.mask_notes[0]
    assert document["surface"]["volume_ml"] == pytest.approx(BY_HAND_ML, rel=0.01)
    assert "2.5 2.5 2.5 5 10 5 7" in (tmp_path / "out" / CSV_NAME).read_text()
    again = read_label_map(tmp_path / "out" / MASK_NAME, like=GRID)
    assert np.array_equal(again.array, uneven.mask.array)
    assert check_printability(uneven.mesh(), uneven.mask).printable
