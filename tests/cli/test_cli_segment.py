"""``hemaview segment`` from a scan to results, and what it says when that is not possible."""

import csv
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

from hemaview.case.sample import load_sample
from hemaview.imaging import LabelMap
from hemaview.imaging.reading import read_scan, write_label_map
from hemaview.segmentation import EngineInfo, Prompt, Segmentation
from hemaview.segmentation.registry import model_records

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and mounts")


class Finds:
    """An engine that finds a given share of the box's slices full, or sends itself Ctrl+C."""

    info = EngineInfo("finds", "A test engine", "CPU", "cd" * 32, "nothing", "Apache-2.0")

    def __init__(self, level: float, interrupt: bool = False) -> None:
        self.level, self.interrupt = level, interrupt

    def segment(self, volume, prompt, *, focus=None, on_slice=None, cancel=None):
        if self.interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            cancel.raise_if_cancelled()
        prompt = Prompt.of(prompt)
        region = prompt.boxes[0].voxel_slices(volume.geometry)
        probability = np.full([part.stop - part.start for part in region], self.level, np.float32)
        confidence = np.full(len(probability), 0.9 if self.level > 0.5 else np.nan, np.float32)
        return Segmentation(probability, region, volume.geometry, prompt, self.info, confidence, 0.1, 0.2)


