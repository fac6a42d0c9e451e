"""De-identified DICOM: nothing of the patient is left in any byte, and the scan is the same scan."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from hemaview.errors import Cancelled, ExportError, ScanError
from hemaview.imaging.reading import list_series, read_scan
from hemaview.interchange.dates import Dates
from hemaview.interchange.deidentify import deidentify

NAME, NUMBER, BORN, ACCESSION = "Mustermann^Erika", "PAT-471123", "19510817", "ACC998877"
PHYSICIAN, HOSPITAL, SCANNED = "Sauerbruch^Ferdinand", "Klinikum Musterstadt", "20210314"
SECRETS = (
    "Mustermann", "mustermann", "Erika", NUMBER, BORN, ACCESSION, "Sauerbruch", "Ferdinand", HOSPITAL, SCANNED,
    "STATION7", "Secret", "SECRET",
)  # fmt: skip


@pytest.fixture
def values() -> np.ndarray:
    """(6, 10, 12) int16, each slice different."""
    return np.random.default_rng(0).integers(-1000, 1500, (6, 10, 12)).astype(np.int16)


@pytest.fixture
def write(tmp_path, values):
    """``write(folder, edit=...)`` writes a tilted, named CT series of six files and returns the folder."""

    def series(name="named patient", *, edit=None, syntax=ExplicitVRLittleEndian, patient=NAME, uids=None) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        study, uid, frame = uids or (generate_uid(), generate_uid(), generate_uid())
        for k, plane in enumerate(values):
            slice_ = named_slice(patient)
            slice_.file_meta = FileMetaDataset()
            slice_.file_meta.TransferSyntaxUID = syntax
            slice_.StudyInstanceUID, slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID = study, uid, frame
            slice_.InstanceNumber = k + 1
            slice_.ImagePositionPatient = [-100, -80, 20 + 5 * k]
            stored = plane.astype(">i2") if syntax == ExplicitVRBigEndian else plane
            slice_.PixelData = stored.tobytes()
            slice_["PixelData"].VR = "OW"
            if edit:
                edit(slice_, k)
            pydicom.dcmwrite(
                folder / f"Mustermann-{k}.dcm",
                slice_,
                implicit_vr=syntax.is_implicit_VR,
                little_endian=syntax.is_little_endian,
                enforce_file_format=True,
            )
        return folder

    return series


def named_slice(patient: str) -> Dataset:
    """A CT slice with the patient's identity wherever scanners put it."""
    slice_ = Dataset()
    slice_.SOPClassUID, slice_.SOPInstanceUID = CTImageStorage, generate_uid()
    slice_.Modality, slice_.SeriesNumber, slice_.ImageType = "CT", 4, ["ORIGINAL", "PRIMARY", "AXIAL"]
    slice_.PatientName, slice_.PatientID, slice_.PatientBirthDate = patient, NUMBER, BORN
    slice_.AccessionNumber, slice_.ReferringPhysicianName, slice_.InstitutionName = ACCESSION, PHYSICIAN, HOSPITAL
    slice_.StudyDate = slice_.SeriesDate = slice_.AcquisitionDate = slice_.ContentDate = SCANNED
    slice_.AcquisitionDateTime, slice_.StudyTime, slice_.StationName = f"{SCANNED}101112.5", "101112", "STATION7"
    slice_.StudyDescription = slice_.SeriesDescription = slice_.ProtocolName = "Secret description"
    slice_.ImageComments = slice_.PatientComments = f"{patient} asked"
    # A free text that the profile's table does not name.
    slice_.SequenceName, slice_.FilterType = f"for {NUMBER}", "BODY mustermann"
    slice_.OtherPatientIDsSequence = Sequence([Dataset()])
    slice_.OtherPatientIDsSequence[0].PatientID = f"old {NUMBER}"
    item, deeper = Dataset(), Dataset()
    deeper.PerformingPhysicianName, deeper.ContentDate, deeper.ReferencedSOPInstanceUID = (
        PHYSICIAN,
        SCANNED,
        generate_uid(),
    )
    item.ViewCodeSequence, item.CodeMeaning = Sequence([deeper]), f"seen by {patient.replace('^', ' ')}"
    slice_.ScanOptions, slice_.CTAcquisitionTypeSequence = "AXIAL", Sequence([item])
    slice_.RequestAttributesSequence = Sequence([Dataset()])
    slice_.RequestAttributesSequence[0].RequestedProcedureDescription = f"CT for {patient}"
    block = slice_.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", f"csa {patient} {NUMBER}".encode().ljust(64))
    slice_.add_new(0x00091001, "LO", "Secret without creator")
    slice_.add_new(0x60003000, "OW", b"SECRET overlay!!")
    slice_.add_new(0x60004000, "LT", f"overlay of {patient}")
    slice_.IconImageSequence = Sequence([Dataset()])
    slice_.ImageOrientationPatient = [1, 0, 0, 0, np.cos(0.3).round(9), -np.sin(0.3).round(9)]
    slice_.PixelSpacing, slice_.SliceThickness, slice_.Rows, slice_.Columns = [0.5, 0.8], 5, 10, 12
    slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
    slice_.BitsAllocated = slice_.BitsStored = 16
    slice_.HighBit, slice_.PixelRepresentation = 15, 1
    slice_.RescaleSlope, slice_.RescaleIntercept, slice_.RescaleType = 1, 0, "HU"
    slice_.Manufacturer = "SIEMENS"
    slice_.preamble = b"SECRET".ljust(128)
    return slice_


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.dcm"))


