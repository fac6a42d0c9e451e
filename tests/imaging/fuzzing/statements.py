"""What a file itself says about its voxel size, read by other means than the program's own readers."""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom

_TOLERANCE = 0.011
_SAME_PLACE_MM = 0.1
_PIXEL_SPACING = 0x00280030


def states(path: Path, spacing: tuple[float, float, float], slices: int) -> bool | None:
    """Whether the header of ``path`` states the ``spacing`` (x, y, z) in mm; None where nothing independent can tell.

    Of a DICOM file only the picture's own spacing is looked at, since that of slices comes from several files.
    """
    data = _unpacked(path)
    if data is None:
        return None
    start = data[: 1 << 20]
    found: Iterator[tuple[float, ...]]
    if start[344:348] in (b"n+1\0", b"ni1\0"):
        found = _of_nifti1(start)
    elif start[:4] == b"\0\0\0\1":
        found = iter([tuple(np.frombuffer(start[30:42], ">f4"))])
    elif start[:4] == b"NRRD":
        found = _of_nrrd(start.split(b"\n\n")[0].decode("latin-1"))
    elif b"NDims" in start[:4096]:
        found = _of_metaimage(start.split(b"ElementDataFile")[0].decode("latin-1"))
    elif b"-attribute" in start[:512]:
        found = _of_afni(start.decode("latin-1"))
    elif start[128:132] == b"DICM" and slices == 1:
        found = _of_dicom(data)
    else:
        return None
    return any(len(s) and np.allclose(spacing[: len(s)], np.abs(s), rtol=_TOLERANCE) for s in found)


def states_places(folder: Path, corners: np.ndarray) -> bool | None:
    """Whether a file of a DICOM folder states each of the ``corners`` (slices, 3) as its picture's position.

    None where the files hold several pictures each or no position.
    """
    stated = []
    for path in sorted(folder.iterdir()):
        with warnings.catch_warnings(action="ignore"):
            try:
                dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
                if "PerFrameFunctionalGroupsSequence" in dataset or "MOSAIC" in dataset.get("ImageType", ()):
                    return None
                stated.append([float(number) for number in dataset.ImagePositionPatient])
            except Exception:  # a damaged file states nothing
                continue
    known = np.array([place for place in stated if len(place) == 3])
    if not len(known):
        return None
    distances = np.linalg.norm(corners[:, None] - known[None], axis=2)
    return bool(np.all(distances.min(axis=1) <= _SAME_PLACE_MM))


def _unpacked(path: Path) -> bytes | None:
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None


def _of_nifti1(start: bytes) -> Iterator[tuple[float, ...]]:
    """The lengths of the sform's columns where it is coded and the qform is not, else also the header's voxel size."""
    order = "<" if 1 <= int.from_bytes(start[40:42], "little") <= 7 else ">"
    qform_code, sform_code = np.frombuffer(start[252:256], f"{order}i2")
    pixdim = np.frombuffer(start[80:92], f"{order}f4").astype(float)
    sform = np.frombuffer(start[280:328], f"{order}f4").astype(float).reshape(3, 4)
    with np.errstate(all="ignore"):
        columns = np.linalg.norm(sform[:, :3], axis=0)
        for sizes in (pixdim,) if sform_code <= 0 else (columns,) if qform_code <= 0 else (columns, pixdim):
            yield from (tuple(sizes * scale) for scale in (1.0, 1000.0, 0.001))


def _of_nrrd(header: str) -> Iterator[tuple[float, ...]]:
    for line in header.splitlines():
        if line.startswith("spacings:"):
            yield tuple(_numbers(line))[:3]
        elif line.startswith("space directions:"):
            vectors = [_numbers(vector) for vector in re.findall(r"\(([^()]*)\)", line)]
            yield tuple(float(np.linalg.norm(v)) for v in vectors)[:3]


def _of_metaimage(header: str) -> Iterator[tuple[float, ...]]:
    for line in header.splitlines():
        if re.match(r"\s*Element(Spacing|Size)\s*=", line):
            yield tuple(_numbers(line.partition("=")[2]))[:3]


def _of_afni(header: str) -> Iterator[tuple[float, ...]]:
    found = re.search(r"name\s*=\s*DELTA\s*\n[^\n]*\n([^\n]*)", header)
    if found:
        yield tuple(_numbers(found.group(1)))[:3]


def _of_dicom(data: bytes) -> Iterator[tuple[float, ...]]:
    """Every pixel spacing at any depth, as (between columns, between rows)."""
    with warnings.catch_warnings(action="ignore"):
        yield from _pixel_spacings(pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, force=True))


def _pixel_spacings(dataset: pydicom.Dataset) -> Iterator[tuple[float, float]]:
    for tag in list(dataset.keys()):
        try:
            value = dataset[tag].value if tag == _PIXEL_SPACING or dataset.get_item(tag).VR in (None, "SQ") else ()
            if tag == _PIXEL_SPACING:
                rows, columns = (float(number) for number in value)
                yield columns, rows
        except Exception:  # a damaged element says nothing, and hides no other
            continue
        for item in value if isinstance(value, pydicom.Sequence) else ():
            yield from _pixel_spacings(item)


def _numbers(text: str) -> list[float]:
    found = []
    for word in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text):
        found.append(float(word))
    return found
