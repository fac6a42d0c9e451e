"""Zips, and files that are empty, cut off, of the wrong kind or hostile: one sentence, never a crash."""

import errno
import gzip
import os
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from hemaview.errors import HemaviewError, ScanError
from hemaview.imaging import Volume
from hemaview.imaging.catalogue import scan_paths
from hemaview.imaging.reading import Verdict, list_series, read_label_map, read_scan

UNREADABLE = Path("/proc/self/mem")
"""Opens like any file and fails when its first bytes are read."""


@pytest.fixture
def nifti(tmp_path):
    values = np.random.default_rng(0).integers(0, 900, (8, 9, 10)).astype(np.int16)
    path = tmp_path / "scan.nii.gz"
    nib.save(nib.Nifti1Image(values, np.diag([1, 2, 3, 1])), path)
    return path


def _zip(path, entries, **kwargs):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data, **kwargs)
    return path


def _check_sentence(error: HemaviewError):
    text = str(error)
    assert text.endswith(".")
    assert "\n" not in text
    assert "Traceback" not in text
    assert len(text) < 400


def test_a_zip_of_a_dicom_folder_reads_like_the_folder(tmp_path, dicom_series, ct_values):
    folder = dicom_series(ct_values)
    entries = {f"deep/er/{p.name}": p.read_bytes() for p in folder.iterdir()}
    path = _zip(tmp_path / "scan.zip", {**entries, "README.txt": b"hello", "__MACOSX/deep/._x.dcm": b"junk"})
    volume = read_scan(path)
    assert np.array_equal(volume.array, ct_values)
    assert volume.geometry.matches(read_scan(folder).geometry)
    assert volume.notes == ()
    assert [s.images for s in list_series(path)] == [6]


def _dicom(dicom_series):
    folder = dicom_series(np.arange(60, dtype=np.int16).reshape(2, 5, 6))
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_a_zip_may_hold_one_scan_of_another_format(tmp_path, nifti, dicom_series):
    volume = read_scan(_zip(tmp_path / "scan.zip", {"folder/scan.nii.gz": nifti.read_bytes(), "notes.txt": b"x"}))
    assert np.array_equal(volume.array, read_scan(nifti).array)
    assert volume.name == "scan"
    image = nib.Nifti1Pair(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    nib.save(image, tmp_path / "pair.hdr")
    pair = {p.name: p.read_bytes() for p in (tmp_path / "pair.hdr", tmp_path / "pair.img")}
    assert read_scan(_zip(tmp_path / "pair.zip", pair)).geometry.size == (2, 3, 4)
    assert read_scan(_zip(tmp_path / "both.zip", {**pair, **_dicom(dicom_series)})).geometry.size == (6, 5, 2)
    two = {"a.nii.gz": nifti.read_bytes(), "b.nii.gz": nifti.read_bytes()}
    with pytest.raises(ScanError, match=r"'a\.nii\.gz', 'b\.nii\.gz'"):
        read_scan(_zip(tmp_path / "two.zip", two))


def test_several_scans_in_a_zip_are_listed_and_each_opens(tmp_path, nifti):
    values = np.random.default_rng(5).integers(0, 900, (3, 4, 5, 2)).astype(np.int16)
    other = tmp_path / "other.nii"
    nib.save(nib.Nifti1Image(values, np.diag([2, 3, 4, 1])), other)
    inside = {"a/scan.nii.gz": nifti.read_bytes(), "b/scan.nii": other.read_bytes(), "b/bad.nii.gz": b"\x1f\x8bjunk"}
    path = _zip(tmp_path / "several.zip", inside)
    listed = {s.uid: s.verdict for s in list_series(path)}
    assert listed == {
        "a/scan.nii.gz#1": Verdict.MEASURABLE, "b/bad.nii.gz#1": Verdict.REFUSED,
        "b/scan.nii#1": Verdict.MEASURABLE, "b/scan.nii#2": Verdict.MEASURABLE,
    }  # fmt: skip
    assert np.array_equal(read_scan(path, series_uid="a/scan.nii.gz#1").array, read_scan(nifti).array)
    assert np.array_equal(read_scan(path, series_uid="b/scan.nii#2").array, values[..., 1].T)
    for wrong in ("b/scan.nii#3", "c/scan.nii#1", "b/bad.nii.gz#1", "#1"):
        with pytest.raises(ScanError) as refusal:
            read_scan(path, series_uid=wrong)
        _check_sentence(refusal.value)


def test_a_zip_cannot_write_outside_its_folder(tmp_path, nifti, monkeypatch):
    inner = tmp_path / "work"
    inner.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(inner))
    entries = {"../../scan.nii.gz": nifti.read_bytes(), "..\\..\\scan.txt": b"evil", "/etc/scan.txt": b"evil"}
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    archive = _zip(tmp_path / "evil.zip", entries)
    assert read_scan(archive).geometry.size == (8, 9, 10)
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == before | {archive}


