"""What of a DICOM series can be measured, what only looked at, and what not even that; every verdict has its reason."""

import shutil

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.uid import (
    BasicTextSRStorage,
    DigitalXRayImageStorageForPresentation,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    UltrasoundImageStorage,
)

from hemaview.errors import ScanError
from hemaview.imaging.reading import Verdict, list_series, read_scan

EVERY = range(6)


def _set(which, **values):
    def edit(dataset, k):
        if k in which:
            for keyword, value in values.items():
                setattr(dataset, keyword, value)

    return edit


def _drop(which, *keywords):
    def edit(dataset, k):
        if k in which:
            for keyword in keywords:
                delattr(dataset, keyword)

    return edit


def _both(first, second):
    def edit(dataset, k):
        first(dataset, k)
        second(dataset, k)

    return edit


def _written(which, keyword, text):
    """Put ``text`` where numbers belong, as only a damaged or careless program does."""

    def edit(dataset, k):
        if k in which:
            tag = pydicom.tag.Tag(keyword)
            dataset[tag] = RawDataElement(tag, "DS", len(text), text, 0, False, True)

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_written(EVERY, "RescaleSlope", b"0,5 "), "rescale slope or intercept is no number"),
        (_written((3,), "RescaleIntercept", b"-1024,00"), "rescale slope or intercept is no number"),
        (_written(EVERY, "PixelSpacing", b"0,488\\0,488 "), "how large its pixels are"),
        (_set(EVERY, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "scout view"),
        (_set(EVERY, ImageType=["DERIVED", "SECONDARY", "PROJECTION IMAGE"]), "a projection"),
        (_set(EVERY, SOPClassUID=SecondaryCaptureImageStorage), "'Secondary Capture Image', not a CT or MR scan"),
        (_set(EVERY, SOPClassUID=DigitalXRayImageStorageForPresentation), "not a CT or MR scan"),
        (_set(EVERY, PhotometricInterpretation="MONOCHROME1"), "negative (MONOCHROME1)"),
        (_set(EVERY, RescaleSlope=0), "cannot be rescaled"),
        (_both(_set(EVERY, RescaleIntercept=-1024), _drop((3,), "RescaleIntercept")), "unlike those of the others"),
        (_drop(EVERY, "PixelSpacing"), "how large its pixels are"),
        (_set(EVERY, PixelSpacing=[0, 0]), "pixel spacing of 0 mm cannot be right"),
        (_drop(EVERY, "ImagePositionPatient"), "where its pictures lie"),
        (_drop(EVERY, "ImageOrientationPatient"), "where its pictures lie"),
        (_set(EVERY, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "not at right angles"),
        (_set(EVERY, ImageOrientationPatient=[0, 0, 0, 0, 1, 0]), "orientation is not usable"),
        (_set(EVERY, ImagePositionPatient=[0, 0, 0], InstanceNumber=1), "1 position with 6 pictures each"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_pictures_without_a_geometry_to_trust_can_be_looked_at(dicom_series, ct_values, edit, words):
    with pydicom.config.disable_value_validation():
        folder = dicom_series(ct_values, edit=edit)
    summary = list_series(folder)[0]
    assert summary.verdict is Verdict.VIEWABLE
    assert words in summary.reason
    assert summary.spacing is None
    volume = read_scan(folder)
    assert volume.not_measurable == summary.reason
    assert volume.geometry.size == (12, 10, 6)
    assert len(np.unique(volume.array)) > 100


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_set(EVERY, SOPClassUID=SegmentationStorage), "'Segmentation', not a CT or MR scan"),
        (_set(EVERY, BitsAllocated=12), "unusual way"),
        (_set(EVERY, Rows=40), "ends before its picture does"),
        (_set(EVERY, PixelData=b""), "no pixel data"),
        (_set(EVERY, NumberOfFrames=40), "40 frames"),
        (_drop(EVERY, "PixelData"), "no pixel data"),
        (_drop(EVERY, "Rows"), "how large the picture is"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_where_there_is_nothing_to_see_the_series_is_refused(dicom_series, ct_values, edit, words):
    with pydicom.config.disable_value_validation():
        folder = dicom_series(ct_values, edit=edit)
    summary = list_series(folder)[0]
    assert summary.verdict is Verdict.REFUSED
    assert words in summary.reason
    with pytest.raises(ScanError) as refusal:
        read_scan(folder)
    text = str(refusal.value)
    assert words in text
    assert text.endswith(".")
    assert "\n" not in text


def test_a_report_in_the_series_is_sorted_out(dicom_series, ct_values):
    def report(dataset, k):
        if k == 5:
            dataset.SOPClassUID, dataset.Modality = BasicTextSRStorage, "SR"
            for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient"):
                delattr(dataset, keyword)

    folder = dicom_series(ct_values, edit=report)
    found = {s.verdict: s for s in list_series(folder)}
    assert found[Verdict.MEASURABLE].images == 5
    assert "Text SR" in found[Verdict.REFUSED].reason
    assert np.array_equal(read_scan(folder).array, ct_values[:5])


def test_a_colour_picture_is_shown_by_its_brightness(dicom_series):
    colours = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(np.uint8)

    def colour(dataset, k):
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PixelData = colours[k].tobytes()

    volume = read_scan(dicom_series(np.zeros((2, 4, 5), np.uint16), modality="MR", edit=colour))
    assert volume.not_measurable == "it is a colour picture"
    assert volume.geometry.size == (5, 4, 2)
    assert np.max(np.abs(volume.array - colours @ (0.299, 0.587, 0.114))) <= 1


def test_a_single_slice_without_thickness_can_be_looked_at(dicom_series, ct_values):
    volume = read_scan(dicom_series(ct_values[:1], edit=_drop({0}, "SliceThickness")))
    assert "how thick" in volume.not_measurable
    assert volume.geometry.spacing == pytest.approx((0.8, 0.5, 1))


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-40], lambda data: data.replace(b"\xe0\x7f\x10\x00", b"\xe0\x7f\x11\x00")]
)
def test_a_damaged_member_is_left_out_and_named(dicom_series, ct_values, spoil):
    folder = dicom_series(ct_values)
    damaged = next(p for p in folder.iterdir() if pydicom.dcmread(p).ImagePositionPatient[2] == 30)
    damaged.write_bytes(spoil(damaged.read_bytes()))
    volume = read_scan(folder)
    assert volume.not_measurable is None
    assert np.array_equal(volume.array, ct_values[[0, 1, 3, 4, 5]])
    assert any("1 slice is missing" in note for note in volume.notes)
    assert any("1 damaged picture was left out" in note and damaged.name in note for note in volume.notes)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: (d.__delattr__("Rows"), d.__delattr__("PixelData")),
        lambda d: d.__setattr__("SOPClassUID", "1.2.840.10008.5.1.4.1.1.9999"),
        lambda d: (d.__delattr__("SeriesInstanceUID"), d.__delattr__("PixelData")),
        lambda d: (d.__setattr__("SeriesInstanceUID", "1.2.77"), d.__setattr__("BitsAllocated", 12)),
        lambda d: (
            d.__setattr__("SeriesInstanceUID", "1.2.7"),
            d.__delattr__("SeriesNumber"),
            d.__delattr__("PixelData"),
        ),
        lambda d: d.__setattr__("SOPClassUID", UltrasoundImageStorage),
    ],
    ids=["no picture", "unknown class", "no series", "another series", "no number", "another class"],
)
def test_a_slice_too_damaged_to_join_its_stack_is_named(dicom_series, ct_values, spoil):
    """The last slice: without it the stack has no gap that would tell."""
    folder = dicom_series(ct_values, edit=lambda dataset, k: spoil(dataset) if k == 5 else None)
    volume = read_scan(folder)
    assert np.array_equal(volume.array, ct_values[:5])
    assert any("1 picture of this series could not be used" in note for note in volume.notes)


