"""Every compression that CT and MR come in decodes to the pixels that were compressed, or is refused by name."""

import base64
import io

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from openjpeg.utils import encode_array
from PIL import Image
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    MPEG2MPML,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.frames import NotAPicture

# 12 x 16 pixels of ((37 row + 91 column) modulo 4096), and of (37 row - 91 column) as signed 16-bit numbers, written
# by OpenJPH through imagecodecs 2026.3.6 (htj2k_encode, reversible): no library here writes high-throughput JPEG 2000.
HTJ2K_UNSIGNED = (
    "|4;u>04YEK0000G0000C00000000000000G0000C0000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0smY86Cj9?kdTm&kdTm&kdTmwh="
    "~7W02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00000eE<RflfVEbi~9u!bN~Rr024p}699hx0*7<}c>V$hbO68r6TkoxfINBr0s?dZbN(_j0Kf"
    "nhFaQNmn3$NLVljet0Hma(q`)BozP13s04rbs7Kk(&jYgyW=Zbo90(SsN1VIo4LH_y#Aba)@f$X{f|Je"
)
HTJ2K_SIGNED = (
    "|4;u>04YEK0000G0000C00000000000000G0000C000000000000EBy0sl|{2mk^A000XAQUDA90ssL31q1{@0smY86Cj9?kdTm&kdTm&kdTmwh="
    "~7W02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00000eE<RflfVEb3;qHJbN~Rr024p}699ky0*7<}c>V$hbO68r6TkoxfIWNu0s?dZbN(_j0Kf"
    "nhFaQNmnVFfOVljet0Hma(q`)BozP13s04rbs7KpW4tyZi3=Zbo90(SsN1VIo4LH_y#Aba)@f$X{f|Je"
)
ROWS, COLUMNS = np.mgrid[:12, :16]


@pytest.fixture
def frames() -> np.ndarray:
    smooth = np.add.outer(np.arange(40), np.arange(56)) * 17
    return np.stack([(smooth + 100 * k) % 4096 for k in range(3)]).astype(np.uint16)


def _j2k(frames):
    return [encode_array(frame) for frame in frames]


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
@pytest.mark.parametrize(
    ("code", "pixels"),
    [
        (HTJ2K_UNSIGNED, ((37 * ROWS + 91 * COLUMNS) % 4096).astype(np.uint16)),
        (HTJ2K_SIGNED, (37 * ROWS - 91 * COLUMNS).astype(np.int16)),
    ],
    ids=["unsigned", "signed"],
)
def test_high_throughput_jpeg_2000(dicom, syntax, code, pixels):
    found = dicom.opened(dicom.compressed(dicom.single(pixels), syntax, [base64.b85decode(code)]))
    assert np.array_equal(dicom.pixels_of(found)[0], pixels)


def test_the_sign_of_the_header_counts(dicom):
    pixels = np.subtract.outer(np.arange(40) * 37, np.arange(56) * 91).astype(np.int16)
    code = encode_array(pixels.view(np.uint16))
    for syntax in (JPEG2000Lossless, HTJ2KLossless):
        found = dicom.opened(dicom.compressed(dicom.single(pixels), syntax, [code]))
        assert np.array_equal(dicom.pixels_of(found)[0], pixels)


@pytest.mark.parametrize("has_table", [True, False], ids=["offset table", "no table"])
@pytest.mark.parametrize("fragments", [1, 3])
def test_frames_in_several_fragments(dicom, frames, fragments, has_table):
    dataset = dicom.compressed(
        dicom.enhanced(frames), JPEG2000Lossless, _j2k(frames), fragments=fragments, has_table=has_table
    )
    found = dicom.opened(dataset)
    assert np.array_equal(dicom.pixels_of(found), frames)
    assert np.array_equal(dicom.pixels_of(found[2:]), frames[2:])


def test_an_offset_table_that_lies_does_not_mix_frames(dicom, frames):
    dataset = dicom.compressed(dicom.enhanced(frames), JPEG2000Lossless, _j2k(frames), fragments=3)
    table = bytearray(dataset.PixelData)
    table[12:16] = (10).to_bytes(4, "little")
    dataset.PixelData = bytes(table)
    assert np.array_equal(dicom.pixels_of(dicom.opened(dataset)), frames)


def test_rle_frames(dicom, frames):
    dataset = dicom.enhanced(frames)
    dataset.compress(RLELossless)
    assert np.array_equal(dicom.pixels_of(dicom.opened(dataset)), frames)


def test_jpeg_baseline(dicom):
    smooth = (np.add.outer(np.arange(40), np.arange(56)) * 2).astype(np.uint8)
    code = io.BytesIO()
    Image.fromarray(smooth).save(code, "JPEG", quality=95)
    found = dicom.opened(dicom.compressed(dicom.single(smooth), JPEGBaseline8Bit, [code.getvalue()]))
    assert np.abs(dicom.pixels_of(found)[0].astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_what_gdcm_wrote(dicom, tmp_path, frames, compressor):
    path = tmp_path / "gdcm.dcm"
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(path))
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(frames[0]))
    written = pydicom.dcmread(path)
    assert written.file_meta.TransferSyntaxUID.is_compressed
    codes = list(pydicom.encaps.generate_frames(written.PixelData, number_of_frames=1))
    dataset = dicom.compressed(dicom.single(frames[0]), written.file_meta.TransferSyntaxUID, codes)
    assert np.array_equal(dicom.pixels_of(dicom.opened(dataset))[0], frames[0])


