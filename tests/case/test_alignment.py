"""Scans of one head that moved between them: found again, kept with the case, used to look and to carry only."""

import json
from dataclasses import replace

import numpy as np
import pytest
from moved_head import LANDMARKS, MOVE, THICK, THIN, lesion, moved_head
from scipy.spatial.transform import Rotation

from hemaview.case import Alignment, Case
from hemaview.case.alignment import find_alignment
from hemaview.case.export import context
from hemaview.case.journal import parse_journal
from hemaview.errors import Cancelled, CaseError, ScanError
from hemaview.imaging import LabelMap, Modality, Volume
from hemaview.imaging.reading import read_scan, write_volume
from hemaview.imaging.rigid import RigidMap
from hemaview.imaging.study import StudyKey


def overlap(one: LabelMap, other: LabelMap) -> float:
    both = np.count_nonzero(one.array & other.array)
    return 2 * both / (np.count_nonzero(one.array) + np.count_nonzero(other.array))


@pytest.fixture(scope="module")
def volumes() -> tuple[Volume, Volume]:
    return moved_head(THICK), moved_head(THIN, MOVE)


@pytest.fixture
def two(tmp_path, volumes):
    """A thick scan and, active, a finer one made after the head had moved."""
    with Case.create(tmp_path / "cases") as case:
        for number, volume in enumerate(volumes):
            path = tmp_path / f"scan{number}.nii.gz"
            write_volume(volume, path)
            case.add_scan(path, read_scan(path))
        yield case


@pytest.fixture(scope="module")
def found(tmp_path_factory, volumes) -> Alignment:
    """How the finer scan lies on the thick one, by registration."""
    with Case.create(tmp_path_factory.mktemp("found")) as case:
        for volume in volumes:
            case.add_scan(case.directory / "nowhere.nii", volume)
        return find_alignment(case.snapshot("scan-2"), case.snapshot("scan-1"))


def known(move: RigidMap) -> Alignment:
    return Alignment(move, 0.1, 0.9, 5.0, 8.0, {"bins": 50})


def test_a_known_move_is_found(found):
    assert np.linalg.norm(found.move(MOVE(LANDMARKS)) - LANDMARKS, axis=1).max() < 0.5
    assert found.degrees == pytest.approx(5, abs=0.3)
    assert found.information_after > found.information_before
    assert found.settings["seed"] and found.settings["boxes_left_out"] == 0


def test_it_is_found_the_other_way_round_too(two, found):
    other = find_alignment(two.snapshot("scan-1"), two.snapshot("scan-2"))
    np.testing.assert_allclose(other.move(LANDMARKS), found.move.inverse(LANDMARKS), atol=0.2)


def test_the_case_takes_places_there_and_back(two, found):
    assert two.alignment("scan-1", "scan-2") is None
    two.align("scan-2", "scan-1", found)
    there, back = two.alignment("scan-1", "scan-2"), two.alignment("scan-2", "scan-1")
    assert np.linalg.norm(there(LANDMARKS) - MOVE(LANDMARKS), axis=1).max() < 0.5
    np.testing.assert_allclose(back(there(LANDMARKS)), LANDMARKS, atol=1e-9)


def test_scans_aligned_to_a_common_one_are_aligned_to_each_other(two, tmp_path, volumes):
    two.add_scan(tmp_path / "third.nii.gz", volumes[1])
    third = RigidMap.of(Rotation.from_euler("z", 9, degrees=True).as_matrix(), (1, 2, 3))
    two.align("scan-2", "scan-1", known(MOVE.inverse))
    two.align("scan-3", "scan-1", known(third))
    np.testing.assert_allclose(two.alignment("scan-2", "scan-3")(LANDMARKS), third.inverse(MOVE.inverse(LANDMARKS)))
    two.remove_alignment("scan-3")
    two.align("scan-3", "scan-2", known(third))
    np.testing.assert_allclose(two.alignment("scan-3", "scan-1")(LANDMARKS), MOVE.inverse(third(LANDMARKS)))
    two.remove_alignment("scan-2")
    assert two.alignment("scan-3", "scan-1") is None
    assert two.alignment("scan-3", "scan-2") is not None


def test_nothing_else_changes_and_it_is_no_undo_step(two, state):
    two.set_active_scan("scan-1")
    two.replace_mask(lesion(THICK))
    before, readings, digests = state(two), two.readings(), [scan.digest for scan in two.scans]
    two.align("scan-2", "scan-1", known(MOVE.inverse))
    assert state(two) == before
    assert two.readings() == readings
    assert [scan.digest for scan in two.scans] == digests
    two.undo()
    assert two.alignment("scan-2", "scan-1") is not None


def test_reopening_keeps_it_and_removing_it_too(two, found):
    two.align("scan-2", "scan-1", found)
    two.close()
    with Case.open(two.directory) as again:
        entry = next(scan for scan in again.scans if scan.id == "scan-2")
        assert (entry.aligned_to, entry.alignment) == ("scan-1", found)
        assert again.remove_alignment("scan-2")
        assert not again.remove_alignment("scan-2")
    with Case.open(two.directory) as again:
        assert again.alignment("scan-2", "scan-1") is None


