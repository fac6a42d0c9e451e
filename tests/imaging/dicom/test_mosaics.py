"""Slices tiled into one frame: Siemens mosaics and United Imaging grids, each slice in its true place."""

import warnings

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from nibabel.nicom import dicomwrappers

SIEMENS = "odd_files/dicom_transfer_syntaxes_siemens"
REAL_MOSAICS = [f"{SIEMENS}/1.dcm", f"{SIEMENS}/3.dcm", "odd_files/nibabel/nicom/csa_slice_norm.dcm"]


@pytest.mark.parametrize("path", REAL_MOSAICS)
def test_siemens_slices_lie_where_nibabel_puts_them(shared_data, real_pictures, path):
    wrapper = dicomwrappers.wrapper_from_data(pydicom.dcmread(shared_data / path))
    found = real_pictures(shared_data / path)
    assert (found[0].columns, found[0].rows, len(found)) == wrapper.image_shape
    for k, picture in enumerate(found):
        assert picture.position == pytest.approx((wrapper.affine @ (0, 0, k, 1))[:3], abs=1e-4)


def test_siemens_slices_are_those_dcm2niix_found(shared_data, real_pictures, dicom):
    truth = nib.load(shared_data / SIEMENS / "1.nii")
    found = real_pictures(shared_data / SIEMENS / "1.dcm")
    pixels = dicom.pixels_of(found)
    picture = found[20]
    row, column = np.array(picture.orientation[:3]), np.array(picture.orientation[3:])
    place = np.array(picture.position) + 30 * 3.25 * row + 17 * 3.25 * column
    index = np.rint((np.linalg.inv(truth.affine) @ (-place[0], -place[1], place[2], 1))[:3]).astype(int)
    assert np.allclose((truth.affine @ (*index, 1))[:3], place * (-1, -1, 1), atol=0.01)
    assert truth.get_fdata()[tuple(index)] == pixels[20, 17, 30]
    assert pixels.sum() == truth.get_fdata().sum()


@pytest.mark.parametrize("number", range(2, 10))
def test_a_mosaic_is_the_same_in_every_syntax(shared_data, real_pictures, dicom, number):
    first = dicom.pixels_of(real_pictures(shared_data / SIEMENS / "1.dcm"))
    assert np.array_equal(dicom.pixels_of(real_pictures(shared_data / SIEMENS / f"{number}.dcm")), first)


def _tiled(slices: np.ndarray, down: int, across: int) -> np.ndarray:
    count, rows, columns = slices.shape
    frame = np.zeros((down * rows, across * columns), slices.dtype)
    for n in range(count):
        top, left = n // across * rows, n % across * columns
        frame[top : top + rows, left : left + columns] = slices[n]
    return frame


@pytest.fixture
def slices() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 4000, (5, 8, 8)).astype(np.uint16)


def _siemens(dicom, slices):
    """A mosaic as Siemens writes it, but without the private header that has the slice normal."""
    dataset = dicom.single(_tiled(slices, 3, 3))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SpacingBetweenSlices = [2, 2], 3
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", len(slices))
    return dataset


def test_slices_of_a_mosaic_without_its_private_header_have_no_place(dicom, slices):
    found = dicom.opened(_siemens(dicom, slices))
    assert [p.position for p in found] == [None] * 5
    assert np.array_equal(dicom.pixels_of(found), slices)


def test_a_mosaic_whose_slices_were_forgotten_is_one_picture_without_place(dicom, slices):
    dataset = _siemens(dicom, slices)
    dataset.remove_private_tags()
    (picture,) = dicom.opened(dataset)
    assert picture.position is None
    assert (picture.rows, picture.columns) == (24, 24)


def test_the_count_of_an_implicit_file_is_understood(dicom, slices):
    dataset = _siemens(dicom, slices)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    found = dicom.opened(dataset)
    assert np.array_equal(dicom.pixels_of(found), slices)


def test_many_mosaics_in_one_object_have_no_place(dicom, slices):
    dataset = dicom.enhanced(np.stack([_tiled(slices, 3, 3)] * 2))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    assert [p.position for p in dicom.opened(dataset)] == [None, None]


def _uih(dicom, slices, *, down, across=3, places=None):
    """A grid as United Imaging writes it: every slice's place is in a private sequence."""
    dataset = dicom.single(_tiled(slices, down, across))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "GRID"]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-90, -80, -70], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [2, 2]
    block = dataset.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x50, "DS", str(len(slices)))
    items = pydicom.Sequence()
    for place in places or [(-90, -80, -70 + 4 * k) for k in range(len(slices))]:
        item = pydicom.Dataset()
        item.ImagePositionPatient = list(place)
        items.append(item)
    block.add_new(0x51, "SQ", items)
    return dataset


@pytest.mark.parametrize("down", [2, 3], ids=["rows as needed", "square"])
def test_a_united_imaging_grid_states_every_place(dicom, slices, down):
    found = dicom.opened(_uih(dicom, slices, down=down))
    assert [p.position for p in found] == [(-90, -80, -70 + 4 * k) for k in range(5)]
    assert np.array_equal(dicom.pixels_of(found), slices)


def test_a_grid_that_states_fewer_places_than_slices_has_none(dicom, slices):
    found = dicom.opened(_uih(dicom, slices, down=2, places=[(0, 0, 0)] * 4))
    assert [p.position for p in found] == [None] * 5


def test_a_grid_that_can_be_cut_in_two_ways_stays_one_picture(dicom):
    wide = np.ones((5, 8, 12), np.uint16)
    assert len(dicom.opened(_uih(dicom, wide, down=2))) == 1


def test_a_grid_claiming_millions_of_slices_stays_one_picture(dicom, slices):
    dataset = _uih(dicom, slices, down=2)
    dataset[0x0065, 0x1050].value = "999999999"
    assert len(dicom.opened(dataset)) == 1
