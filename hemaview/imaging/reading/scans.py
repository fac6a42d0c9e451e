"""Opening a scan: which kind of file is it, and which reader takes it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.header import Instance, read_instance
from hemaview.imaging.reading.dicom.series import DICOMDIR_CLASS, find_series, read_series
from hemaview.imaging.reading.dicom.stack import kind_problem
from hemaview.imaging.reading.files import check_readable, incomplete, read_start
from hemaview.imaging.reading.itk_formats import is_metaimage, is_nrrd, read_metaimage, read_nrrd
from hemaview.imaging.reading.nifti import RawScan, is_analyze, is_nifti, read_nifti
from hemaview.imaging.reading.pixels import guess_modality, to_scan_values
from hemaview.imaging.reading.sources import Source, archive_sources, folder_sources, looks_like_dicom, open_archive
from hemaview.imaging.reading.summary import SeriesSummary
from hemaview.imaging.sequence import guess_from_name
from hemaview.imaging.volume import Modality, Volume

Progress = Callable[[float], None]

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".hdr.gz", ".hdr", ".img.gz", ".img", ".nrrd", ".nhdr", ".mha", ".mhd")
"""File names that hold a whole scan, longest first."""

_START_BYTES = 4096
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_OPENS = "HEMAVIEW opens NIfTI, NRRD, MetaImage and DICOM scans"


def read_scan(
    path: Path | str, *, series_uid: str | None = None, progress: Callable[[float], None] | None = None
) -> Volume:
    """Open a scan: NIfTI (.nii, .nii.gz, either half of a pair), NRRD, MetaImage, or DICOM.

    DICOM may be a folder (searched with its sub-folders), one file of a series (its siblings are found), a DICOMDIR
    or a .zip of a folder; a .zip may also hold one NIfTI, NRRD or MetaImage file. Among several series the one named
    by ``series_uid`` is read, otherwise the largest that can be measured, with a note. ``progress`` is called with
    0...1 in the calling thread and may raise ``Cancelled``.

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
    if looks_like_dicom(start):
        return _read_dicom_file(target, series_uid, progress)
    volume = _volume(read_raw(target, progress), _bare_name(target))
    if progress:
        progress(1.0)
    return volume


def list_series(path: Path | str) -> tuple[SeriesSummary, ...]:
    """The DICOM series in a folder, a zip, or beside a DICOM file; empty for other formats. Raises ``ScanError``."""
    target = Path(path)
    check_readable(target)
    if target.is_dir():
        found = find_series(tuple(folder_sources(target, recursive=True)))
    elif (start := read_start(target, _START_BYTES))[:4] in _ZIP_MAGIC:
        with open_archive(target) as archive:
            found = find_series(archive_sources(target, archive))
    elif looks_like_dicom(start):
        found = find_series(_siblings(target))
    else:
        found = ()
    return tuple(series.summary for series in found)


def read_raw(path: Path, progress: Progress | None = None) -> RawScan:
    """Values and geometry of a NIfTI, NRRD or MetaImage file before clean-up. Raises ``ScanError``."""
    name = path.name.lower()
    start = read_start(path, _START_BYTES)
    if is_nifti(start) or is_analyze(start) or name.endswith((".hdr", ".img", ".hdr.gz", ".img.gz")):
        return read_nifti(path, progress)
    if is_nrrd(start):
        return read_nrrd(path)
    if is_metaimage(start):
        return read_metaimage(path)
    raise _unknown(path, start)


def _unknown(path: Path, start: bytes) -> ScanError:
    name = path.name.lower()
    if name.endswith(VOLUME_SUFFIXES) or name.endswith((".dcm", ".ima")):
        return incomplete(path.name)
    if looks_like_dicom(start) or name.endswith((".dcm.gz", ".zip")):
        return ScanError(f"'{path.name}' is packed in a way that cannot be opened; unpack it and open the result.")
    return ScanError(f"'{path.name}' is not a scan that can be opened; {_OPENS}.")


def _volume(raw: RawScan, name: str) -> Volume:
    array, value_notes = to_scan_values(raw.values)
    looks_like, modality_notes = guess_modality(array, raw.stored_dtype)
    guess = guess_from_name(name, looks_like)
    return Volume(
        array=array,
        geometry=raw.geometry,
        modality=guess.sequence.modality,
        name=name,
        notes=(*raw.notes, *value_notes, *modality_notes),
        attributes=MappingProxyType({"format": raw.format, "stored_type": str(raw.stored_dtype)}),
        sequence=guess,
        hounsfield=looks_like is Modality.CT,
    )


def _bare_name(path: Path) -> str:
    suffix = next((s for s in VOLUME_SUFFIXES if path.name.lower().endswith(s)), path.suffix)
    return path.name[: len(path.name) - len(suffix)] or path.name


def _read_folder(folder: Path, series_uid: str | None, progress: Progress | None) -> Volume:
    sources = tuple(folder_sources(folder, recursive=True))
    if not sources:
        raise ScanError(f"The folder '{folder.name}' is empty; choose the folder that holds the scan.")
    volumes = [s for s in sources if s.name.lower().endswith(VOLUME_SUFFIXES)]
    try:
        return read_series(sources, folder.name, series_uid, progress)
    except ScanError as error:
        if volumes and "holds no DICOM image" in str(error):
            raise ScanError(
                f"The folder '{folder.name}' holds no DICOM image; open one of its files instead, "
                f"for example '{volumes[0].name}'."
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
    problem = kind_problem(instance)
    if problem:
        raise ScanError(f"'{path.name}' {problem}.")
    if instance.is_truncated:
        raise incomplete(path.name)
    return read_series(_siblings(path), path.name, series_uid or instance.series_uid, progress)


def _read_zip(path: Path, series_uid: str | None, progress: Progress | None) -> Volume:
    with open_archive(path) as archive:
        sources = archive_sources(path, archive)
        volumes = _whole_scans(sources)
        if not volumes or any(looks_like_dicom(s.start()) for s in sources):
            return read_series(sources, path.name, series_uid, progress)
        if len(volumes) > 1:
            names = ", ".join(f"'{s.name}'" for s in volumes[:4])
            raise ScanError(f"'{path.name}' holds {len(volumes)} scans ({names}); unpack it and open one of them.")
        return _read_unpacked(sources, volumes[0], progress)


def _whole_scans(sources: Sequence[Source]) -> list[Source]:
    """Files that hold a scan each; the image half of a pair does not count."""
    names = {s.name.lower() for s in sources}
    found = []
    for source in sources:
        name = source.name.lower()
        bare = name.removesuffix(".gz")
        half = bare.endswith(".img") and (f"{bare[:-4]}.hdr" in names or f"{bare[:-4]}.hdr.gz" in names)
        if name.endswith(VOLUME_SUFFIXES) and not half:
            found.append(source)
    return found


def _read_unpacked(sources: Sequence[Source], chosen: Source, progress: Progress | None) -> Volume:
    """Unpack the chosen scan and files of the same stem (its other half) under their bare names, and read it."""
    stem = _bare_name(Path(chosen.name)).lower()
    with tempfile.TemporaryDirectory(prefix="hemaview-") as folder:
        for source in sources:
            # Only the last part of a member's name is used, so nothing can be written elsewhere.
            name = Path(source.name.replace("\\", "/")).name
            if name and name.lower().split(".")[0] == stem.split(".")[0]:
                with source.open() as packed, (Path(folder) / name).open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
        volume = _volume(read_raw(Path(folder) / Path(chosen.name).name, progress), _bare_name(Path(chosen.name)))
    if progress:
        progress(1.0)
    return volume