def test_the_journal_says_what_was_found_and_how(two, found):
    two.align("scan-2", "scan-1", found)
    record = parse_journal((two.directory / "journal.jsonl").read_bytes()).records[-1]
    assert (record["type"], record["scan"], record["to"]) == ("align", "scan-2", "scan-1")
    kept = record["alignment"]
    assert len(kept["matrix"]) == 16
    assert kept["settings"]["bins"] == 50
    assert {"information_before", "information_after", "degrees", "distance_mm"} <= set(kept)


def test_a_mask_is_carried_through_it_and_says_so(two, found):
    two.set_active_scan("scan-1")
    two.replace_mask(lesion(THICK))
    two.carry_mask("scan-1", "scan-2")
    truth = lesion(THIN, MOVE)
    without = overlap(two.mask, truth)
    assert not two.carried_aligned
    two.align("scan-2", "scan-1", found)
    assert two.carry_mask("scan-1", "scan-2")
    assert overlap(two.mask, truth) > 0.9 > without
    assert two.carried_from.id == "scan-1" and two.carried_aligned
    assert two.readings()[0].value_ml is None
    assert "through an alignment" in two.readings()[0].reason
    assert context(two.snapshot())["mask"].endswith("through an alignment")
    two.undo()
    assert two.carried_from.id == "scan-1" and not two.carried_aligned
    two.redo()
    two.close()
    with Case.open(two.directory, load_scans=False) as again:
        assert again.carried_aligned
        again.clear_mask()
        assert again.carried_from is None and not again.carried_aligned


def test_a_mask_from_a_file_is_the_scans_own(two):
    two.set_active_scan("scan-1")
    two.replace_mask(lesion(THICK))
    two.align("scan-2", "scan-1", known(MOVE.inverse))
    two.carry_mask("scan-1", "scan-2")
    two.replace_mask(lesion(THIN))
    assert two.carried_from is None and not two.carried_aligned


def test_scans_of_different_patients_are_refused(two, tmp_path, volumes):
    for patient in ("ab", "cd"):
        two.add_scan(tmp_path / "x.nii.gz", replace(volumes[0], study=StudyKey(patient=patient)))
    with pytest.raises(CaseError, match="different patients"):
        two.align("scan-4", "scan-3", known(MOVE))
    two.align("scan-4", "scan-1", known(MOVE))


def test_what_makes_no_sense_is_refused(two, tmp_path, volumes):
    with pytest.raises(CaseError, match="itself"):
        two.align("scan-1", "scan-1", known(MOVE))
    with pytest.raises(CaseError, match="holds no scan"):
        two.align("scan-1", "scan-9", known(MOVE))
    two.align("scan-2", "scan-1", known(MOVE))
    with pytest.raises(CaseError, match=r"is aligned to .* already"):
        two.align("scan-1", "scan-2", known(MOVE))
    two.add_scan(tmp_path / "scout.nii.gz", replace(volumes[0], not_measurable="its spacing is not known"))
    with pytest.raises(CaseError, match="its spacing is not known"):
        two.align("scan-3", "scan-1", known(MOVE))


def test_scans_that_share_nothing_are_left_where_they_are(two, tmp_path):
    noise = np.random.default_rng(0).normal(100, 10, THICK.shape).astype(np.float32)
    two.add_scan(tmp_path / "noise.nii.gz", Volume(noise, THICK, Modality.MR))
    with pytest.raises(ScanError, match="could not be aligned"):
        find_alignment(two.snapshot("scan-3"), two.snapshot("scan-1"))


def test_a_missing_file_is_one_sentence(two):
    two.close()
    with Case.open(two.directory, load_scans=False) as again, pytest.raises(CaseError, match="show where its file is"):
        find_alignment(again.snapshot("scan-2"), again.snapshot("scan-1"))


def test_it_can_be_cancelled(two):
    def stop(fraction: float) -> None:
        if fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        find_alignment(two.snapshot("scan-2"), two.snapshot("scan-1"), stop)


@pytest.mark.parametrize(
    "matrix",
    [[1.0] * 16, [2.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], [-1.0, *RigidMap().matrix[1:]], [1.0, 0, 0]],
)
def test_a_record_that_is_not_rigid_counts_as_damaged(two, matrix):
    two.align("scan-2", "scan-1", known(MOVE))
    path = two.directory / "journal.jsonl"
    records = parse_journal(path.read_bytes()).records
    two.close()
    from hemaview.case.journal import encode_line

    broken = json.loads(json.dumps(records[-1]))
    broken["alignment"]["matrix"] = matrix
    path.write_bytes(b"".join(encode_line(one, n) for n, one in enumerate([*records[:-1], broken])))
    with Case.open(two.directory, load_scans=False) as again:
        assert again.alignment("scan-2", "scan-1") is None
        assert "damaged" in again.notes[0]
