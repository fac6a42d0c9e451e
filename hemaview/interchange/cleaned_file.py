"""One DICOM file, cleaned in memory."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import pydicom
import pydicom.config
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hemaview.errors import ScanError
from hemaview.imaging.reading.dicom.header import read_dataset
from hemaview.imaging.reading.dicom.technique import study_of
from hemaview.imaging.reading.sources import Source
from hemaview.interchange.burned_in import may_show_text
from hemaview.interchange.dates import Dates
from hemaview.interchange.profile import apply_profile
from hemaview.interchange.pseudonyms import Pseudonyms

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_NO_PREAMBLE = bytes(128)


class NotCleaned(Exception):  # noqa: N818 - a finding about a file, counted and reported
    """A file that is left out; the text is the rest of a sentence that begins with "it"."""


@dataclass(frozen=True)
class CleanedFile:
    """The bytes to write, and whether the picture in them may show text."""

    data: bytes
    may_show_text: bool


def cleaned_file(source: Source, pseudonyms: Pseudonyms, dates: Dates) -> CleanedFile:
    """The file without what says who the patient is, in its own transfer syntax; raises ``NotCleaned``."""
    try:
        with source.open() as stream:
            dataset = read_dataset(stream)
        if not any(name in dataset for name in _PIXELS):
            raise NotCleaned("holds no picture, such as a report or a document")
        shows_text = may_show_text(dataset) is not None
        study = study_of(dataset)
        patient = pseudonyms.patient(study.patient or study.study)
        _begin_new_header(dataset)
        apply_profile(dataset, patient, pseudonyms, dates)
        return CleanedFile(_encoded(dataset), shows_text)
    except NotCleaned:
        raise
    except (ScanError, Exception) as error:  # pydicom raises many kinds for damaged files
        raise NotCleaned("is damaged, so that it cannot be cleaned") from error


def _begin_new_header(dataset: FileDataset) -> None:
    """A preamble and file meta information that say nothing but how the data set is stored and what it is."""
    old = getattr(dataset, "file_meta", FileMetaDataset())
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = old.get("TransferSyntaxUID") or _guessed_syntax(dataset)
    dataset.SOPClassUID = dataset.get("SOPClassUID") or old.get("MediaStorageSOPClassUID")
    dataset.file_meta = meta
    dataset.preamble = _NO_PREAMBLE


def _guessed_syntax(dataset: FileDataset) -> str:
    implicit, little = dataset.original_encoding
    if implicit:
        return str(ImplicitVRLittleEndian)
    return str(ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def _encoded(dataset: FileDataset) -> bytes:
    written = io.BytesIO()
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(written, dataset, enforce_file_format=True)
    return written.getvalue()
