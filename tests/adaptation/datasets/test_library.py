"""Cases of the window as training data, also while they are open."""

import numpy as np
import pytest

from hemaview.adaptation.datasets import DataError, library_scans
from hemaview.case import Case
from hemaview.imaging.reading import read_scan

REGION = (slice(1, 4), slice(5, 9), slice(4, 10))


@pytest.fixture
def make_case(tmp_path):
    """A case with one scan; its mask is drawn by hand unless ``drawn`` is False. It stays open and locked."""
    opened = []

    def make(path, *, drawn=True) -> Case:
        case = Case.create(tmp_path / "cases")
        opened.append(case)
        case.add_scan(path, read_scan(path))
        if drawn:
            case.edit_mask(REGION, np.ones((3, 4, 6), dtype=bool), "Brush")
        return case

    yield make
    for case in opened:
        case.close()


def test_drawn_masks_are_read_while_their_cases_are_open(tmp_path, make_case, save_scan, picture):
    case = make_case(save_scan(tmp_path / "a.nii.gz", picture(1)))
    make_case(save_scan(tmp_path / "b.nii.gz", picture(2)), drawn=False)
    (scan,) = library_scans(tmp_path / "cases")
    assert scan.patient == scan.case == case.directory.name
    volume, mask = scan.load()
    assert (volume.array == picture(1)).all()
    assert mask.voxel_count == 72
    assert mask.array[REGION].all()


def test_cases_with_the_same_scan_are_one_patient(tmp_path, make_case, save_scan, picture):
    first = save_scan(tmp_path / "a.nii.gz", picture(1))
    copy = save_scan(tmp_path / "copy" / "a.nii.gz", picture(1))
    other = save_scan(tmp_path / "b.nii.gz", picture(2))
    for path in (first, copy, other):
        make_case(path)
    scans = library_scans(tmp_path / "cases")
    assert len(scans) == 3
    assert len({scan.patient for scan in scans}) == 2


def test_only_the_named_cases_are_taken(tmp_path, make_case, save_scan, picture):
    wanted = make_case(save_scan(tmp_path / "a.nii.gz", picture(1)))
    other = make_case(save_scan(tmp_path / "b.nii.gz", picture(2)))
    untouched = make_case(save_scan(tmp_path / "c.nii.gz", picture(3)), drawn=False)
    scans = library_scans(tmp_path / "cases", [wanted.directory.name])
    assert [scan.case for scan in scans] == [wanted.directory.name]
    assert other.directory.name not in scans[0].case
    with pytest.raises(DataError, match=f"The case {untouched.directory.name} has no mask"):
        library_scans(tmp_path / "cases", [untouched.directory.name])


def test_an_empty_library_and_a_moved_scan_are_named(tmp_path, make_case, save_scan, picture):
    with pytest.raises(DataError, match="No case"):
        library_scans(tmp_path / "cases")
    path = save_scan(tmp_path / "a.nii.gz", picture(1))
    make_case(path)
    path.unlink()
    (scan,) = library_scans(tmp_path / "cases")
    with pytest.raises(DataError, match="no longer at"):
        scan.load()