FIND_EVERYTHING = f"""
import sys
from hemaview.cli import main
from hemaview.segmentation import registry
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_cli_segment import Finds
registry.load_engine = lambda name: Finds(1.0)
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def use_engine(monkeypatch):
    def use(engine):
        monkeypatch.setattr("hemaview.segmentation.registry.load_engine", lambda name: engine)

    return use


def test_a_scan_and_a_box_give_mask_volumes_surface_and_record(run, scan, box, tmp_path, use_engine):
    use_engine(Finds(1.0))
    out = tmp_path / "made" / "result"
    ran = run("segment", scan, "--box", *box, "--out", out)
    assert ran.code == 0
    assert sorted(file.name for file in out.iterdir()) == [
        "haematoma.stl", "mask.nii.gz", "segmentation.json", "volumes.csv",
    ]  # fmt: skip
    mask = nibabel.load(out / "mask.nii.gz")
    assert mask.shape == (96, 96, 30)
    assert np.allclose(mask.affine, nibabel.load(scan).affine)
    voxels = int(np.count_nonzero(np.asanyarray(mask.dataobj)))
    record = json.loads((out / "segmentation.json").read_text())
    assert record["found"]
    assert record["voxels"] == voxels
    assert record["engine"]["name"] == "finds"
    assert record["engine"]["sha256"] == "cd" * 32
    assert record["box_drawn"]["a"] == [float(value) for value in box[:3]]
    direct = record["readings"][0]
    assert direct["method"] == "direct"
    assert direct["value_ml"] == pytest.approx(voxels * 0.016)
    with (out / "volumes.csv").open() as table:
        rows = {row["method"]: row for row in csv.DictReader(table)}
    assert list(rows)[:3] == ["direct", "tada", "corrected"]
    assert float(rows["direct"]["value_mL"]) == pytest.approx(direct["value_ml"], abs=1e-3)
    assert b"SPACE=LPS" in (out / "haematoma.stl").read_bytes()[:80]
    assert ran.out.splitlines()[0].startswith("direct")
    assert str(scan.parent) not in json.dumps(record)


def test_voxel_and_millimetre_boxes_are_the_same_box(run, scan, tmp_path, use_engine):
    use_engine(Finds(1.0))
    run("segment", scan, "--box-voxels", "30", "40", "10", "45", "52", "19", "--out", tmp_path / "voxels")
    # Faces of voxels 30..45, 40..52, 10..19 of a grid of 2 x 2 x 4 mm centred on 0.
    faces = ("-3.6e1", "-1.6e1", "-2.0E+1", "-4.", "+10.0", "20")
    run("segment", scan, "--box", *faces, "--out", tmp_path / "mm")
    first, second = (np.asanyarray(nibabel.load(tmp_path / name / "mask.nii.gz").dataobj) for name in ("voxels", "mm"))
    assert first[30:46, 40:53, 10:20].all()
    assert first.sum() == 16 * 13 * 10
    assert np.array_equal(first, second)


def test_every_kind_of_prompt_reaches_the_engine(run, scan, box, tmp_path, use_engine):
    volume = read_scan(scan)
    mask = np.zeros(volume.geometry.shape, dtype=bool)
    mask[12, 42:50, 33:40] = True
    write_label_map(LabelMap(mask, volume.geometry), tmp_path / "kept.nii.gz")
    asked = []

    class Asked(Finds):
        def segment(self, volume, prompt, **options):
            asked.append(prompt)
            return super().segment(volume, prompt, **options)

    use_engine(Asked(0.9))
    ran = run(
        "segment", scan, "--box", *box, "--box-voxels", "1", "2", "3", "8", "9", "6", "--point", "1.5", "-2", "3",
        "--point-voxels", "35", "45", "12", "-", "--slice-box", "11", "30", "40", "44", "50",
        "--keep-slices", tmp_path / "kept.nii.gz", "--no-stl", "--out", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0
    (prompt,) = asked
    geometry = volume.geometry
    assert list(prompt.boxes[0].corner_a) == [float(value) for value in box[:3]]
    lower, upper = prompt.boxes[1].index_bounds(geometry)
    assert np.allclose(lower, (0.5, 1.5, 2.5))
    assert np.allclose(upper, (8.5, 9.5, 6.5))
    lower, upper = prompt.slice_boxes[0].index_bounds(geometry)
    assert np.allclose((*lower, *upper), (29.5, 39.5, 10.5, 44.5, 50.5, 11.5))
    first, second = prompt.points
    assert (first.position, first.positive) == ((1.5, -2.0, 3.0), True)
    assert np.allclose(geometry.lps_to_index(second.position), (35, 45, 12))
    assert not second.positive
    assert [fixed.k for fixed in prompt.fixed] == [12]
    assert np.array_equal(prompt.fixed[0].mask, mask[12])


def test_json_is_printed_for_scripts(run, scan, box, tmp_path, use_engine):
    use_engine(Finds(1.0))
    ran = run("segment", "--box", *box, "--json", "--quiet", "--no-stl", "--out", tmp_path, scan)
    assert ran.code == 0
    assert ran.err == ""
    assert json.loads(ran.out) == json.loads((tmp_path / "segmentation.json").read_text())
    assert not (tmp_path / "haematoma.stl").exists()


def test_nothing_found_is_told_and_leaves_no_old_surface(run, scan, box, tmp_path, use_engine):
    use_engine(Finds(1.0))
    assert run("segment", scan, "--box", *box, "--out", tmp_path).code == 0
    use_engine(Finds(0.0))
    ran = run("segment", scan, "--box", *box, "--out", tmp_path)
    assert ran.code == 4
    assert ran.sentence.startswith("Nothing was found in the box")
    assert not (tmp_path / "haematoma.stl").exists()
    assert not np.asanyarray(nibabel.load(tmp_path / "mask.nii.gz").dataobj).any()
    assert json.loads((tmp_path / "segmentation.json").read_text())["found"] is False


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (None, "missing.nii.gz"),
        (b"The patient came in at night.\n" * 50, "letter.nii.gz"),
        (b"just text", "letter.txt"),
        (b"", "empty.nii"),
        ("truncated", "head.nii.gz"),
    ],
)
def test_what_is_no_scan_is_refused(run, scan, box, tmp_path, content, name):
    path = tmp_path / name
    if content == "truncated":
        whole = gzip.decompress(scan.read_bytes())
        path.write_bytes(gzip.compress(whole)[: len(gzip.compress(whole)) // 2])
    elif content is not None:
        path.write_bytes(content)
    ran = run("segment", path, "--box", *box, "--out", tmp_path / "out")
    assert ran.code == 3
    assert len(ran.sentence) > 20
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("corners", "says"),
    [
        (("900", "900", "900", "950", "950", "950"), "outside the scan"),
        (("-10", "-10", "-10", "-10", "20", "20"), "no area"),
        (("-10", "-10", "-10", "-10", "-10", "-10"), "no area"),
    ],
)
def test_a_box_that_cannot_be_used_is_refused(run, scan, tmp_path, corners, says):
    ran = run("segment", scan, "--box", *corners, "--out", tmp_path)
    assert ran.code == 4
    assert says in ran.sentence


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("head.nii",),
        ("head.nii", "--box", "1", "2", "3", "--out", "x"),
        ("head.nii", "--box", "1", "2", "3", "4", "5", "six", "--out", "x"),
        ("head.nii", "--box", "1", "2", "3", "4", "5", "nan", "--out", "x"),
        ("head.nii", "--box", "1", "2", "3", "4", "5", "6"),
        ("head.nii", "--out", "x"),
        ("head.nii", "--point", "1", "2", "--out", "x"),
        ("head.nii", "--point", "1", "2", "3", "?", "--out", "x"),
        ("head.nii", "--slice-box", "1", "2", "3", "4", "--out", "x"),
        ("head.nii", "--what"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(run, arguments):
    ran = run("segment", *arguments)
    assert ran.code == 2
    assert "hemaview segment --help" in ran.sentence


def test_an_unknown_engine_is_refused_with_the_known_ones(run, scan, box, tmp_path):
    ran = run("segment", scan, "--box", *box, "--engine", "magic", "--out", tmp_path)
    assert ran.code == 5
    assert '"magic"' in ran.sentence
    assert "compact" in ran.sentence


def test_an_altered_model_is_refused(run, scan, box, tmp_path, own_models):
    weights = own_models / model_records()[0].files[-1].path
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    ran = run("segment", scan, "--box", *box, "--out", tmp_path)
    assert ran.code == 5
    assert "has changed" in ran.sentence
    weights.unlink()
    ran = run("segment", scan, "--box", *box, "--out", tmp_path)
    assert ran.code == 5
    assert "missing" in ran.sentence


def test_results_that_cannot_be_written_are_told(run, scan, box, tmp_path, use_engine):
    use_engine(Finds(1.0))
    (tmp_path / "file").write_text("x")
    ran = run("segment", scan, "--box", *box, "--out", tmp_path / "file" / "out")
    assert ran.code == 6
    assert "choose another" in ran.sentence


@posix
def test_a_full_disk_is_told(scan, box, tmp_path):
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("this machine does not allow private mounts")
    (tmp_path / "out").mkdir()
    script = tmp_path / "segment.py"
    script.write_text(FIND_EVERYTHING)
    command = (
        f"mount -t tmpfs -o size=4k tmpfs '{tmp_path}/out' && exec '{sys.executable}' '{script}' "
        f"segment '{scan}' --box {' '.join(box)} --out '{tmp_path}/out'"
    )
    ran = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True)
    assert ran.returncode == 6
    assert ran.stderr.splitlines()[-1].startswith("hemaview: ")
    assert "disk is full" in ran.stderr


@posix
def test_control_c_during_the_segmentation_ends_in_good_order(run, scan, box, tmp_path, use_engine):
    use_engine(Finds(1.0, interrupt=True))
    ran = run("segment", scan, "--box", *box, "--out", tmp_path / "out")
    assert ran.code == 130
    assert ran.sentence == "Cancelled; nothing was changed."
    assert list((tmp_path / "out").iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@posix
def test_control_c_ends_a_real_process_with_one_sentence(scan, box, tmp_path):
    out = tmp_path / "out"
    child = subprocess.Popen(
        [sys.executable, "-m", "hemaview", "segment", scan, "--box", *box, "--out", out],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not out.exists():
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    printed, said = child.communicate()
    assert child.returncode == 130
    assert said == "hemaview: Cancelled; nothing was changed.\n"
    assert printed == ""
    assert list(out.iterdir()) == []


def test_an_unexpected_error_leaves_a_report_without_the_patient(run, scan, box, tmp_path, monkeypatch):
    def fails(*arguments, **named):
        raise RuntimeError("Smith, John, born 1950")

    monkeypatch.setattr("hemaview.case.headless.segment_scan", fails)
    ran = run("segment", scan, "--box", *box, "--out", tmp_path)
    assert ran.code == 1
    assert "unexpected error (RuntimeError)" in ran.sentence
    report = ran.sentence.rsplit(" in ", 1)[1].removesuffix(".")
    text = Path(report).read_text(encoding="utf-8")
    assert "builtins.RuntimeError" in text
    assert "hemaview.cli:" in text
    assert "Smith" not in text
    assert "Smith" not in ran.err


def test_the_sample_phantom_from_a_shell(tmp_path):
    sample = load_sample()
    corners = [f"{value:.3f}" for value in (*sample.box.corner_a, *sample.box.corner_b)]
    ran = subprocess.run(
        [sys.executable, "-m", "hemaview", "segment", sample.scan, "--box", *corners, "--out", tmp_path],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    record = json.loads((tmp_path / "segmentation.json").read_text())
    assert record["readings"][0]["value_ml"] == pytest.approx(sample.true_volume_ml, rel=0.25)
    truth = np.asanyarray(nibabel.load(sample.truth).dataobj) > 0
    found = np.asanyarray(nibabel.load(tmp_path / "mask.nii.gz").dataobj) > 0
    assert 2 * np.count_nonzero(truth & found) / (truth.sum() + found.sum()) > 0.8


def test_the_kind_of_scan_is_shown_as_a_guess_and_can_be_said(run, scan, box, tmp_path, use_engine):
    use_engine(Finds(1.0))
    ran = run("segment", scan, "--box", *box, "--out", tmp_path, "--no-stl")
    assert "note: The scan is taken for: other MR (a guess that --sequence changes: " in ran.err
    record = json.loads((tmp_path / "segmentation.json").read_text())
    assert (record["scan"]["sequence"], record["scan"]["sequence_certain"]) == ("other MR", False)
    assert not any("too large" in warning for reading in record["readings"] for warning in reading["warnings"])

    ran = run("segment", scan, "--box", *box, "--out", tmp_path, "--no-stl", "--sequence", "SWI")
    assert "taken for: SWI (known: chosen by the user)" in ran.err
    assert "too large" in ran.out, "the warning stands beside the numbers"
    record = json.loads((tmp_path / "segmentation.json").read_text())
    assert (record["scan"]["sequence"], record["scan"]["modality"]) == ("SWI", "MR")

    ran = run("segment", scan, "--box", *box, "--out", tmp_path, "--no-stl", "--sequence", "ct")
    assert "not in HU" in ran.err
    assert json.loads((tmp_path / "segmentation.json").read_text())["scan"]["modality"] == "CT"


def test_an_unknown_kind_of_scan_is_wrong_use_and_names_the_kinds(run, scan, box, tmp_path):
    ran = run("segment", scan, "--box", *box, "--out", tmp_path, "--sequence", "t9")
    assert ran.code == 2
    assert "t2star" in ran.err
    assert "ct-contrast" in ran.err
