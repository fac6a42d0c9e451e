"""Opening a scan: which kind of file is it, and which reader takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.finding import DICOMDIR_CLASS
from hemaview.imaging.reading.dicom.header import Instance, read_instance
from hemaview.imaging.reading.dicom.opening import read_series
from hemaview.imaging.reading.dicom.series import find_series
from hemaview.imaging.reading.files import check_readable, incomplete, read_start
from hemaview.imaging.reading.formats import VOLUME_SUFFIXES
from hemaview.imaging.reading.packed_scans import list_packed, packed_scans, read_packed
from hemaview.imaging.reading.pairs import is_voxels_half
from hemaview.imaging.reading.scan_file import Progress
from hemaview.imaging.reading.sources import Source, archive_sources, folder_sources, looks_like_dicom, open_archive
from hemaview.imaging.reading.summary import SeriesSummary
from hemaview.imaging.reading.whole_scan import list_images, read_image
from hemaview.imaging.volume import Volume

_START_BYTES = 4096
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_SUFFIX = ".zip"


def read_scan(
    path: Path | str, *, series_uid: str | None = None, progress: Callable[[float], None] | None = None
) -> Volume:
    """Open a scan: DICOM or one of ``formats.FORMATS``, of a pair of files either half.

    DICOM may be a folder (searched with its sub-folders), one file of a series (its siblings are found), a DICOMDIR
    or a .zip of a folder; a .zip may also hold files of other formats. Among several series, or images of one file,
    the one that ``list_series`` calls ``series_uid`` is read; otherwise the largest series that can be measured or the
    first image, with a note. ``progress`` is called with 0...1 in the calling thread and may raise ``Cancelled``.

    The volume lies in LPS mm on its own grid, never resampled; what was changed is in its ``notes``. Raises
    ``ScanError`` with one sentence for anything that cannot be opened or whose geometry cannot be trusted.
    """
    target = Path(path)
    check_readable(target)
    if target.is_dir():
        return _read_folder(target, series_uid, progress)
    start = read_start(target, _START_BYTES)
    if start[:4] in _ZIP_MAGIC:
        return _read_zip(target, series_uid, progress)
    if _is_dicom(target, start):
        return _read_dicom_file(target, series_uid, progress)
    volume = read_image(target, series_uid, progress)
    if progress:
        progress(1.0)
    return volume


def list_series(path: Path | str) -> tuple[SeriesSummary, ...]:
    """The DICOM series in a folder, a zip, or beside a DICOM file; the images in a file of another format.

    Raises ``ScanError`` where ``read_scan`` would for every choice.
    """
    target = Path(path)
    check_readable(target)
    if target.is_dir():
        found = find_series(tuple(folder_sources(target, recursive=True)))
    elif (start := read_start(target, _START_BYTES))[:4] in _ZIP_MAGIC:
        with open_archive(target) as archive:
            sources = archive_sources(target, archive)
            if scans := packed_scans(sources):
                return list_packed(sources, scans)
            found = find_series(sources)
    elif _is_dicom(target, start):
        found = find_series(_siblings(target))
    else:
        return list_images(target)
    return tuple(series.summary for series in found)


def _is_dicom(path: Path, start: bytes) -> bool:
    """Whether a file is DICOM by its first bytes, which the bare voxels of a pair may resemble."""
    return looks_like_dicom(start) and not is_voxels_half(path)


def _read_folder(folder: Path, series_uid: str | None, progress: Progress | None) -> Volume:
    sources = tuple(folder_sources(folder, recursive=True))
    if not sources:
        raise ScanError(f"The folder '{folder.name}' is empty; choose the folder that holds the scan.")
    others = [s for s in sources if s.name.lower().endswith((*VOLUME_SUFFIXES, _ZIP_SUFFIX))]
    try:
        return read_series(sources, folder.name, series_uid, progress)
    except ScanError as error:
        if others and "holds no DICOM image" in str(error):
            raise ScanError(
                f"The folder '{folder.name}' holds no DICOM image; open one of its files instead, "
                f"for example '{others[0].name}'."
            ) from error
        raise


def _siblings(path: Path) -> tuple[Source, ...]:
    """The files beside a DICOM file that can belong to its series; everything below a DICOMDIR."""
    instance = _dicom_file(path)
    if not instance.series_uid and instance.sop_class != DICOMDIR_CLASS:
        return (instance.source,)
    return tuple(folder_sources(path.parent, recursive=instance.sop_class == DICOMDIR_CLASS))


def _dicom_file(path: Path) -> Instance:
    instance = read_instance(Source(path.name, path))
    if instance is None:
        raise incomplete(path.name)
    return instance


def _read_dicom_file(path: Path, series_uid: str | None, progress: Progress | None) -> Volume:
    instance = _dicom_file(path)
    if instance.sop_class == DICOMDIR_CLASS:
        return read_series(_siblings(path), path.parent.name, series_uid, progress)
    if instance.is_truncated:
        raise incomplete(path.name)
    return read_series(_siblings(path), path.name, series_uid, progress, file=path)


def _read_zip(path: Path, series_uid: str | None, progress: Progress | None) -> Volume:
    with open_archive(path) as archive:
        sources = archive_sources(path, archive)
        scans = packed_scans(sources)
        if not scans:
            return _read_packed_series(path, sources, series_uid, progress)
        volume = read_packed(path, sources, scans, series_uid, progress)
    if progress:
        progress(1.0)
    return volume


def _read_packed_series(
    path: Path, sources: Sequence[Source], series_uid: str | None, progress: Progress | None
) -> Volume:
    try:
        return read_series(sources, path.name, series_uid, progress)
    except ScanError as error:
        inner = next((s.name for s in sources if s.name.lower().endswith(_ZIP_SUFFIX)), None)
        if inner and "holds no DICOM image" in str(error):
            raise ScanError(f"'{path.name}' holds another zip ('{inner}'); unpack it and open that one.") from error
        raise
