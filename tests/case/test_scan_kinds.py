"""What kind of scan each is, as guessed and as the user says; what that does to readings, labels and days."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hemaview.case import Case, ChangeKind
from hemaview.case.examinations import day_text, is_other_patient
from hemaview.case.export import context
from hemaview.case.journal import encode_line, parse_journal
from hemaview.case.opening import JOURNAL_NAME
from hemaview.errors import CaseError
from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.imaging.reading import read_scan, write_label_map
from hemaview.imaging.sequence import Sequence, SequenceGuess
from hemaview.imaging.study import StudyKey

STROKE = (slice(9, 11), slice(5, 12), slice(5, 15))


def _paint(case):
    case.edit_mask(STROKE, np.ones((2, 7, 10), bool), "Brush")


def _other(volume, sequence=Sequence.FLAIR, date="", patient="", geometry=None):
    guess = SequenceGuess(sequence, "a test says so")
    study = StudyKey(patient=patient, study=date, date=date)
    array = volume.array if geometry is None else np.ones(geometry.shape, np.float32)
    return Volume(array, geometry or volume.geometry, sequence.modality, "file name", sequence=guess, study=study)


def test_the_guess_is_kept_and_the_users_word_goes_first(case, tmp_path, volume):
    entry = case.add_scan(tmp_path / "b.nii.gz", _other(volume))
    assert (entry.sequence, entry.known_as.certain, entry.known_as.why) == (Sequence.FLAIR, False, "a test says so")
    told = []
    case.changed.connect(told.append)
    assert case.set_sequence(entry.id, Sequence.SWI)
    assert [(change.kind, change.scan_id) for change in told] == [(ChangeKind.SCAN, entry.id)]
    changed = case.active_scan
    assert (changed.sequence, changed.known_as.certain, changed.modality) == (Sequence.SWI, True, Modality.MR)
    assert changed.volume.sequence.sequence is Sequence.SWI
    assert changed.volume.array is entry.volume.array
    assert not case.set_sequence(entry.id, Sequence.SWI)
    assert case.set_sequence(entry.id, None)
    assert case.active_scan.known_as == entry.guess
    assert case.active_scan.volume.sequence == entry.guess


def test_a_choice_is_no_undo_step_and_comes_back(case, tmp_path, volume):
    _paint(case)
    case.set_sequence("scan-1", Sequence.CT)
    assert case.undo_text == "Brush"
    case.close()
    with Case.open(case.directory, load_scans=False) as again:
        assert again.active_scan.sequence is Sequence.CT
        assert again.active_scan.modality is Modality.CT
        assert again.active_scan.guess.sequence is Sequence.MR
        assert again.undo_text == "Brush"


def test_a_reopened_scan_is_what_the_user_said(tmp_path, volume):
    path = tmp_path / "head_flair.nii.gz"
    mask = np.random.default_rng(3).integers(0, 2, volume.geometry.shape).astype(bool)
    write_label_map(LabelMap(mask, volume.geometry), path)
    with Case.create(tmp_path / "cases") as case:
        case.add_scan(path, read_scan(path))
        assert case.active_scan.sequence is Sequence.FLAIR
        case.set_sequence("scan-1", Sequence.CT)
        directory = case.directory
    with Case.open(directory) as again:
        scan = again.active_scan
        assert scan.volume.modality is Modality.CT
        assert not scan.volume.is_hounsfield
        again.set_sequence("scan-1", None)
        assert again.active_scan.volume.sequence.sequence is Sequence.FLAIR


def test_an_unknown_kind_in_the_record_is_damage(case):
    journal = case.directory / JOURNAL_NAME
    case.close()
    with journal.open("ab") as file:
        file.write(encode_line({"type": "sequence", "time": "now", "scan": "scan-1", "sequence": "T9"}, 2))
    with Case.open(case.directory, load_scans=False) as again:
        assert "damaged" in again.notes[0]
        assert again.active_scan.sequence is Sequence.MR


def test_a_choice_for_a_scan_that_is_not_there_is_refused(case):
    with pytest.raises(CaseError, match="no scan"):
        case.set_sequence("scan-9", Sequence.T1)


def test_records_from_before_sequences_know_the_modality_alone(case, volume):
    journal = case.directory / JOURNAL_NAME
    _paint(case)
    case.close()
    records = [dict(record) for record in parse_journal(journal.read_bytes()).records]
    for record in records:
        if record["type"] == "case":
            assert record["format"] == 3
            record["format"] = 2
        elif record["type"] == "scan":
            for key in ("sequence", "day", "not_measurable"):
                del record[key]
    journal.write_bytes(b"".join(encode_line(record, number) for number, record in enumerate(records)))
    with Case.open(case.directory, load_scans=False) as again:
        assert again.notes == ()
        assert again.active_scan.modality is Modality.MR
        assert again.active_scan.day is None
        assert again.readings()[0].value_ml > 0
        again.relocate_scan("scan-1", again.active_scan.path, _other(volume, Sequence.T2))
        assert again.active_scan.sequence is Sequence.T2


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        (Sequence.SWI, "too large"),
        (Sequence.T2STAR, "too large"),
        (Sequence.ADC, "do not measure"),
        (Sequence.PHASE, "do not measure"),
        (Sequence.T1C, "contrast"),
        (Sequence.CT_CONTRAST, "contrast"),
    ],
)
def test_what_a_sequence_does_to_numbers_stands_beside_them(case, tmp_path, sequence, words):
    _paint(case)
    plain = case.readings()
    case.set_sequence("scan-1", sequence)
    for before, reading in zip(plain, case.readings(), strict=True):
        assert (before.value_ml is None) or before.value_ml == reading.value_ml or reading.value_ml is None
        assert any(words in warning for warning in reading.warnings) == (reading.value_ml is not None)
    case.export_csv(tmp_path / "volumes.csv")
    assert f"{sequence}" in (tmp_path / "volumes.csv").read_text()
    assert words in (tmp_path / "volumes.csv").read_text()


def test_a_guess_is_written_as_one(case, tmp_path, volume):
    case.add_scan(tmp_path / "b.nii.gz", _other(volume, Sequence.T2))
    assert context(case.snapshot())["sequence"] == "T2 (guess)"
    case.set_sequence("scan-2", Sequence.T2)
    assert context(case.snapshot())["sequence"] == "T2"


def test_a_ct_in_grey_levels_gets_no_correction_made_for_hounsfield_units(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    case.set_sequence("scan-1", Sequence.CT)
    assert case.readings()[0].value_ml > 0
    assert case.readings()[2].value_ml is None


def test_a_mask_made_while_the_scan_was_taken_for_another_modality_is_not_corrected(case, box, answer):
    case.set_box(box)
    case.set_segmentation(answer(box))
    before = case.readings()[2].reason
    case.set_sequence("scan-1", Sequence.CT)
    assert "taken for MR" in case.readings()[2].reason
    assert case.readings()[0].value_ml > 0
    case.close()
    with Case.open(case.directory, load_scans=False) as again:
        assert "taken for MR" in again.readings()[2].reason
        again.set_sequence("scan-1", Sequence.FLAIR)
        assert "taken for MR" not in (again.readings()[2].reason or "")
        again.set_sequence("scan-1", None)
        assert again.readings()[2].reason == before


def test_a_scan_for_looking_at_takes_no_box_and_no_mask_and_is_not_measured(case, tmp_path, volume, box, answer):
    _paint(case)
    look_only = replace(volume, not_measurable="its pixel spacing is unknown")
    scout = case.add_scan(tmp_path / "scout.dcm", look_only)
    for change in (
        lambda: _paint(case),
        lambda: case.set_box(box),
        lambda: case.set_segmentation(answer(box)),
        lambda: case.replace_mask(LabelMap.empty(volume.geometry)),
        lambda: case.carry_mask("scan-1", scout.id),
    ):
        with pytest.raises(CaseError, match="pixel spacing is unknown"):
            change()
    assert case.mask is None
    assert "pixel spacing is unknown" in case.snapshot().refusal
    assert {reading.value_ml for reading in case.readings()} == {None}
    assert all("pixel spacing is unknown" in reading.reason for reading in case.readings())
    assert case.tada() is None
    case.close()
    with Case.open(case.directory, load_scans=False) as again:
        assert again.active_scan.not_measurable == "its pixel spacing is unknown"
        assert again.readings()[0].value_ml is None


def test_scans_are_called_by_kind_plane_and_day(case, tmp_path, volume):
    cube = Geometry((8, 8, 8), (1, 1, 1.2))
    case.add_scan(tmp_path / "Meier_Hans.nii", _other(volume, Sequence.FLAIR))
    case.add_scan(tmp_path / "Meier_Hans_2.nii", _other(volume, Sequence.T1, geometry=cube))
    case.add_scan(tmp_path / "Meier_Hans_3.nii", _other(volume, Sequence.FLAIR))
    assert list(case.labels.values()) == ["MR axial", "FLAIR axial (1)", "T1 3D", "FLAIR axial (2)"]


def test_days_count_from_the_first_dated_scan(case, tmp_path, volume):
    dates = ["20260301", "20260304", "", "20260227", "not a date", "20260301"]
    entries = [case.add_scan(tmp_path / f"{n}.nii", _other(volume, Sequence.CT, date)) for n, date in enumerate(dates)]
    assert [entry.day for entry in entries] == [0, 3, None, -2, None, 0]
    assert [day_text(day) for day in (0, 3, -2)] == ["day 0", "day +3", "day −2"]
    assert case.labels[entries[1].id] == "CT axial, day +3"
    assert case.labels[entries[0].id] == "CT axial, day 0 (1)"
    case.close()
    text = (case.directory / JOURNAL_NAME).read_text()
    assert not any(date in text for date in ("20260301", "20260304", "20260227"))
    with Case.open(case.directory, load_scans=False) as again:
        assert [entry.day for entry in again.scans[1:]] == [0, 3, None, -2, None, 0]
        late = again.add_scan(tmp_path / "late.nii", _other(volume, Sequence.CT, "20260310"))
        assert late.day is None, "no scan with a date is at hand to count from"


def test_another_patients_scan_is_noticed_and_not_written_down(case, tmp_path, volume):
    one = case.add_scan(tmp_path / "1.nii", _other(volume, patient="ab12"))
    same = case.add_scan(tmp_path / "2.nii", _other(volume, patient="ab12"))
    other = case.add_scan(tmp_path / "3.nii", _other(volume, patient="cd34"))
    found = [is_other_patient(entry, case.scans) for entry in (case.scans[0], one, same, other)]
    assert found == [False, False, False, True]
    assert "cd34" not in json.dumps(parse_journal((case.directory / JOURNAL_NAME).read_bytes()).records)
