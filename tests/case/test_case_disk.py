"""A disk that is full or cannot be written: one sentence, the change not made, the case as it was."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hemaview.case import Case
from hemaview.case.opening import JOURNAL_NAME
from hemaview.errors import CaseError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits or mounts")

# Paints noise until the disk is full, then checks that what is shown is what is saved, then goes on undoing.
FILL = """
import sys
from pathlib import Path
import numpy as np
from hemaview.case import Case
from hemaview.errors import CaseError
from hemaview.imaging import Geometry, Volume

root, before = Path(sys.argv[1]), sys.argv[2]
exec(before)
geometry = Geometry((64, 64, 16), (1.0, 1.0, 4.0))
heard = []
with Case.create(root) as case:
    case.add_scan(root / "scan.nii", Volume(np.zeros(geometry.shape, np.int16), geometry))
    region = tuple(slice(0, size) for size in geometry.shape)
    rng = np.random.default_rng(0)
    case.changed.connect(heard.append)
    try:
        for number in range(10_000):
            mask = None if case.mask is None else case.mask.array
            changes, length = len(heard), (case.directory / "journal.jsonl").stat().st_size
            case.edit_mask(region, rng.random(geometry.shape) > 0.5, "Brush " + "x" * {padding})
    except CaseError as error:
        print(error)
    assert number > 2
    assert case.mask.array is mask and len(heard) == changes
    assert (case.directory / "journal.jsonl").stat().st_size == length
    shown = case.mask.array, case.undo_text
    directory = case.directory
with Case.open(directory, load_scans=False) as again:
    assert np.array_equal(again.mask.array, shown[0]) and again.undo_text == shown[1] and again.notes == ()
print("consistent")
"""


def _own_mounts() -> bool:
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not _own_mounts(), reason="this machine does not allow private mounts")


@pytest.mark.parametrize("padding", [0, 2000])
def test_a_file_size_limit_refuses_the_change_in_one_sentence(tmp_path, padding):
    # Without padding the patches hit the limit; with it the journal does, in the middle of a line.
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); " + (
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({20_000 if padding else 8_000}, -1))"
    )
    code = FILL.replace("{padding}", str(padding))
    if not padding:
        # The patches grow with the noise, so that the first ones still fit.
        code = code.replace("rng.random(geometry.shape) > 0.5", "rng.random(geometry.shape) < 0.004 * (number + 1)")
    run = subprocess.run([sys.executable, "-c", code, tmp_path, limit], capture_output=True, text=True)
    assert run.stderr == ""
    sentence, verdict = run.stdout.splitlines()
    assert sentence.startswith("The disk with the case")
    assert sentence.endswith("is full, so the change was not made; free some space and repeat it.")
    assert verdict == "consistent"


@needs_mounts
def test_a_full_disk_refuses_the_change_in_one_sentence(tmp_path):
    root = tmp_path / "small"
    root.mkdir()
    script = tmp_path / "fill.py"
    script.write_text(FILL.replace("{padding}", "0"))
    command = f"mount -t tmpfs -o size=512k tmpfs '{root}' && exec '{sys.executable}' '{script}' '{root}' pass"
    run = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True)
    assert run.stderr == ""
    sentence, verdict = run.stdout.splitlines()
    assert "is full, so the change was not made" in sentence
    assert verdict == "consistent"


@needs_mounts
def test_a_read_only_folder_can_be_looked_at_but_not_changed(case, box, answer, tmp_path):
    case.set_box(box)
    case.set_segmentation(answer(box))
    voxels = case.mask.voxel_count
    case.close()
    code = f"""
from pathlib import Path
from hemaview.case import Case
from hemaview.errors import CaseError
with Case.open(Path({str(case.directory)!r}), load_scans=False) as case:
    assert case.read_only and not case.can_undo and case.mask.voxel_count == {voxels}
    print(*case.notes)
    try:
        case.set_box(None)
    except CaseError as error:
        print(error)
    assert case.box is not None
try:
    Case.create(Path({str(case.directory)!r}))
except CaseError as error:
    print(error)
"""
    script = tmp_path / "look.py"
    script.write_text(code)
    command = (
        f"mount --bind '{case.directory}' '{case.directory}' && mount -o remount,bind,ro '{case.directory}' "
        f"&& exec '{sys.executable}' '{script}'"
    )
    run = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True)
    assert run.stderr == ""
    note, refused, unmade = run.stdout.splitlines()
    assert note.startswith("The case lies in a folder that cannot be written")
    assert "cannot be changed here" in refused
    assert "choose another folder for cases" in unmade


def test_no_case_can_be_made_below_a_file(tmp_path):
    Path(tmp_path / "file").write_text("x")
    with pytest.raises(CaseError, match="choose another folder"):
        Case.create(tmp_path / "file")


def test_what_an_interrupted_write_left_behind_is_cleared_away(case):
    case.edit_mask((slice(0, 1), slice(0, 2), slice(0, 2)), np.ones((1, 2, 2), bool), "Brush")
    case.close()
    left = case.directory / "patches" / "0123.99.tmp"
    left.write_bytes(b"half")
    Case.open(case.directory, load_scans=False).close()
    assert not left.exists()
    assert (case.directory / JOURNAL_NAME).exists()