def test_a_zip_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    _zip(path, {"a.dcm": b"\0" * 1000})
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        where = data.index(signature) + at
        data[where : where + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ScanError, match="too much"):
        read_scan(path)


def test_other_zips_are_refused_with_a_sentence(tmp_path):
    with pytest.raises(ScanError, match="no DICOM image"):
        read_scan(_zip(tmp_path / "text.zip", {"a.txt": b"hello"}))
    with pytest.raises(ScanError, match="no DICOM image"):
        read_scan(_zip(tmp_path / "empty.zip", {}))
    path = _zip(tmp_path / "locked.zip", {"a.dcm": b"\0" * 500})
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + at] |= 1
    path.write_bytes(data)
    with pytest.raises(ScanError, match="password"):
        read_scan(path)


def test_a_zip_in_a_zip_or_folder_is_named(tmp_path, dicom_series):
    (tmp_path / "folder").mkdir()
    inner = _zip(tmp_path / "folder" / "inner.zip", _dicom(dicom_series))
    outer = _zip(tmp_path / "outer.zip", {"inner.zip": inner.read_bytes(), "letter.txt": b"hello"})
    with pytest.raises(ScanError, match=r"holds another zip \('inner\.zip'\); unpack it"):
        read_scan(outer)
    with pytest.raises(ScanError, match=r"open one of its files instead, for example 'inner\.zip'"):
        read_scan(inner.parent)


def test_a_gzipped_dicom_file_is_read(tmp_path, dicom_series, ct_values):
    folder = dicom_series(ct_values)
    for path in list(folder.iterdir()):
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert np.array_equal(read_scan(folder).array, ct_values)
    assert np.array_equal(read_scan(next(folder.iterdir())).array, ct_values)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.dcm", "a.zip", "a.hdr", "a"])