def test_a_picture_that_cannot_be_decoded_is_left_out_and_named(dicom_series, ct_values):
    folder = dicom_series(ct_values, edit=lambda dataset, k: dataset.compress(RLELossless))
    damaged = next(p for p in folder.iterdir() if pydicom.dcmread(p).ImagePositionPatient[2] == 30)
    picture = pydicom.dcmread(damaged)
    picture.PixelData = encapsulate([b"no code stream"])
    picture.save_as(damaged)
    volume = read_scan(folder)
    assert np.array_equal(volume.array, ct_values[[0, 1, 3, 4, 5]])
    assert volume.geometry.slice_positions == pytest.approx((0, 5, 15, 20, 25))
    assert any("1 damaged picture was left out" in note and damaged.name in note for note in volume.notes)
    with pytest.raises(ScanError, match="cannot be decoded"):
        read_scan(shutil.copy(damaged, folder.parent))


def test_a_damaged_copy_gives_way_to_an_intact_one(dicom_series, ct_values):
    folder = dicom_series(ct_values)
    whole = folder / "IM0000.dcm"
    (folder / "AAAA.dcm").write_bytes(whole.read_bytes()[:-40])
    (folder / "ZZZZ.dcm").write_bytes(whole.read_bytes()[:-40])
    assert np.array_equal(read_scan(folder).array, ct_values)


def test_two_pictures_that_say_they_are_the_same_must_be(dicom_series, ct_values):
    folder = dicom_series(ct_values)
    picture = pydicom.dcmread(folder / "IM0000.dcm")
    picture.PixelData = bytes(len(picture.PixelData))
    picture.save_as(folder / "other.dcm")
    assert any("1 file is a copy" in note for note in list_series(folder)[0].notes)
    with pytest.raises(ScanError, match=r"IM0000\.dcm.*other\.dcm.*differ"):
        read_scan(folder)
