"""Thumbnails: one picture of one file, windowed, in true proportions; anything undecodable gives none."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from hemaview.imaging.reading.dicom.header import read_instance
from hemaview.imaging.reading.sources import Source
from hemaview.imaging.reading.thumbnail import thumbnail_of


def _instance(path: Path):
    instance = read_instance(Source(path.name, path))
    assert instance is not None
    return instance


@pytest.fixture
def head(dicom_series):
    """``head(edit)`` is the instance of one CT slice: air, 0, 40 and 80 HU in four columns of blocks."""

    def write(edit=None, **options):
        plane = np.repeat(np.array([-1000, 0, 40, 80], np.int16), 3) + np.zeros((8, 1), np.int16)
        return _instance(next(dicom_series(plane[None], edit=edit, **options).iterdir()))

    return write


def test_a_ct_is_shown_in_the_brain_window(head):
    found = thumbnail_of(head())
    assert found.grey.shape == (8, 12)
    assert found.grey[0].tolist() == [0] * 6 + [128] * 3 + [255] * 3
    assert found.pixel_spacing == (0.5, 0.8)


def test_other_pictures_are_shown_in_their_own_range(dicom_series):
    values = np.linspace(500, 900, 400).reshape(1, 20, 20).astype(np.uint16)
    found = thumbnail_of(_instance(next(dicom_series(values, modality="MR").iterdir())))
    assert (found.grey.min(), found.grey.max()) == (0, 255)
    assert (np.diff(found.grey.ravel().astype(int)) >= 0).all()


def test_a_negative_is_shown_positive(dicom_series):
    values = np.linspace(500, 900, 400).reshape(1, 20, 20).astype(np.uint16)

    def negative(dataset, _):
        dataset.PhotometricInterpretation = "MONOCHROME1"

    found = thumbnail_of(_instance(next(dicom_series(values, modality="MR", edit=negative).iterdir())))
    assert found.grey[0, 0] == 255
    assert found.grey[-1, -1] == 0


def test_a_large_picture_is_made_small_and_keeps_its_proportions(dicom_series):
    values = np.random.default_rng(0).integers(0, 900, (1, 600, 300)).astype(np.uint16)
    found = thumbnail_of(_instance(next(dicom_series(values, modality="MR", spacing=(1, 1)).iterdir())))
    assert max(found.grey.shape) <= 256
    rows, columns = np.array(found.grey.shape) * found.pixel_spacing
    assert rows / columns == pytest.approx(2, rel=0.05)


def test_a_picture_without_spacing_is_drawn_with_square_pixels(head):
    def forget(dataset, _):
        del dataset.PixelSpacing

    assert thumbnail_of(head(forget)).pixel_spacing == (1, 1)


def test_a_file_that_cannot_be_decoded_has_no_thumbnail(head):
    instance = head()
    instance.source.path.write_bytes(instance.source.path.read_bytes()[:-40])
    assert thumbnail_of(instance) is None
    instance.source.path.unlink()
    assert thumbnail_of(instance) is None


def test_a_code_stream_of_another_size_has_no_thumbnail(head):
    def claim_more(dataset, _):
        dataset.compress(pydicom.uid.RLELossless)
        dataset.Rows = 60_000

    assert thumbnail_of(head(claim_more)) is None