REAL = [
    ("odd_files/dicom_pydicom/JPEG-lossy.dcm", (1024, 256), (0, 264)),
    ("odd_files/dicom_pydicom/JPGExtended.dcm", (1024, 256), (0, 264)),
    ("odd_files/dicom_pydicom/JPEG2000.dcm", (1024, 256), (-30, 245)),
    ("odd_files/dicom_pydicom_data/JPEG-LL.dcm", (1024, 256), (0, 278)),
    ("odd_files/dicom_pydicom_data/JPGLosslessP14SV1_1s_1f_8b.dcm", (768, 1024), (0, 255)),
    ("odd_files/dicom_pydicom_data/bad_sequence.dcm", (512, 512), (13, 2267)),
    ("odd_files/dicom_pydicom/J2K_pixelrep_mismatch.dcm", (512, 512), (-2000, 1896)),
]


@pytest.mark.parametrize(("path", "shape", "extremes"), REAL, ids=[row[0] for row in REAL])
def test_real_files_decode_to_the_values_other_programs_found(shared_data, real_pictures, dicom, path, shape, extremes):
    pixels = dicom.pixels_of(real_pictures(shared_data / path))[0]
    assert pixels.shape == shape
    assert (pixels.min(), pixels.max()) == extremes


@pytest.mark.parametrize("kind", ["", "_j2k", "_jpeg", "_jpegls", "_rle"])
def test_one_series_in_five_compressions_is_the_same(shared_data, real_pictures, dicom, kind):
    folder = shared_data / "dicom_series/d2n_small_vendor_sets/generic"
    for n in range(1, 5):
        name = f"001/IM-0001-{n:04d}-0001.dcm"
        expected = dicom.pixels_of(real_pictures(folder / "compressed_rle" / name))
        assert np.array_equal(dicom.pixels_of(real_pictures(folder / f"compressed{kind}" / name)), expected)


@pytest.mark.parametrize(
    "lie",
    [
        {"Rows": 41},
        {"Rows": 65535, "Columns": 65535},
        {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
    ],
    ids=["rows", "huge", "colour", "bits"],
)
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless, RLELossless])
def test_a_code_stream_of_another_size_than_the_header_is_refused(dicom, frames, syntax, lie):
    dataset = dicom.single(frames[0])
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    else:
        dicom.compressed(dataset, syntax, _j2k(frames[:1]))
    for keyword, value in lie.items():
        setattr(dataset, keyword, value)
    with pytest.raises(ScanError, match="cannot be decoded"):
        dicom.pixels_of(dicom.opened(dataset))


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_a_code_stream_that_ends_early_is_refused(dicom, frames, share):
    noise = np.random.default_rng(0).integers(0, 60_000, (40, 56)).astype(np.uint16)
    (code,) = _j2k([noise])
    short = code[: int(share * len(code))]
    for syntax in (JPEG2000Lossless, JPEG2000, HTJ2K):
        with pytest.raises(ScanError, match="cannot be decoded"):
            dicom.pixels_of(dicom.opened(dicom.compressed(dicom.single(noise), syntax, [short])))


def test_an_rle_segment_that_ends_early_is_refused(dicom):
    noise = np.random.default_rng(0).integers(0, 60_000, (40, 56)).astype(np.uint16)
    dataset = dicom.single(noise)
    dataset.compress(RLELossless)
    (code,) = pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)
    with pytest.raises(ScanError, match="cannot be decoded"):
        dicom.pixels_of(dicom.opened(dicom.compressed(dataset, RLELossless, [code[:-4]])))


def test_fewer_fragments_than_frames_are_refused(dicom, frames):
    dataset = dicom.compressed(dicom.enhanced(frames), JPEG2000Lossless, _j2k(frames)[:2], has_table=False)
    with pytest.raises(ScanError, match="incomplete"):
        dicom.pixels_of(dicom.opened(dataset))


def test_a_syntax_nobody_decodes_is_refused_by_name(dicom, frames):
    dataset = dicom.compressed(dicom.single(frames[0]), MPEG2MPML, [bytes(50)])
    with pytest.raises(ScanError, match="MPEG2 Main Profile"):
        dicom.pixels_of(dicom.opened(dataset))


def test_uncompressed_frames_beyond_the_file_are_refused(dicom, frames):
    dataset = dicom.enhanced(frames)
    dataset.Rows = 60_000
    with pytest.raises((ScanError, NotAPicture)):
        dicom.pixels_of(dicom.opened(dataset))


def test_a_picture_without_rows_is_refused(dicom, frames):
    dataset = dicom.single(frames[0])
    dataset.Rows = 0
    with pytest.raises(ScanError, match="incomplete"):
        dicom.pixels_of(dicom.opened(dataset))


def test_pixels_in_an_unusual_number_of_bits_are_refused(dicom):
    dataset = dicom.single(np.zeros((8, 8), np.uint16))
    dataset.BitsAllocated = dataset.BitsStored = 12
    dataset.HighBit = 11
    with pytest.raises(ScanError, match="12 of 12 bits"):
        dicom.pixels_of(dicom.opened(dataset))
