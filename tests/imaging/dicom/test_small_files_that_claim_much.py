"""Small files that would become huge in memory are refused before they do."""

import gzip
import io
import tracemalloc
import zipfile
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from hemaview.errors import ScanError
from hemaview.imaging.reading import read_scan
from hemaview.imaging.reading.dicom.header import read_dataset

HUGE = 300 << 20


def _file(dicom, syntax) -> bytes:
    dataset = dicom.single(np.arange(64, dtype=np.uint16).reshape(8, 8), syntax=syntax)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def _zeros_after(start: bytes, write) -> None:
    write(start)
    for _ in range(HUGE >> 20):
        write(bytes(1 << 20))


def _deflated(dicom, path) -> None:
    whole = _file(dicom, DeflatedExplicitVRLittleEndian)
    meta = whole[: 144 + int.from_bytes(whole[140:144], "little")]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    with path.open("wb") as file:
        file.write(meta)
        _zeros_after(
            zlib.decompress(whole[len(meta) :], -zlib.MAX_WBITS), lambda data: file.write(packer.compress(data))
        )
        file.write(packer.flush())


def _gzipped(dicom, path) -> None:
    with gzip.open(path, "wb", 1) as file:
        _zeros_after(_file(dicom, ExplicitVRLittleEndian), file.write)


def _zipped(dicom, path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.dcm", "w") as file,
    ):
        _zeros_after(_file(dicom, ExplicitVRLittleEndian), file.write)


@pytest.mark.parametrize(("name", "write"), [("a.dcm", _deflated), ("a.dcm.gz", _gzipped), ("a.zip", _zipped)])
def test_what_inflates_too_far_is_refused(dicom, tmp_path, name, write):
    path = tmp_path / name
    write(dicom, path)
    assert path.stat().st_size < 3 << 20
    tracemalloc.start()
    try:
        with pytest.raises(ScanError):
            read_scan(path)
        assert tracemalloc.get_traced_memory()[1] < HUGE
    finally:
        tracemalloc.stop()


def test_a_sequence_whose_end_is_lost_is_not_followed_through_zeros(dicom):
    whole = _file(dicom, ExplicitVRLittleEndian)
    open_sequence = bytes.fromhex("08004011") + b"SQ\0\0" + b"\xff\xff\xff\xff"
    stream = io.BytesIO(whole[: whole.index(b"\xe0\x7f\x10\x00")] + open_sequence + bytes(1 << 20))
    with pytest.raises(ValueError, match="zeros"):
        read_dataset(stream, header_only=True)
    assert stream.tell() < len(whole) + (1 << 14)
