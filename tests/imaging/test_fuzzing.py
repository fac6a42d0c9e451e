"""Damaged and lying files: one sentence or the truth, never a crash, a hang, a full memory or an invented grid."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import RLELossless

from hemaview.errors import HemaviewError
from hemaview.imaging.reading import read_scan

sys.path.insert(0, str(Path(__file__).parent))

import fuzzing.trial
from format_writers import write_par, write_volume
from fuzzing.mutants import mutants
from fuzzing.statements import states
from fuzzing.subjects import report_on
from fuzzing.trial import End, Limits, try_reading

needs_fork = pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="forks with limits")

AFFINE = np.diag([-0.7, 0.8, 5.0, 1.0])
FORMATS = ("s.nii", "s.nii.gz", "p.hdr", "s.mgz", "s.nrrd", "s.mha", "s.mnc1", "s.mnc2", "s.HEAD", "s.PAR", "s.dcm")
STATING = ("s.nii", "s.nii.gz", "s.mgz", "s.nrrd", "s.mha", "s.HEAD", "s.dcm")
"""Formats whose voxel size the tests can read by themselves."""


@pytest.fixture
def whole_file(tmp_path, dicom_series):
    """``whole_file(name)`` writes a small scan in the format of that name and returns its path."""
    values = np.random.default_rng(0).integers(1, 900, (9, 8, 6)).astype(np.int16)

    def write(name):
        if name == "s.PAR":
            write_par(tmp_path / name, values[..., None])
        elif name == "s.dcm":
            folder = dicom_series(values[:1], modality="MR", folder=f"of {name}")
            return next(folder.iterdir()).rename(folder / name)
        else:
            write_volume(tmp_path / name, values, AFFINE)
        return tmp_path / name

    return write


def _is_one_sentence(error):
    text = str(error)
    return text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) < 400


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(name=st.sampled_from(FORMATS), seed=st.integers(0, 10_000))
def test_damaged_files_are_refused_in_a_sentence_or_read_as_they_say(whole_file, name, seed):
    path = whole_file(name)
    whole = path.read_bytes()
    for mutant in mutants(whole, 7, seed):
        path.write_bytes(mutant.data)
        try:
            volume = read_scan(path)
        except HemaviewError as error:
            assert _is_one_sentence(error), (mutant.kind, str(error))
        else:
            assert np.all(np.isfinite(volume.array))
            if volume.not_measurable is None:
                assert states(path, volume.geometry.spacing, volume.geometry.size[2]) is not False, mutant.kind
    path.write_bytes(whole)
    assert read_scan(path).geometry.size[:2] == (9, 8) or name == "s.dcm"


@pytest.mark.parametrize("name", STATING)
def test_the_tests_own_reading_of_voxel_sizes_finds_them(whole_file, name):
    path = whole_file(name)
    geometry = read_scan(path).geometry
    assert states(path, geometry.spacing, geometry.size[2]) is True
    assert states(path, (geometry.spacing[0] * 1.1, *geometry.spacing[1:]), geometry.size[2]) is False


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(name=st.sampled_from(["s.nii", "s.dcm"]), seed=st.integers(0, 10_000))
def test_damage_to_voxels_moves_nothing_and_stays_where_it_is(whole_file, name, seed):
    path = whole_file(name)
    data = path.read_bytes()
    whole = read_scan(path)
    at = len(data) - whole.array.size * 2
    for mutant in mutants(data, 16, seed, pixels_at=at):
        if mutant.kind == "pixels":
            path.write_bytes(mutant.data)
            bent = read_scan(path)
            assert bent.geometry == whole.geometry
            assert 0 < np.count_nonzero(bent.array != whole.array) <= 64
    path.write_bytes(data)


def _lying(data, name):
    """A header that claims a size of many terabytes, or a count no file holds."""
    bent = bytearray(data)
    if name == "s.nii":
        bent[42:48] = np.array([30000] * 3, "<i2").tobytes()
    elif name == "s.mgz":
        bent[4:16] = np.array([30000] * 3, ">i4").tobytes()
    elif name == "s.dcm":
        for tag in (b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x11\x00US\x02\x00"):
            place = bent.index(tag) + len(tag)
            bent[place : place + 2] = b"\xff\xff"
    else:
        for old, new in (
            (b"sizes: 9 8 6", b"sizes: 30000 30000 30000"),
            (b"DimSize = 9 8 6", b"DimSize = 30000 30000 30000"),
            (b"\n9 8 6 0 0", b"\n30000 30000 30000 0 0"),
        ):
            bent = bent.replace(old, new)
    assert bent != data
    return bytes(bent)


@needs_fork
@pytest.mark.parametrize("name", STATING)
@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_claims_too_much_takes_no_memory(whole_file, name, packed):
    path = whole_file(name.removesuffix(".gz"))
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    lie = _lying(data, path.name)
    path.write_bytes(gzip.compress(lie) if packed else lie)
    trial = try_reading(path, Limits(seconds=10, memory=1024))
    assert trial.end is End.REFUSED, trial.text
    assert trial.memory < 100


@needs_fork
def test_a_number_of_frames_that_no_file_holds_takes_no_memory(whole_file):
    path = whole_file("s.dcm")
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless)
    dataset.NumberOfFrames = 100_000
    dataset.save_as(path)
    trial = try_reading(path, Limits(memory=1024))
    assert trial.end is End.REFUSED
    assert "100000 frames" in trial.text
    assert trial.memory < 20


@needs_fork
def test_zeros_behind_a_damaged_header_are_not_walked_through(dicom_series):
    folder = dicom_series(np.zeros((1, 4096, 4096), np.int16), modality="MR")
    path = next(folder.iterdir())
    data = path.read_bytes()
    place = data.rindex(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(data[:place] + b"\xe0\x7f\x11\x00UN\0\0\0\0\0\0" + data[place + 12 :])
    trial = try_reading(path, Limits(seconds=3))
    assert trial.end is End.REFUSED, trial.text


def test_the_text_of_a_damaged_element_reaches_no_sentence(whole_file):
    path = whole_file("s.dcm")
    data = path.read_bytes()
    place = data.index(b"\x08\x00\x60\x00CS")
    # The element Modality swallows all that follows, the patient's name included.
    length = (len(data) - place - 8) & 0xFFFE
    path.write_bytes(data[: place + 6] + length.to_bytes(2, "little") + data[place + 8 :])
    with pytest.raises(HemaviewError) as refusal:
        read_scan(path)
    assert _is_one_sentence(refusal.value)
    assert "Secret" not in str(refusal.value)


@needs_fork
@pytest.mark.parametrize(
    ("fault", "end"),
    [
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), End.CRASHED),
        (lambda _: time.sleep(60), End.HUNG),
        (lambda _: bytearray(4 << 30), End.MEMORY),
        (lambda _: {}["x"], End.ERROR),
        (lambda _: (_ for _ in ()).throw(HemaviewError("two\nlines")), End.BAD_SENTENCE),
    ],
)
def test_a_trial_tells_every_kind_of_fault(whole_file, monkeypatch, fault, end):
    monkeypatch.setattr(fuzzing.trial, "read_scan", fault)
    assert try_reading(whole_file("s.nii"), Limits(seconds=1, patience=1, memory=1024)).end is end


@needs_fork
def test_a_report_tells_an_invented_spacing(whole_file, monkeypatch, tmp_path):
    other = read_scan(
        write_volume(tmp_path / "other.nii", np.arange(24, dtype=np.int16).reshape(2, 3, 4), AFFINE * 1.1)
    )
    monkeypatch.setattr(fuzzing.trial, "read_scan", lambda _: other)
    assert report_on(whole_file("s.nii"), "s.nii", 7, 1, Limits()).ends["wrong result"] >= 5


@needs_fork
def test_a_series_with_one_damaged_file_has_its_slices_where_the_files_say(dicom_series):
    values = np.random.default_rng(0).integers(1, 900, (7, 8, 9)).astype(np.int16)
    folder = dicom_series(values, step=(0.5, 0.0, 4.0))
    report = report_on(folder, "series", 24, 2, Limits())
    assert report.faults == (), report.faults
    assert report.ends["opened"] > 5


@needs_fork
def test_a_report_tells_a_slice_at_an_invented_place(dicom_series, monkeypatch):
    values = np.random.default_rng(0).integers(1, 900, (7, 8, 9)).astype(np.int16)
    elsewhere = read_scan(dicom_series(values, step=(0.0, 0.0, 4.0), folder="elsewhere"))
    monkeypatch.setattr(fuzzing.trial, "read_scan", lambda _: elsewhere)
    assert report_on(dicom_series(values), "series", 4, 2, Limits()).ends == {"wrong result": 4}


def test_mutants_are_the_same_for_the_same_seed(whole_file):
    for name in ("s.nii", "s.nii.gz", "s.dcm"):
        data = whole_file(name).read_bytes()
        first, again, other = ([m.data for m in mutants(data, 20, seed)] for seed in (5, 5, 6))
        assert first == again
        assert first != other
        assert sum(m != data for m in first) > 15


@needs_fork
def test_the_command_writes_a_table_and_its_facts(whole_file, tmp_path):
    folder = whole_file("s.nrrd").parent
    command = [sys.executable, str(Path(__file__).with_name("fuzz_readers.py")), str(folder), "--mutants", "6"]
    command += ["--json", str(tmp_path / "facts.json"), "--table", str(tmp_path / "table.md")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert [(f["whole"]["end"], f["whole"]["size"], f["faults"]) for f in facts] == [("opened", [9, 8, 6], [])]
    assert sum(facts[0]["ends"].values()) == 6
    assert "9x8x6, 0.7x0.8x5" in (tmp_path / "table.md").read_text()


REAL = [
    "odd_files/nibabel/small.mnc", "odd_files/nibabel/minc1_4d.mnc", "odd_files/nibabel/test.mgz",
    "odd_files/nibabel/example4d+orig.HEAD", "odd_files/nibabel/phantom_EPI_asc_CLEAR_2_1.PAR",
    "odd_files/nibabel/standard.nii.gz",
    "odd_files/nifti_niivue/ras.hdr",
    "odd_files/dicom_pydicom/MR_small.dcm", "odd_files/dicom_pydicom/MR_small_RLE.dcm",
    "odd_files/dicom_pydicom/MR_small_jp2klossless.dcm", "odd_files/dicom_pydicom/MR_small_bigendian.dcm",
    "odd_files/dicom_pydicom/rtdose.dcm", "odd_files/dicom_pydicom_data/emri_small_RLE.dcm",
    "odd_files/dicom_transfer_syntaxes_siemens/5.dcm",
]  # fmt: skip


@needs_fork
@pytest.mark.parametrize("name", REAL)
def test_damaged_copies_of_real_files_have_no_fault(shared_data, name):
    report = report_on(shared_data / name, name, 8, 3, Limits())
    assert report.faults == ()
    assert sum(report.ends.values()) == 8
