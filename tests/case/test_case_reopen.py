"""A reopened case is the case that was shown: after closing, after being killed, after damage to its files."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hemaview.case import Case, recent_cases
from hemaview.case.opening import JOURNAL_NAME
from hemaview.errors import CaseError

STREAM = Path(__file__).with_name("edit_stream.py")
STROKE = (slice(9, 11), slice(5, 12), slice(5, 15))


def _seen(case: Case) -> str:
    spec = importlib.util.spec_from_file_location("edit_stream", STREAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.seen(case)


@pytest.fixture
def worked(case, box, answer):
    """A case with a segmentation, a stroke, and one undone stroke."""
    case.set_box(box)
    case.set_segmentation(answer(box))
    case.edit_mask(STROKE, np.ones((2, 7, 10), bool), "Brush")
    case.edit_mask(STROKE, np.zeros((2, 7, 10), bool), "Erase")
    case.undo()
    return case


def test_reopening_gives_everything_back(worked, state):
    before, readings = state(worked), worked.readings()
    worked.close()
    with Case.open(worked.directory, load_scans=False) as again:
        assert state(again) == before
        assert again.notes == ()
        assert again.can_redo
        # The third reading needs the scan, which this test does not give back.
        assert again.readings()[:2] == readings[:2]
        again.undo()
        again.undo()
        assert again.mask is None
        again.redo()
        assert not again.edited


def test_a_closed_case_refuses_changes(worked, box):
    worked.close()
    with pytest.raises(CaseError, match="cannot be changed"):
        worked.set_box(None)
    assert worked.box == box


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX signal")
@pytest.mark.parametrize("after", [1, 9, 40])
def test_a_killed_process_loses_nothing_but_the_click_in_flight(tmp_path, after):
    states = subprocess.run(
        [sys.executable, STREAM, "states", tmp_path / "reference", str(after + 60)],
        capture_output=True, text=True, check=True,
    ).stdout.split()[1:]  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, STREAM, "work", tmp_path / "killed", "100000"], stdout=subprocess.PIPE, text=True
    )
    directory = Path(child.stdout.readline().strip())
    while int(child.stdout.readline()) < after:
        pass
    os.kill(child.pid, signal.SIGKILL)
    told = [int(line) for line in child.stdout.read().split()]
    child.stdout.close()
    child.wait()
    last = told[-1] if told else after
    with Case.open(directory, load_scans=False) as case:
        assert _seen(case) in states[last : last + 2]
        assert not case.read_only


def test_a_torn_last_line_is_dropped_and_work_goes_on(worked, state):
    worked.close()
    journal = worked.directory / JOURNAL_NAME
    whole = journal.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in (last + 1, last + 20, len(whole) - 1):
        journal.write_bytes(whole[:cut])
        with Case.open(worked.directory, load_scans=False) as again:
            assert again.undo_text == "Erase", "the undo was the last line"
            assert "cut off" in again.notes[0]
            again.edit_mask(STROKE, np.ones((2, 7, 10), bool), "Brush")
            shown = state(again)
        with Case.open(worked.directory, load_scans=False) as third:
            assert state(third) == shown
            assert third.notes == ()


def test_damage_in_the_middle_opens_what_came_before_and_keeps_the_rest(worked, answer, box):
    worked.close()
    journal = worked.directory / JOURNAL_NAME
    lines = journal.read_bytes().splitlines(keepends=True)
    assert b"Brush" in lines[4]
    broken = [*lines[:4], lines[4].replace(b"Brush", b"Brash"), *lines[5:]]
    journal.write_bytes(b"".join(broken))
    aside = worked.directory / "journal-damaged-1.jsonl"
    for _ in range(2):
        with Case.open(worked.directory, load_scans=False) as looked:
            assert "damaged after change 3" in looked.notes[0]
        assert not aside.exists(), "looking at a damaged case changes nothing on the disk"
        assert journal.read_bytes() == b"".join(broken)
    with Case.open(worked.directory, load_scans=False) as again:
        assert np.array_equal(again.mask.array, answer(box).mask().array)
        again.undo()
        assert aside.read_bytes() == b"".join(broken[4:])
    with Case.open(worked.directory, load_scans=False) as third:
        assert third.mask is None
        assert third.notes == ()


def test_a_missing_or_altered_patch_counts_as_damage(worked, box, answer):
    worked.close()
    journal = worked.directory / JOURNAL_NAME
    stroke = json.loads(journal.read_bytes().splitlines()[4])["patch"]["file"]
    patch = worked.directory / "patches" / stroke
    patch.write_bytes(patch.read_bytes()[:-1] + b"x")
    with Case.open(worked.directory, load_scans=False) as again:
        assert np.array_equal(again.mask.array, answer(box).mask().array)
        assert "damaged after change 3" in again.notes[0]


def test_a_patch_that_comes_back_brings_the_work_back(worked, state):
    shown = state(worked)
    worked.close()
    stroke = json.loads((worked.directory / JOURNAL_NAME).read_bytes().splitlines()[4])["patch"]["file"]
    patch = worked.directory / "patches" / stroke
    away = worked.directory / "not yet copied"
    patch.rename(away)
    with Case.open(worked.directory, load_scans=False) as again:
        assert again.undo_text == "Draw box"
    away.rename(patch)
    with Case.open(worked.directory, load_scans=False) as again:
        assert state(again) == shown


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in a file's place reads differently there")
def test_a_drive_that_cannot_be_read_is_no_damage(worked):
    worked.close()
    stroke = json.loads((worked.directory / JOURNAL_NAME).read_bytes().splitlines()[4])["patch"]["file"]
    patch = worked.directory / "patches" / stroke
    patch.unlink()
    patch.mkdir()
    with pytest.raises(CaseError, match="cannot be read"):
        Case.open(worked.directory, load_scans=False)


@pytest.mark.parametrize("content", [b"", b"{}\n", b"not a journal\n", b"\0" * 4096, b'{"n":0}\n'])
def test_a_folder_whose_journal_is_no_journal_is_refused_unchanged(tmp_path, content):
    (tmp_path / JOURNAL_NAME).write_bytes(content)
    with pytest.raises(CaseError, match="damaged from its first line"):
        Case.open(tmp_path)
    assert (tmp_path / JOURNAL_NAME).read_bytes() == content


def test_a_folder_without_a_case_is_refused(tmp_path):
    with pytest.raises(CaseError, match="no HEMAVIEW case"):
        Case.open(tmp_path)


def test_a_second_window_is_refused_until_the_first_closes(worked):
    with pytest.raises(CaseError, match="already open in another"):
        Case.open(worked.directory, load_scans=False)
    worked.close()
    Case.open(worked.directory, load_scans=False).close()


def test_another_process_is_refused_too(worked):
    code = "import sys; from pathlib import Path; from hemaview.case import Case; Case.open(Path(sys.argv[1]))"
    refused = subprocess.run([sys.executable, "-c", code, worked.directory], capture_output=True, text=True)
    assert "already open in another HEMAVIEW window" in refused.stderr


def test_the_start_page_lists_cases_by_last_change(tmp_path, volume):
    assert recent_cases(tmp_path / "none") == ()
    root = tmp_path / "root"
    made = []
    for number in range(3):
        with Case.create(root) as case:
            if number:
                case.add_scan(tmp_path / f"{number}.nii", volume)
            made.append(case)
    (root / "other").mkdir()
    os.utime(made[2].directory / JOURNAL_NAME, (1_700_000_000, 1_700_000_000))
    listed = recent_cases(root)
    assert [summary.directory for summary in listed] == [made[1].directory, made[2].directory]
    assert listed[0].name == "phantom"
    assert listed[0].label.endswith(", " + " × ".join(map(str, volume.geometry.size)))
    assert "phantom" not in listed[0].label
    assert listed[0].scans == (tmp_path / "1.nii",)


def test_the_record_holds_no_pixels_and_no_patient_tags(worked, volume):
    text = (worked.directory / JOURNAL_NAME).read_text()
    assert "attributes" not in text
    size = sum(file.stat().st_size for file in worked.directory.rglob("*") if file.is_file())
    assert size < volume.array.nbytes