def test_empty_and_wrong_files_get_one_sentence(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(ScanError, match="does not exist") as refusal:
        read_scan(path)
    _check_sentence(refusal.value)
    path.write_bytes(b"")
    with pytest.raises(ScanError, match="empty") as refusal:
        read_scan(path)
    _check_sentence(refusal.value)
    for junk in (b"hello", b"\x1f\x8b", b"\x1f\x8b" + b"x" * 400, b"PK\x03\x04" + b"x" * 400, os.urandom(5000)):
        path.write_bytes(junk)
        for read in (read_scan, read_label_map):
            with pytest.raises(ScanError) as refusal:
                read(path)
            _check_sentence(refusal.value)


def test_folders_without_a_scan_get_one_sentence(tmp_path, nifti):
    with pytest.raises(ScanError, match=r"open one of its files instead.*scan\.nii\.gz"):
        read_scan(tmp_path)
    nifti.unlink()
    with pytest.raises(ScanError, match="empty"):
        read_scan(tmp_path)
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(ScanError, match="no DICOM image"):
        read_scan(tmp_path)


def test_pipes_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.nii")
    with pytest.raises(ScanError, match="not a file"):
        read_scan(tmp_path / "pipe.nii")


@pytest.mark.skipif(not UNREADABLE.exists(), reason="no file that opens and cannot be read on this system")
def test_a_file_that_cannot_be_read_is_left_out_and_named(dicom_series, ct_values):
    """As on a scratched disc; the other slices keep their places."""
    folder = dicom_series(ct_values, shuffle=False)
    lost = folder / "IM0003.dcm"
    lost.unlink()
    lost.symlink_to(UNREADABLE)
    volume = read_scan(folder)
    assert volume.geometry.slice_places_mm == pytest.approx((0, 5, 10, 20, 25))
    assert "'IM0003.dcm' could not be opened, so slices may be missing." in volume.notes
    assert any("1 slice is missing" in note for note in volume.notes)
    assert [series.images for series in list_series(folder)] == [5]
    [item] = [item for patient in scan_paths([folder]).patients for s in patient.studies for item in s.series]
    assert item.files == 5
    for path in folder.iterdir():
        path.unlink()
    lost.symlink_to(UNREADABLE)
    with pytest.raises(ScanError, match=r"'IM0003\.dcm' cannot be read"):
        read_scan(folder)


def test_a_folder_that_cannot_be_looked_into_hides_no_other(dicom_series, ct_values, monkeypatch):
    """As "System Volume Information" at the top of a stick."""
    folder = dicom_series(ct_values)
    (folder / "closed").mkdir()
    scandir = os.scandir

    def denied(path):
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    volume = read_scan(folder)
    assert np.array_equal(volume.array, ct_values)
    assert volume.notes == ("'closed' could not be opened, so slices may be missing.",)


def test_a_file_without_permission_is_named(nifti, monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(ScanError, match="permissions"):
        read_scan(nifti)


def test_a_header_that_claims_too_much_is_refused_without_memory(nifti, tmp_path):
    data = bytearray(gzip.decompress(nifti.read_bytes()))
    data[42:48] = np.array([30000] * 3, "<i2").tobytes()
    for name, content in (("big.nii", data), ("big.nii.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ScanError, match="incomplete"):
            read_scan(tmp_path / name)


def test_a_flipped_bit_in_a_gzipped_scan_is_noticed(nifti):
    data = bytearray(nifti.read_bytes())
    data[len(data) // 2] ^= 0x10
    nifti.write_bytes(data)
    with pytest.raises(ScanError, match="incomplete or damaged"):
        read_scan(nifti)


def _whole_files(tmp_path, dicom_series, nifti):
    values = np.random.default_rng(0).integers(0, 900, (4, 5, 6)).astype(np.int16)
    image = sitk.GetImageFromArray(values)
    plain = tmp_path / "plain.nii"
    plain.write_bytes(gzip.decompress(nifti.read_bytes()))
    paths = [nifti, plain]
    for name, compressed in (("a.nrrd", True), ("b.nrrd", False), ("a.mha", True), ("b.mha", False)):
        sitk.WriteImage(image, str(tmp_path / name), useCompression=compressed)
        paths.append(tmp_path / name)
    folder = dicom_series(values[:1], modality="MR")
    paths.append(next(folder.iterdir()))
    paths.append(_zip(tmp_path / "s.zip", {"x.dcm": paths[-1].read_bytes()}))
    return paths


def test_no_cut_makes_a_scan_of_wrong_values(tmp_path, dicom_series, nifti, capfd):
    for path in _whole_files(tmp_path, dicom_series, nifti):
        data = path.read_bytes()
        whole = read_scan(path)
        target = tmp_path / "cut" / path.name
        target.parent.mkdir(exist_ok=True)
        cuts = np.unique(np.linspace(0, len(data) - 1, 25).astype(int))
        for cut in cuts:
            target.write_bytes(data[:cut])
            try:
                volume = read_scan(target)
            except HemaviewError as error:
                _check_sentence(error)
            else:
                # Only a cut after the last pixel may still open, and then with every value.
                assert np.array_equal(volume.array, whole.array), (path.name, cut, len(data))
        target.unlink()


def test_no_flipped_bytes_crash_a_reader(tmp_path, dicom_series, nifti):
    rng = np.random.default_rng(7)
    for path in _whole_files(tmp_path, dicom_series, nifti):
        data = path.read_bytes()
        target = tmp_path / "bent" / path.name
        target.parent.mkdir(exist_ok=True)
        for _ in range(25):
            bent = bytearray(data)
            for at in rng.integers(0, min(len(bent), 700), 4):
                bent[at] = rng.integers(0, 256)
            target.write_bytes(bent)
            try:
                assert isinstance(read_scan(target), Volume)
            except HemaviewError as error:
                _check_sentence(error)
        target.unlink()
