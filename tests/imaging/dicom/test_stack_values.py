"""From stored pixels to values: overlays, signs, scales per slice, Philips' own scale, negatives, colours."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from hemaview.imaging.reading.dicom.values import read_values


@pytest.fixture
def slices(dicom):
    """``slices(arrays, edit)``: pictures of single-frame files, one per array."""

    def write(arrays, edit=None, **options):
        found = []
        for k, array in enumerate(arrays):
            dataset = dicom.single(array, **options)
            if edit:
                edit(dataset, k)
            found += dicom.opened(dataset)
        return found

    return write


STORED = np.random.default_rng(0).integers(100, 3000, (3, 6, 9)).astype(np.uint16)


def _philips(private):
    def edit(dataset, k):
        dataset.RescaleSlope, dataset.RescaleIntercept = str(1 + k), "-4"
        block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", private[k])

    return edit


@pytest.mark.parametrize("syntax", [pydicom.uid.ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_philips_slices_scaled_one_by_one_are_made_to_agree(slices, syntax):
    private = np.array([0.5, 0.25, 0.125])
    values, notes = read_values(slices(STORED, _philips(private), syntax=syntax))
    slope = 1.0 + np.arange(3)
    true = STORED / private[:, None, None] - (4 / (slope * private))[:, None, None]
    usual = np.median(slope * private)
    assert np.allclose(values, true * usual, rtol=1e-6)
    assert any("Philips" in note for note in notes)


def test_philips_slices_whose_scales_agree_keep_the_public_one(slices):
    values, notes = read_values(slices(STORED, _philips(0.3 / (1.0 + np.arange(3)))))
    assert np.allclose(values, STORED * (1.0 + np.arange(3))[:, None, None] - 4)
    assert notes == ()


def test_a_private_scale_of_some_slices_only_is_not_used(slices):
    def edit(dataset, k):
        _philips([0.5, 0.2, 0.1])(dataset, k)
        if k == 1:
            dataset.remove_private_tags()

    values, _ = read_values(slices(STORED, edit))
    assert np.allclose(values, STORED * (1.0 + np.arange(3))[:, None, None] - 4)


def test_a_scale_of_another_maker_at_the_same_place_is_not_used(slices):
    def edit(dataset, k):
        dataset.private_block(0x2005, "OTHER", create=True).add_new(0x0E, "FL", 1.0 + k)

    values, _ = read_values(slices(STORED, edit))
    assert np.array_equal(values, STORED)


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("rle", [False, True])
def test_overlay_bits_are_dropped_and_the_sign_is_extended(slices, is_signed, rle):
    true = np.random.default_rng(0).integers(-2048 if is_signed else 0, 2048 if is_signed else 4096, (1, 5, 8))
    overlay = np.random.default_rng(1).integers(0, 4, true.shape)
    stored = ((true & 0xFFF) | (overlay << 14)).astype(np.int16 if is_signed else np.uint16)

    def twelve_bits(dataset, _):
        dataset.BitsStored, dataset.HighBit = 12, 11
        if rle:
            dataset.compress(RLELossless)

    values, _ = read_values(slices(stored, twelve_bits))
    assert np.array_equal(values, true)


@pytest.mark.parametrize("is_signed", [False, True])
def test_pixels_in_the_lower_bits_are_found_where_the_header_says_the_upper(slices, is_signed):
    def edit(dataset, _):
        dataset.BitsStored, dataset.HighBit = 12, 15

    stored = STORED.astype(np.int16) - 1600 if is_signed else STORED
    values, _ = read_values(slices(stored, edit))
    assert np.array_equal(values, stored)


@pytest.mark.parametrize("syntax", [pydicom.uid.ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_padding_that_needs_more_bits_than_are_stored_is_air(slices, syntax):
    """Some CT scanners keep HU in 12 bits and write -2000 over all 16 outside the field of view."""
    marked = np.where(STORED % 5 == 0, 63536, STORED).astype(np.uint16)

    def edit(dataset, _):
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
        dataset.add_new("PixelPaddingValue", "US", 63536)

    values, notes = read_values(slices(marked, edit, modality="CT", sop_class=CTImageStorage, syntax=syntax))
    assert values.dtype == np.int16
    assert np.array_equal(values, np.where(STORED % 5 == 0, -1024, STORED.astype(int) - 1024))
    assert notes == ("Padding outside the field of view was set to -1024 HU.",)


def test_pixels_in_the_upper_bits_are_found(slices):
    true = np.random.default_rng(0).integers(0, 4096, (1, 5, 8))

    def upper(dataset, _):
        dataset.BitsStored, dataset.HighBit = 12, 15

    values, _ = read_values(slices((true << 4 | 0xA).astype(np.uint16), upper))
    assert np.array_equal(values, true)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_width_sign_and_byte_order(slices, dtype, syntax):
    limits = np.iinfo(dtype)
    true = np.linspace(max(limits.min, -(2**23)), min(limits.max, 2**23), 48).astype(dtype).reshape(1, 6, 8)
    values, _ = read_values(slices(true, syntax=syntax))
    assert np.array_equal(values, true)


def test_a_range_of_padding_is_filled(slices):
    stored = STORED.copy()
    stored[0, 0], stored[2, :, 0] = 5, 9

    def pad(dataset, _):
        dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 4, 9
        dataset["PixelPaddingValue"].VR = dataset["PixelPaddingRangeLimit"].VR = "US"

    values, notes = read_values(slices(stored, pad))
    lowest = stored[stored > 9].min()
    assert (values[0, 0] == lowest).all()
    assert (values[2, :, 0] == lowest).all()
    assert any("Padding" in note for note in notes)


def test_a_negative_is_inverted(slices):
    def negative(dataset, _):
        dataset.PhotometricInterpretation = "MONOCHROME1"

    values, notes = read_values(slices(STORED, negative))
    assert np.array_equal(values, int(STORED.max()) + int(STORED.min()) - STORED.astype(int))
    assert any("negative" in note for note in notes)


def test_values_far_beyond_16_bits_are_kept(slices):
    def large(dataset, _):
        dataset.RescaleSlope, dataset.RescaleIntercept = 100_000, -7

    values, _ = read_values(slices(STORED * np.uint16(20), large))
    assert np.allclose(values, (STORED * np.uint16(20)).astype(float) * 100_000 - 7, rtol=1e-6)


COLOURS = np.array([[[200, 30, 10], [10, 180, 60], [20, 30, 220], [255, 255, 255]]], np.uint8)
BRIGHTNESS = np.array([[79, 115, 49, 255]])


@pytest.mark.parametrize("by_plane", [False, True])
def test_colours_become_brightness(slices, by_plane):
    def planes(dataset, _):
        if by_plane:
            dataset.PlanarConfiguration = 1
            dataset.PixelData = np.moveaxis(COLOURS, -1, 0).tobytes()

    values, _ = read_values(slices([COLOURS], planes))
    assert np.abs(values[0] - BRIGHTNESS).max() <= 1


def test_brightness_of_half_the_colours(slices):
    def half(dataset, _):
        dataset.PhotometricInterpretation = "YBR_FULL_422"
        dataset.PixelData = bytes([79, 115, 1, 2, 49, 255, 3, 4])

    values, _ = read_values(slices([COLOURS], half))
    assert np.array_equal(values[0], BRIGHTNESS)


def test_a_palette_becomes_brightness(slices):
    def palette(dataset, _):
        dataset.PhotometricInterpretation = "PALETTE COLOR"
        for channel, name in enumerate(("Red", "Green", "Blue")):
            setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [4, 0, 8])
            setattr(dataset, f"{name}PaletteColorLookupTableData", COLOURS[0, :, channel].tobytes())

    values, _ = read_values(slices(np.array([[[3, 2, 1, 0]]], np.uint8), palette))
    assert np.abs(values[0] - BRIGHTNESS[:, ::-1]).max() <= 1


def test_progress_reaches_the_end(slices):
    seen = []
    read_values(slices(STORED), seen.append)
    assert seen == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1]