def uids_in(folder: Path) -> set[str]:
    """Every UID of the data sets that the standard does not define."""
    found = set()
    for path in pictures(folder):
        for element in pydicom.dcmread(path).iterall():
            if element.VR == "UI" and not str(element.value).startswith("1.2.840.10008."):
                found.add(str(element.value))
    return found


def assert_no_secret(folder: Path, extra=()) -> None:
    for path in folder.rglob("*"):
        where = str(path.relative_to(folder))
        content = path.read_bytes() if path.is_file() else b""
        for secret in (*SECRETS, *extra):
            assert secret not in where
            assert secret.encode() not in content, (secret, where)


@pytest.mark.parametrize("dates", list(Dates))
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_no_byte_says_who_it_was_and_the_volume_is_the_same(write, tmp_path, dates, syntax):
    source = write(syntax=syntax)
    before = read_scan(source)
    deidentify([source], tmp_path / "out", dates=dates)
    assert len(pictures(tmp_path / "out")) == 6
    assert_no_secret(tmp_path / "out", uids_in(source))
    after = read_scan(tmp_path / "out")
    assert np.array_equal(after.array, before.array)
    assert after.geometry == before.geometry
    assert after.modality is before.modality


def test_compressed_pixels_are_copied_bit_by_bit(write, tmp_path):
    def compress(slice_, _):
        slice_.PixelData = encapsulate([slice_.PixelData])  # what the codec made of it does not matter here
        slice_.file_meta.TransferSyntaxUID = RLELossless

    source = write(edit=compress)
    deidentify([source], tmp_path / "out")
    for old, new in zip(pictures(source), pictures(tmp_path / "out"), strict=True):
        assert pydicom.dcmread(new).PixelData == pydicom.dcmread(old).PixelData


def test_uids_stay_consistent_and_are_new_each_time(write, tmp_path):
    study, frame = generate_uid(), generate_uid()
    (tmp_path / "source").mkdir()
    write("source/a", uids=(study, generate_uid(), frame))
    write("source/b", uids=(study, generate_uid(), frame))
    report = deidentify([tmp_path / "source"], tmp_path / "out")
    read = [pydicom.dcmread(path) for path in pictures(tmp_path / "out")]
    assert len({slice_.StudyInstanceUID for slice_ in read}) == 1
    assert len({slice_.FrameOfReferenceUID for slice_ in read}) == 1
    assert len({slice_.SeriesInstanceUID for slice_ in read}) == 2
    assert len({slice_.SOPInstanceUID for slice_ in read}) == 12
    assert all(slice_.file_meta.MediaStorageSOPInstanceUID == slice_.SOPInstanceUID for slice_ in read)
    assert {slice_.PatientID for slice_ in read} == {"P0001"}
    assert [series.folder for series in report.series] == ["patient-1/study-1/series-1", "patient-1/study-1/series-2"]
    deidentify([tmp_path / "source"], tmp_path / "again")
    assert not uids_in(tmp_path / "again") & uids_in(tmp_path / "out")


def test_patients_are_told_apart_and_their_dates_keep_their_distance(write, tmp_path):
    (tmp_path / "source").mkdir()

    def later(slice_, _):
        slice_.StudyDate = slice_.AcquisitionDate = "20210320"

    write("source/a")
    write("source/b", edit=later)
    write("source/c", patient="Roe^Richard")
    deidentify([tmp_path / "source"], tmp_path / "out", dates=Dates.SHIFT)
    days: dict[str, set[str]] = {}
    for path in pictures(tmp_path / "out"):
        slice_ = pydicom.dcmread(path)
        days.setdefault(str(slice_.PatientID), set()).add(slice_.StudyDate)
        assert slice_.StudyTime == "101112"
        assert slice_.AcquisitionDateTime.endswith("101112.5")
        assert not slice_.PatientBirthDate
        assert slice_.LongitudinalTemporalInformationModified == "MODIFIED"
    assert sorted(len(dates) for dates in days.values()) == [1, 2]
    first, second = sorted(
        datetime.strptime(day, "%Y%m%d") for day in next(dates for dates in days.values() if len(dates) == 2)
    )
    assert second - first == timedelta(days=6)
    assert first < datetime(2020, 3, 15)


