"""The index of headers: what is remembered, what is noticed, and that it never stands in the way."""

import os
import shutil
import sqlite3
import zlib

import pytest

from hemaview.errors import Cancelled
from hemaview.imaging.catalogue import ScanIndex, scan_paths
from hemaview.imaging.reading.sources import Source


@pytest.fixture
def index(tmp_path):
    return ScanIndex(tmp_path / "cache" / "scans.sqlite")


@pytest.fixture
def opened(monkeypatch):
    """The names of the files whose bytes are read."""
    names = []
    really_open = Source.open

    def counted(source):
        names.append(source.name)
        return really_open(source)

    monkeypatch.setattr(Source, "open", counted)
    return names


def test_the_second_look_reads_no_file_and_finds_the_same(dicom_series, ct_values, index, opened):
    folder = dicom_series(ct_values)
    (folder / "junk.txt").write_text("x" * 200)
    first = scan_paths([folder], index=index)
    assert opened
    opened.clear()
    second = scan_paths([folder], index=index)
    assert opened == []
    assert second == first
    assert [item.preview for item in second] == [item.preview for item in first]


def test_a_zip_is_remembered_too(dicom_series, ct_values, index, tmp_path, opened):
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", dicom_series(ct_values))
    first = scan_paths([archive], index=index)
    opened.clear()
    assert scan_paths([archive], index=index) == first
    assert opened == []


def test_only_new_and_changed_files_are_read(dicom_series, ct_values, index, opened):
    folder = dicom_series(ct_values)
    scan_paths([folder], index=index)
    changed, gone, *_ = sorted(folder.iterdir())
    gone.unlink()
    os.utime(changed, ns=(1, 1))
    shutil.copy(changed, folder / "new")
    opened.clear()
    found = scan_paths([folder], index=index)
    assert set(opened) == {changed.name, "new"}
    assert found.files == len(ct_values)


def test_a_cancelled_scan_keeps_what_it_read(dicom_series, ct_values, index, opened):
    folder = dicom_series(ct_values)

    def stop(done, total):
        if done == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        scan_paths([folder], index=index, progress=stop)
    opened.clear()
    scan_paths([folder], index=index)
    assert len(set(opened)) == len(ct_values) - 4


def test_nothing_in_it_says_who_the_patient_is_or_where_the_files_lie(dicom_series, ct_values, index):
    def name(dataset, _):
        dataset.PatientID, dataset.PatientBirthDate, dataset.AccessionNumber = "No4711", "19500131", "ACC77"
        dataset.StudyDescription = dataset.ProtocolName = "Secret protocol"

    folder = dicom_series(ct_values, folder="Person_Secret", edit=name)
    scan_paths([folder], index=index)
    rows = sqlite3.connect(index.path).execute("SELECT place, look FROM file").fetchall()
    assert len(rows) == len(ct_values)
    for place, look in rows:
        text = place + zlib.decompress(look)
        assert b"ORIGINAL" in text
        for secret in ("Secret", "Person", "No4711", "19500131", "ACC77", *(file.name for file in folder.iterdir())):
            assert secret.encode() not in text


def test_an_index_of_another_form_is_begun_anew(dicom_series, ct_values, index):
    folder = dicom_series(ct_values)
    first = scan_paths([folder], index=index)
    with sqlite3.connect(index.path) as connection:
        connection.execute("UPDATE form SET text = 'older'")
        connection.execute("UPDATE file SET look = x'00'")
    assert scan_paths([folder], index=index) == first
    rows = sqlite3.connect(index.path).execute("SELECT look FROM file").fetchall()
    assert len(rows) == len(ct_values)
    assert (b"\0",) not in rows


@pytest.mark.parametrize("damage", ["garbage", "row", "folder", "table"])
def test_a_damaged_index_is_begun_anew_or_does_without(dicom_series, ct_values, index, opened, damage):
    folder = dicom_series(ct_values)
    expected = scan_paths([folder], index=index)
    if damage == "garbage":
        index.path.write_bytes(b"no database" * 1000)
    elif damage == "row":
        with sqlite3.connect(index.path) as connection:
            connection.execute("UPDATE file SET look = x'0102'")
    elif damage == "table":
        with sqlite3.connect(index.path) as connection:
            connection.execute("DROP TABLE file")
    else:
        index.path.unlink()
        index.path.mkdir()
    assert scan_paths([folder], index=index) == expected
    opened.clear()
    assert scan_paths([folder], index=index) == expected
    assert opened == [] or damage == "folder"


def test_a_locked_index_only_makes_it_slower(dicom_series, ct_values, index):
    folder = dicom_series(ct_values)
    expected = scan_paths([folder], index=index)
    holder = sqlite3.connect(index.path)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert scan_paths([folder], index=index) == expected
    finally:
        holder.close()


def test_forgetting_begins_anew(dicom_series, ct_values, index, opened):
    folder = dicom_series(ct_values)
    scan_paths([folder], index=index)
    index.clear()
    opened.clear()
    scan_paths([folder], index=index)
    assert len(set(opened)) == len(ct_values)
