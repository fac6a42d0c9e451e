"""Scans of a reopened case: read again from where they were, or missed with a sentence and found again."""

import numpy as np
import pytest
import SimpleITK

from hemaview.case import Case
from hemaview.errors import CaseError
from hemaview.imaging.reading import read_scan

STROKE = (slice(3, 5), slice(4, 9), slice(6, 12))


def _write(path, values):
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing((0.9, 1.1, 4.0))
    image.SetOrigin((-30.0, 12.0, 5.5))
    SimpleITK.WriteImage(image, str(path))


@pytest.fixture
def values():
    return np.random.default_rng(2).integers(0, 900, (12, 24, 20)).astype(np.int16)


@pytest.fixture
def painted(tmp_path, values):
    """The folder of a closed case with one painted scan, and the scan's path."""
    path = tmp_path / "Müller scan.nii.gz"
    _write(path, values)
    with Case.create(tmp_path / "cases") as case:
        case.add_scan(path, read_scan(path))
        case.edit_mask(STROKE, np.ones((2, 5, 6), bool), "Brush")
        return case.directory, path


def test_a_scan_is_read_again_from_its_place(painted, values):
    directory, path = painted
    told = []
    with Case.open(directory, progress=told.append) as case:
        assert case.active_scan.problem is None
        assert case.active_scan.path == path
        assert np.array_equal(case.active_scan.volume.array, values)
        assert case.active_scan.geometry.matches(case.active_scan.volume.geometry)
        assert case.mask.voxel_count == 60
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_moved_scan_leaves_the_mask_and_can_be_shown_again(painted):
    directory, path = painted
    moved = path.with_name("elsewhere.nii.gz")
    path.rename(moved)
    with Case.open(directory) as case:
        assert case.active_scan.volume is None
        assert "no longer at" in case.active_scan.problem
        assert case.readings()[0].value_ml == pytest.approx(60 * 0.9 * 1.1 * 4 / 1000)
        case.undo()
        case.redo()
        entry = case.relocate_scan("scan-1", moved, read_scan(moved))
        assert entry.volume is not None
        assert case.active_scan.problem is None
    with Case.open(directory) as again:
        assert again.active_scan.path == moved
        assert again.active_scan.volume is not None
        assert again.mask.voxel_count == 60


def test_other_pixels_under_the_old_name_are_not_shown_under_the_mask(painted, values):
    directory, path = painted
    values[0, 0, 0] += 1
    _write(path, values)
    with Case.open(directory) as case:
        assert case.active_scan.volume is None
        assert "not the scan" in case.active_scan.problem
        assert case.mask.voxel_count == 60


def test_a_scan_that_became_unreadable_is_told(painted):
    directory, path = painted
    path.write_bytes(path.read_bytes()[:200])
    with Case.open(directory) as case:
        assert "cannot be read again" in case.active_scan.problem
        assert case.mask.voxel_count == 60


def test_a_scan_on_another_grid_is_no_replacement(painted, tmp_path):
    directory, _ = painted
    other = tmp_path / "other.nii.gz"
    _write(other, np.arange(12 * 24 * 21, dtype=np.int16).reshape(12, 24, 21))
    with Case.open(directory) as case, pytest.raises(CaseError, match="another grid"):
        case.relocate_scan("scan-1", other, read_scan(other))


def test_results_can_be_exported_even_when_the_scan_is_gone(painted, tmp_path):
    directory, path = painted
    path.unlink()
    with Case.open(directory) as case:
        case.export_mask(tmp_path / "mask.nii.gz")
        case.export_csv(tmp_path / "volumes.csv")
    mask = SimpleITK.ReadImage(str(tmp_path / "mask.nii.gz"))
    assert mask.GetSpacing() == pytest.approx((0.9, 1.1, 4.0))
    assert SimpleITK.GetArrayFromImage(mask).sum() == 60
    assert "direct" in (tmp_path / "volumes.csv").read_text()
