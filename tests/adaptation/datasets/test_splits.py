"""Patients are never divided, and the same patients are always divided in the same way."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hemaview.adaptation.datasets import PARTS, DataError, LabelledScan, Part, Splits, split_patients


def _scans(names):
    return [LabelledScan(name, f"{name} {turn}", "", "", lambda: None) for name in names for turn in range(2)]


@settings(max_examples=15)
@given(st.sets(st.text(min_size=1, max_size=6), min_size=4, max_size=40), st.integers(0, 5))
def test_every_patient_is_in_exactly_one_part(names, seed):
    scans = _scans(sorted(names))
    split = split_patients(scans, seed)
    together = [patient for part in PARTS for patient in split.parts[part]]
    assert sorted(together) == sorted(names)
    assert all(split.parts[part] for part in PARTS)
    assert len(split.parts[Part.TRAIN]) >= 2
    again = split_patients(list(reversed(scans)), seed)
    assert again.parts == split.parts
    for part in PARTS:
        assert {scan.patient for scan in split.scans(part, scans)} == set(split.parts[part])


def test_the_split_does_not_depend_on_the_computer():
    split = split_patients(_scans([f"p{n}" for n in range(8)]))
    assert split.parts[Part.HELD_OUT] == ("p0", "p7")
    assert split.parts[Part.VALIDATION] == ("p2",)


def test_folds_hold_every_patient_out_once():
    scans = _scans([f"p{n}" for n in range(11)])
    held_out = [split_patients(scans, 0, (number, 4)).parts[Part.HELD_OUT] for number in range(1, 5)]
    assert sorted(patient for part in held_out for patient in part) == sorted({scan.patient for scan in scans})


@pytest.mark.parametrize("fold", [(0, 3), (4, 3), (1, 1), (1, 12)])
def test_impossible_folds_are_refused(fold):
    with pytest.raises(DataError, match="not possible with 8 patients"):
        split_patients(_scans([f"p{n}" for n in range(8)]), 0, fold)


def test_too_few_patients_are_counted():
    with pytest.raises(DataError, match="3 patients, which is too few; at least 4"):
        split_patients(_scans(["a", "b", "c"]))
    few, many = split_patients(_scans("abcd")), split_patients(_scans([f"p{n}" for n in range(20)]))
    assert "Only 1 held-out patient measures" in (few.warning or "")
    assert many.warning is None


def test_a_split_comes_back_from_disk(tmp_path):
    scans = _scans("abcdefgh")
    split = split_patients(scans, 3, (2, 4))
    split.save(tmp_path / "splits.json", scans)
    assert Splits.read(tmp_path / "splits.json") == split


def test_a_patient_in_two_parts_is_refused(tmp_path):
    scans = _scans("abcdefgh")
    path = tmp_path / "splits.json"
    split_patients(scans).save(path, scans)
    content = json.loads(path.read_text())
    content["patients"]["held_out"].append(content["patients"]["train"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="is in train and in held_out"):
        Splits.read(path)
    path.write_text("{}")
    with pytest.raises(DataError, match="cannot be read"):
        Splits.read(path)


def test_a_patient_outside_the_split_is_refused():
    split = split_patients(_scans("abcdefgh"))
    with pytest.raises(DataError, match="The patient z is in no part"):
        split.scans(Part.TRAIN, _scans("az"))
