"""A mask carried to another scan's grid: only on request, marked, never measured, and replaced by an answer."""

from dataclasses import replace

import numpy as np
import pytest

from hemaview.case import Case, ChangeKind
from hemaview.case.export import context, printable_surface
from hemaview.case.library import library_masks
from hemaview.errors import CaseError, ExportError
from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.segmentation import BoxPrompt, Prompt, Segmentation

FINE = Geometry((60, 50, 30), (0.7, 0.7, 1.5), (-22.0, 9.0, 12.0))
FAR = Geometry((20, 20, 20), (1, 1, 1), (500.0, 500.0, 500.0))
STROKE = (slice(9, 11), slice(14, 21), slice(15, 25))


def _scan(geometry):
    return Volume(np.random.default_rng(4).normal(400, 30, geometry.shape).astype(np.float32), geometry, Modality.MR)


@pytest.fixture
def two(case, box, answer, tmp_path):
    """A segmented scan and, active, a second one on a finer grid."""
    case.set_box(box)
    case.set_segmentation(answer(box))
    case.add_scan(tmp_path / "fine.nii.gz", _scan(FINE))
    return case


def test_another_scan_begins_with_nothing(two):
    assert two.mask is None
    assert two.box is None
    assert two.carried_from is None


def test_a_carried_mask_lies_where_it_lay_and_can_be_undone(two):
    source = two.snapshot("scan-1").mask
    told = []
    two.changed.connect(told.append)
    assert two.carry_mask("scan-1", "scan-2")
    assert ChangeKind.MASK in {change.kind for change in told}
    centres = [mask.geometry.index_to_lps(np.argwhere(mask.array)[:, ::-1]).mean(axis=0) for mask in (source, two.mask)]
    assert np.linalg.norm(centres[0] - centres[1]) < 1.0
    volumes = [mask.geometry.volume_ml(mask.array) for mask in (source, two.mask)]
    assert volumes[1] == pytest.approx(volumes[0], rel=0.1)
    assert two.carried_from.id == "scan-1"
    assert two.undo_text == "Carry mask from MR axial (1)"
    assert not two.carry_mask("scan-1", "scan-2"), "it is there already"
    two.undo()
    assert two.mask is None
    assert two.carried_from is None
    two.redo()
    assert two.carried_from.id == "scan-1"


def test_the_scan_that_it_is_carried_to_becomes_the_active_one(two):
    two.set_active_scan("scan-1")
    two.carry_mask("scan-1", "scan-2")
    assert two.active_scan.id == "scan-2"


def test_nothing_is_measured_printed_or_checked_on_it(two, tmp_path):
    two.carry_mask("scan-1", "scan-2")
    for reading in two.readings():
        assert reading.value_ml is None
        assert "MR axial (1)" in reading.reason
    assert two.tada() is None
    assert two.mesh() is not None, "it may be looked at"
    assert context(two.snapshot())["mask"] == "carried over from MR axial (1)"
    with pytest.raises(ExportError, match="carried over"):
        printable_surface(two.snapshot())
    with pytest.raises(CaseError, match="carried over"):
        two.set_checked(True)
    two.export_csv(tmp_path / "volumes.csv")
    assert "carried over from MR axial (1)" in (tmp_path / "volumes.csv").read_text()
    two.set_active_scan("scan-1")
    assert two.readings()[0].value_ml > 0


def test_edits_by_hand_do_not_make_it_a_mask_of_its_own(two):
    two.carry_mask("scan-1", "scan-2")
    two.edit_mask(STROKE, np.ones((2, 7, 10), bool), "Brush")
    assert two.edited
    assert two.carried_from.id == "scan-1"
    assert two.readings()[0].value_ml is None
    assert two.question().fixed == (), "an engine must not keep slices that hold carried voxels"
    with pytest.raises(CaseError, match="no mask to carry"):
        two.carry_mask("scan-2", "scan-1")


def test_nobody_learns_from_it(two):
    two.carry_mask("scan-1", "scan-2")
    two.edit_mask(STROKE, np.ones((2, 7, 10), bool), "Brush")
    two.set_active_scan("scan-1")
    two.set_checked(True)
    two.close()
    assert [mask.scan.id for mask in library_masks(two.directory.parent)] == ["scan-1"]


def test_a_mask_of_its_own_is_measured_again(two, answer, tmp_path):
    two.carry_mask("scan-1", "scan-2")
    region = (slice(9, 12), slice(14, 24), slice(15, 25))
    own = BoxPrompt.from_index_bounds(FINE, (14.5, 13.5, 8.5), (24.5, 23.5, 11.5))
    found = answer(two.snapshot("scan-1").box)
    inside = np.full((3, 10, 10), 0.9, np.float32)
    confidence = np.full(3, 0.9, np.float32)
    own_answer = Segmentation(inside, region, FINE, Prompt.of(own), found.engine, confidence, 0.01, 0.2)
    two.set_box(own)
    two.set_segmentation(own_answer)
    assert two.carried_from is None
    assert two.readings()[0].value_ml == pytest.approx(300 * 0.7 * 0.7 * 1.5 / 1000)
    two.undo()
    assert two.carried_from.id == "scan-1"
    two.replace_mask(replace(LabelMap.empty(FINE), array=two.mask.array))
    assert two.carried_from is None
    two.undo()
    two.clear_mask()
    assert two.carried_from is None


def test_it_comes_back_as_a_carried_mask(two):
    two.carry_mask("scan-1", "scan-2")
    kept = two.mask.array.copy()
    two.close()
    with Case.open(two.directory, load_scans=False) as again:
        assert again.carried_from.id == "scan-1"
        assert np.array_equal(again.mask.array, kept)
        assert again.readings()[0].value_ml is None
        again.undo()
        assert again.carried_from is None


def test_what_cannot_be_carried_is_refused(two, tmp_path):
    with pytest.raises(CaseError, match="no mask"):
        two.carry_mask("scan-2", "scan-1")
    with pytest.raises(CaseError, match="no mask"):
        two.carry_mask("scan-1", "scan-1")
    far = two.add_scan(tmp_path / "far.nii.gz", _scan(FAR))
    with pytest.raises(CaseError, match="outside"):
        two.carry_mask("scan-1", far.id)
    assert two.mask is None
