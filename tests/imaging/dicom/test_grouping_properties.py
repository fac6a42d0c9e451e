"""Whatever a series mixes, nothing is lost, nothing is counted twice, and no picture is put where it does not lie."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset

from hemaview.imaging.reading import Verdict
from hemaview.imaging.reading.dicom.finding import read_pictures
from hemaview.imaging.reading.dicom.series import group_series
from hemaview.imaging.reading.sources import Source

PLANES = (
    (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    (1.0, 0.0, 0.0, 0.0, 0.948, -0.318),
    (0.8, 0.6, 0.0, -0.6, 0.8, 0.0),
)
NUMBERS = st.one_of(st.none(), st.floats(-200, 200), st.sampled_from([0.0, 1e-9, 999999.0]))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """One plain MR picture."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = pydicom.uid.MRImageStorage, "1.2", "1.3"
    dataset.Modality, dataset.ImageType, dataset.SliceThickness = "MR", ["ORIGINAL", "PRIMARY", "M"], 5
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.5, 0.5]
    dataset.Rows = dataset.Columns = dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 7, 0, 1
    dataset.PhotometricInterpretation, dataset.PixelData = "MONOCHROME2", bytes(64)
    path = tmp_path_factory.mktemp("one") / "one.dcm"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return read_pictures(Source(path.name, path))[0]


@st.composite
def mixtures(draw):
    """Changes to the picture, one per file: places of several stacks that differ in some ways and not in others."""
    plane = draw(st.sampled_from(PLANES))
    row, column = np.reshape(plane, (2, 3))
    normal = np.cross(row, column)
    lean = draw(st.floats(-0.9, 0.9)) * column
    gaps = draw(st.lists(st.floats(0.5, 12), min_size=1, max_size=7))
    heights = np.concatenate(([0.0], np.cumsum(gaps)))
    changes = []
    for stack in range(draw(st.integers(1, 4))):
        told_by = draw(st.sampled_from(["echo", "b-value", "time", "clock", "acquisition", "type", "nothing"]))
        places = range(len(heights))
        if draw(st.booleans()):
            places = draw(st.lists(st.sampled_from(places), unique=True, min_size=1))
        for k in places:
            change = {"orientation": plane, "position": tuple(heights[k] * (normal + lean))}
            change["moments"] = {told_by: str(stack + 1)} if told_by not in ("type", "nothing") else {}
            change["image_type"] = ("ORIGINAL", "PRIMARY", "MPRI"[stack] if told_by == "type" else "M")
            changes.append(change)
    for index in draw(st.lists(st.integers(0, len(changes) - 1), max_size=2)):
        spoil = draw(st.sampled_from(["position", "orientation", "pixel_spacing", "slice_thickness", "rows", "slope"]))
        changes[index][spoil] = draw(SPOILED[spoil])
    return draw(st.permutations(changes))


SPOILED = {
    "position": st.one_of(st.none(), st.tuples(*[st.floats(-200, 200)] * 3)),
    "orientation": st.one_of(st.none(), st.tuples(*[st.floats(-1, 1)] * 6)),
    "pixel_spacing": st.one_of(st.none(), st.tuples(*[st.floats(-1, 99)] * 2)),
    "slice_thickness": NUMBERS,
    "rows": st.sampled_from([0, 4, 8, 16]),
    "slope": NUMBERS,
}


def _files(picture, changes):
    return [
        replace(picture, sop_instance=f"1.{number}", instance_number=number + 1, **change)
        for number, change in enumerate(changes)
    ]


@settings(max_examples=150, deadline=None)
@given(mixtures())
def test_every_picture_is_somewhere_once_and_lies_where_its_header_says(picture, changes):
    files = _files(picture, changes)
    found = group_series(files)
    assert len({series.summary.uid for series in found}) == len(found)
    assert sorted(p.sop_instance for s in found for p in s.instances) == sorted(p.sop_instance for p in files)
    for series in found:
        assert (series.stack is None) is (series.summary.verdict is Verdict.REFUSED)
        if series.summary.verdict is Verdict.MEASURABLE:
            geometry, pictures = series.stack.geometry, series.stack.instances
            step = geometry.slice_places_mm[-1] / max(1, len(pictures) - 1)
            for k, placed in enumerate(pictures):
                away = np.linalg.norm(geometry.index_to_lps((0, 0, k)) - placed.position)
                assert away <= 2 * max(0.06, 0.02 * step)
                across = geometry.index_to_lps((1, 0, k)) - geometry.index_to_lps((0, 0, k))
                assert across == pytest.approx(np.array(placed.orientation[:3]) * placed.pixel_spacing[1], abs=0.02)
            assert len({p.image_type for p in pictures}) == 1 or len(pictures) == 1


@settings(max_examples=60, deadline=None)
@given(mixtures(), st.randoms(use_true_random=False))
def test_the_order_of_files_changes_nothing(picture, changes, random):
    files = _files(picture, changes)
    first = _described(files)
    random.shuffle(files)
    assert _described(files) == first


def _described(files):
    return [(s.summary, [p.sop_instance for p in s.stack.instances] if s.stack else []) for s in group_series(files)]