def test_removed_dates_and_the_marks_of_the_profile(write, tmp_path):
    deidentify([write()], tmp_path / "out")
    slice_ = pydicom.dcmread(pictures(tmp_path / "out")[0])
    assert not slice_.StudyDate
    assert not slice_.StudyTime
    assert slice_.PatientIdentityRemoved == "YES"
    assert [code.CodeValue for code in slice_.DeidentificationMethodCodeSequence] == ["113100", "113111"]
    assert slice_.Manufacturer == "SIEMENS"
    assert slice_.FilterType is None or slice_.FilterType == ""
    assert slice_.preamble == bytes(128)


def test_numbers_that_place_or_scale_a_picture_stay_and_other_private_elements_go(write, tmp_path):
    def private(slice_, _):
        block = slice_.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", 2.5)
        block.add_new(0x0F, "LO", "Secret")
        slice_.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "1000")
        slice_.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "LO", "Secret number")

    deidentify([write(edit=private)], tmp_path / "out")
    slice_ = pydicom.dcmread(pictures(tmp_path / "out")[0])
    kept = {element.tag: element.value for element in slice_ if element.tag.is_private and element.tag.element > 0xFF}
    assert kept == {0x2005100E: 2.5, 0x0019100C: 1000}


def test_what_may_show_a_name_is_left_out_unless_wanted(write, tmp_path):
    def screenshots(slice_, k):
        if k == 0:
            slice_.BurnedInAnnotation = "YES"
        elif k == 1:
            slice_.SOPClassUID = SecondaryCaptureImageStorage
        elif k == 2:
            slice_.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
        elif k == 3:
            slice_.BurnedInAnnotation = "NO"

    source = write(edit=screenshots)
    report = deidentify([source], tmp_path / "out")
    assert report.files == 3
    assert report.left_out == {"may show the patient's name in the picture": 3}
    report = deidentify([source], tmp_path / "all", with_screenshots=True)
    assert report.files == 6
    assert any(warning.startswith("3 pictures may show") for warning in report.warnings)


def test_documents_junk_and_damage_are_left_out_and_counted(write, tmp_path):
    source = write()
    document = named_slice(NAME)
    document.file_meta = FileMetaDataset()
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document.SOPClassUID, document.Modality, document.SeriesInstanceUID = EncapsulatedPDFStorage, "DOC", generate_uid()
    document.EncapsulatedDocument = b"%PDF Mustermann "
    pydicom.dcmwrite(source / "letter", document, enforce_file_format=True)
    (source / "notes.txt").write_text("about Mustermann")
    report = deidentify([source], tmp_path / "out")
    assert report.files == 6
    assert report.left_out == {"holds no picture, such as a report or a document": 1, "is not a scan": 1}
    assert_no_secret(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(json.dumps(report.document()))


def test_one_series_a_zip_and_a_single_file(write, tmp_path):
    (tmp_path / "source").mkdir()
    write("source/a")
    wanted = write("source/b")
    (summary,) = list_series(wanted)
    assert deidentify([tmp_path / "source"], tmp_path / "one", series_uid=summary.uid).files == 6
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "source")
    report = deidentify([archive], tmp_path / "zip")
    assert [series.opens_as_before for series in report.series] == [True, True]
    assert deidentify([next(wanted.iterdir())], tmp_path / "file").files == 1
    assert deidentify([next(wanted.iterdir())], tmp_path / "by file", series_uid=summary.uid).files == 6
    with pytest.raises(ScanError, match="No DICOM picture"):
        deidentify([wanted], tmp_path / "none", series_uid="1.2.3")


def test_a_series_that_opens_differently_is_said(write, tmp_path):
    def repeated(slice_, k):
        # Two pictures at each place, told apart by nothing but the time.
        slice_.ImagePositionPatient = [-100, -80, 20 + 5 * (k % 3)]
        slice_.Modality, slice_.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"
        slice_.AcquisitionTime = slice_.ContentTime = f"1010{k // 3 * 10:02d}"
        slice_.InstanceNumber = 1

    source = write(edit=repeated)
    removed = deidentify([source], tmp_path / "removed")
    shifted = deidentify([source], tmp_path / "shifted", dates=Dates.SHIFT)
    assert shifted.series[0].opens_as_before
    assert not removed.series[0].opens_as_before
    assert any("opens differently" in warning for warning in removed.warnings)
    assert not any("opens differently" in warning for warning in shifted.warnings)


def test_nothing_is_left_behind_when_it_is_cancelled_or_refused(write, tmp_path):
    source = write()

    def stop(done, total):
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        deidentify([source], tmp_path / "out", progress=stop)
    with pytest.raises(ExportError, match="empty"):
        deidentify([source], source)
    with pytest.raises(ScanError, match="does not exist"):
        deidentify([tmp_path / "gone"], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name]
