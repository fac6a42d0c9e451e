"""The formats outside DICOM: how each is recognised and which reader takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hemaview.errors import ScanError
from hemaview.imaging.reading.afni import is_afni, open_afni
from hemaview.imaging.reading.analyze import is_analyze, open_analyze
from hemaview.imaging.reading.files import incomplete, read_start
from hemaview.imaging.reading.foreign_formats import foreign_format
from hemaview.imaging.reading.metaimage import is_metaimage, open_metaimage
from hemaview.imaging.reading.mgh import is_mgh, open_mgh
from hemaview.imaging.reading.minc import is_minc1, is_minc2, open_minc
from hemaview.imaging.reading.nifti import is_nifti, open_nifti
from hemaview.imaging.reading.nrrd import is_nrrd, open_nrrd
from hemaview.imaging.reading.pairs import header_of
from hemaview.imaging.reading.par_rec import is_par, open_par
from hemaview.imaging.reading.scan_file import ScanFile

_START_BYTES = 4096


@dataclass(frozen=True)
class Format:
    """A format by its name; ``recognises`` looks at the first bytes of a file or of the header half of a pair.

    ``suffixes`` are those of its files, of both halves of a pair, without .gz.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    open: Callable[[Path], ScanFile]


FORMATS = (
    Format("NIfTI", (".nii", ".hdr", ".img"), is_nifti, open_nifti),
    Format("Analyze", (".hdr", ".img"), is_analyze, open_analyze),
    Format("NRRD", (".nrrd", ".nhdr"), is_nrrd, open_nrrd),
    Format("MetaImage", (".mha", ".mhd"), is_metaimage, open_metaimage),
    Format("MINC", (".mnc",), is_minc1, open_minc),
    Format("MINC", (".mnc",), is_minc2, open_minc),
    Format("MGH", (".mgh", ".mgz"), is_mgh, open_mgh),
    Format("AFNI", (".head", ".brik"), is_afni, open_afni),
    Format("PAR/REC", (".par", ".rec"), is_par, open_par),
)

_NAMES = tuple(dict.fromkeys(f.name for f in FORMATS))
OPENS = f"HEMAVIEW opens {', '.join(_NAMES)} and DICOM scans"

VOLUME_SUFFIXES = tuple(
    suffix + packed for packed in (".gz", "") for suffix in dict.fromkeys(s for f in FORMATS for s in f.suffixes)
)
"""File names that hold a whole scan or half of one, longest first."""


def open_scan_file(path: Path) -> ScanFile:
    """The header of a scan outside DICOM, or of the pair of which ``path`` is either half. Raises ``ScanError``."""
    start = read_start(path, _START_BYTES)
    found = _format_of(start)
    if found is None:
        header = header_of(path)
        found = _format_of(read_start(header, _START_BYTES)) if header != path else None
        if found is None:
            raise _unknown(path, start)
        path = header
    return found.open(path)


def _format_of(start: bytes) -> Format | None:
    return next((f for f in FORMATS if f.recognises(start)), None)


def _unknown(path: Path, start: bytes) -> ScanError:
    name = path.name.lower()
    foreign = foreign_format(path.name, start)
    if foreign is not None:
        return foreign
    if name.endswith((*VOLUME_SUFFIXES, ".dcm", ".ima")):
        return incomplete(path.name)
    if name.endswith((".dcm.gz", ".zip")):
        return ScanError(f"'{path.name}' is packed in a way that cannot be opened; unpack it and open the result.")
    return ScanError(f"'{path.name}' is not a scan that can be opened; {OPENS}.")
