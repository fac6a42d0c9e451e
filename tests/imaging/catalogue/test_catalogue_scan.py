"""What the catalogue finds in folders, zips, DICOMDIRs and mixtures, and what it leaves out."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.fileset import FileSet
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, generate_uid

from hemaview.errors import Cancelled
from hemaview.imaging.catalogue import Catalogue, SeriesItem, patient_title, scan_paths
from hemaview.imaging.reading import Verdict, read_scan


@pytest.fixture
def examination(dicom_series, ct_values):
    """``examination(folder, patient, study, date)`` writes a series of that patient and study."""

    def write(folder: str, patient: str = "Doe^Jane", study: str = "1.2.3.1", date: str = "20200131", **more) -> Path:
        def edit(dataset, _):
            dataset.PatientName, dataset.PatientID = patient, f"ID-{patient}"
            dataset.PatientBirthDate = "19500131"
            dataset.StudyInstanceUID, dataset.StudyDate = study, date

        return dicom_series(ct_values, folder=folder, edit=edit, **more)

    return write


def write_report(path: Path) -> None:
    """A structured report, as scanners put beside the pictures."""
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.SOPClassUID, report.SOPInstanceUID = ComprehensiveSRStorage, generate_uid()
    report.SeriesInstanceUID, report.Modality = generate_uid(), "SR"
    pydicom.dcmwrite(path, report, enforce_file_format=True)


def only(catalogue: Catalogue) -> SeriesItem:
    """The one series there is."""
    (item,) = catalogue
    return item


def assert_opens(item: SeriesItem, values: np.ndarray) -> None:
    volume = read_scan(item.path, series_uid=item.series_uid)
    assert np.array_equal(volume.array, values)


def test_patients_studies_and_series_are_told_apart(examination, tmp_path):
    for name, patient, study, date in (
        ("a", "Doe^Jane", "1.2.3.1", "20200131"),
        ("b", "Doe^Jane", "1.2.3.1", "20200131"),
        ("c", "Doe^Jane", "1.2.3.2", "20190101"),
        ("d", "Roe^Richard", "1.2.3.3", "20200131"),
    ):
        examination(name, patient, study, date)
    found = scan_paths([tmp_path])
    assert [[(s.date, len(s.series)) for s in p.studies] for p in found.patients] == [
        [("20190101", 1), ("20200131", 2)],
        [("20200131", 1)],
    ]
    assert len({p.key for p in found.patients}) == 2
    assert all(item.summary.verdict is Verdict.MEASURABLE for item in found)


def test_names_are_read_only_when_asked_for(examination):
    folder = examination("a")
    found = scan_paths([folder])
    assert "Doe" not in repr(found)
    assert "Jane" not in repr(found.patients[0].key)
    assert patient_title(found.patients[0]) == "Doe, Jane (ID-Doe^Jane, born 1950-01-31)"


def test_each_series_has_the_narrowest_path_that_opens_it(examination, ct_values, tmp_path):
    first, second = examination("a"), examination("b")
    found = scan_paths([tmp_path])
    assert {item.path for item in found} == {first, second}
    for item in found:
        assert item.files == len(ct_values)
        assert_opens(item, ct_values)


def test_series_whose_files_are_mixed_in_one_folder_open_each_by_its_uid(
    examination, dicom_series, ct_values, tmp_path
):
    mixed = examination("mixed")
    for number, file in enumerate(sorted(examination("other").iterdir())):
        file.rename(mixed / f"other{number}")
    found = scan_paths([mixed])
    assert {item.path for item in found} == {mixed}
    assert len({item.series_uid for item in found}) == 2
    for item in found:
        assert_opens(item, ct_values)


def test_a_series_spread_over_sub_folders_is_one(examination, ct_values, tmp_path):
    folder = examination("parts")
    for number, file in enumerate(sorted(folder.iterdir())):
        part = folder / f"DIR{number % 3}"
        part.mkdir(exist_ok=True)
        file.rename(part / file.name)
    item = only(scan_paths(sorted(folder.iterdir())))
    assert item.path == folder
    assert_opens(item, ct_values)


def test_a_zip_is_looked_into_wherever_it_lies(examination, ct_values, tmp_path):
    shutil.make_archive(str(tmp_path / "cd" / "scans"), "zip", examination("a"))
    for dropped in (tmp_path / "cd", tmp_path / "cd" / "scans.zip"):
        found = scan_paths([dropped])
        item = only(found)
        assert item.path == tmp_path / "cd" / "scans.zip"
        assert item.files == len(ct_values)
        assert_opens(item, ct_values)
        assert patient_title(found.patients[0]).startswith("Doe, Jane")


def test_dropped_paths_of_every_kind_are_listed_together_and_once(examination, ct_values, tmp_path):
    folder = examination("a")
    one_file = next(examination("b").iterdir())
    image = tmp_path / "head.nrrd"
    sitk.WriteImage(sitk.Image(8, 9, 10, sitk.sitkInt16), str(image))
    shutil.make_archive(str(tmp_path / "packed"), "zip", examination("c"))
    found = scan_paths([folder, one_file, image, tmp_path / "packed.zip", next(folder.iterdir()), image])
    assert {item.path for item in found} == {folder, one_file.parent, image, tmp_path / "packed.zip"}
    assert len(list(found)) == 4
    nameless = found.patients[-1]
    assert nameless.key == ""
    assert nameless.studies[0].folder == tmp_path
    assert patient_title(nameless) == ""


def test_junk_is_counted_with_its_reason_and_hides_nothing(examination, ct_values, tmp_path):
    folder = examination("cd")
    (folder / "AUTORUN.INF").write_text("[autorun]\nopen=viewer.exe\n")
    (folder / "viewer.exe").write_bytes(b"MZ" + bytes(5000))
    (folder / "nothing").touch()
    (folder / "broken.dcm").write_bytes(b"text that is no DICOM")
    cut = sorted(folder.iterdir())[-1].read_bytes()[:400]
    (folder / "cut.dcm").write_bytes(cut)
    (folder / "broken.zip").write_bytes(b"PK\x03\x04" + bytes(50))
    write_report(folder / "report")
    found = scan_paths([folder])
    counts = {left.reason: left.count for left in found.left_out}
    assert counts == {"not a scan": 2, "empty (0 bytes)": 1, "damaged or cut off": 2}
    assert any("broken.zip" in note for note in found.notes)
    by_verdict = {item.summary.verdict: item for item in found}
    assert set(by_verdict) == {Verdict.MEASURABLE, Verdict.REFUSED}
    assert "SR" in by_verdict[Verdict.REFUSED].summary.reason
    assert_opens(by_verdict[Verdict.MEASURABLE], ct_values)


def test_files_a_dicomdir_lists_and_nobody_copied_are_said_and_unlisted_ones_are_found(
    examination, ct_values, tmp_path
):
    def with_root(folder):
        for file in folder.iterdir():
            dataset = pydicom.dcmread(file)
            dataset.StudyID, dataset.StudyTime = "1", "120000"
            dataset.save_as(file)
        return folder

    medium = FileSet()
    for file in with_root(examination("listed")).iterdir():
        medium.add(file)
    medium.write(tmp_path / "cd")
    shutil.move(examination("unlisted"), tmp_path / "cd" / "unlisted")
    listed = sorted(file for file in (tmp_path / "cd").glob("PT*/**/*") if file.is_file())
    listed[-1].unlink()
    for dropped in (tmp_path / "cd", tmp_path / "cd" / "DICOMDIR"):
        found = scan_paths([dropped])
        assert len(list(found)) == 2
        (note,) = found.notes
        assert "lists 1 file that is not there" in note
        assert found.left_out == ()
    (tmp_path / "cd" / "DICOMDIR").write_bytes((tmp_path / "cd" / "DICOMDIR").read_bytes()[:600])
    assert len(list(scan_paths([tmp_path / "cd"]))) == 2


def test_scans_outside_dicom_are_listed_by_folder_and_a_pair_once(tmp_path):
    image = sitk.Image(8, 9, 10, sitk.sitkInt16)
    for name in ("one/head.nii.gz", "one/pair.hdr", "two/head.mha"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        sitk.WriteImage(image, str(tmp_path / name))
    assert (tmp_path / "one" / "pair.img").exists()
    (tmp_path / "two" / "cut.nii").write_bytes(b"too short")
    found = scan_paths([tmp_path])
    (files,) = found.patients
    assert [study.folder.name for study in files.studies] == ["one", "two"]
    listed = {item.path.name: item.summary for item in found}
    assert set(listed) == {"head.nii.gz", "pair.hdr", "head.mha", "cut.nii"}
    assert listed["cut.nii"].verdict is Verdict.REFUSED
    assert "cut.nii" in listed["cut.nii"].reason
    for name in ("head.nii.gz", "head.mha"):
        assert listed[name].size == (8, 9, 10)


def test_a_zip_of_one_nifti_is_listed_as_the_zip(tmp_path):
    path = tmp_path / "head.nii"
    values = np.arange(720, dtype=np.int16).reshape(10, 9, 8)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.write(path, "deep/inside/head.nii")
    item = only(scan_paths([tmp_path / "packed.zip"]))
    assert item.path == tmp_path / "packed.zip"
    assert read_scan(item.path, series_uid=item.series_uid).geometry.size == item.summary.size == (8, 9, 10)


def test_progress_counts_every_file_and_can_stop_the_scan(examination):
    folder = examination("a")
    heard = []
    scan_paths([folder], progress=lambda done, total: heard.append((done, total)))
    counted = [pair for pair in heard if pair[1]]
    assert counted == [(n, 6) for n in range(1, 7)]
    assert (0, 0) in heard

    def stop(done, total):
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        scan_paths([folder], progress=stop)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs files that cannot be opened")
def test_what_cannot_be_opened_is_said(examination, tmp_path):
    examination("a")
    (tmp_path / "closed").mkdir(mode=0o000)
    found = scan_paths([tmp_path, tmp_path / "gone"])
    assert len(list(found)) == 1
    assert any("closed" in note for note in found.notes)


def test_a_path_that_is_not_there_is_said_and_the_others_are_listed(examination, tmp_path):
    found = scan_paths([tmp_path / "gone", examination("a")])
    assert len(list(found)) == 1
    assert "'gone'" in found.notes[0]
    assert list(scan_paths([])) == []
