"""How a picture was made, what tells it from others of the same place, and which study it belongs to.

Names and descriptions in the header are looked at here and dropped: only the kind of sequence found in them and
digests of the patient's and study's identity leave this module.
"""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from hemaview.imaging.reading.dicom.elements import tag, text, texts, value
from hemaview.imaging.sequence import sequence_in_name
from hemaview.imaging.study import StudyKey

_TECHNIQUE = (
    ("manufacturer", "Manufacturer"),
    ("model", "ManufacturerModelName"),
    ("image_type", "ImageType"),
    ("sequence", "ScanningSequence"),
    ("variant", "SequenceVariant"),
    ("acquisition", "MRAcquisitionType"),
    ("contrast", "AcquisitionContrast"),
    ("component", "ComplexImageComponent"),
    ("repetition_time_ms", "RepetitionTime"),
    ("echo_time_ms", "EchoTime"),
    ("inversion_time_ms", "InversionTime"),
    ("flip_degrees", "FlipAngle"),
    ("b_value", "DiffusionBValue"),
    ("field_t", "MagneticFieldStrength"),
    ("kernel", "ConvolutionKernel"),
    ("kv", "KVP"),
    ("stated_tilt_degrees", "GantryDetectorTilt"),
)
_MOMENTS = (
    ("echo", "EchoTime"),
    ("b-value", "DiffusionBValue"),
    ("direction", "DiffusionGradientOrientation"),
    ("time", "TemporalPositionIdentifier"),
    ("times", "NumberOfTemporalPositions"),
    ("acquisition", "AcquisitionNumber"),
    ("clock", "AcquisitionTime"),
    ("content", "ContentTime"),
    ("trigger", "TriggerTime"),
    ("placement", "FrameOfReferenceUID"),
)
_NAMES = ("ProtocolName", "SeriesDescription", "SequenceName", "PulseSequenceName")
_AGENT = "ContrastBolusAgent"
_NO_AGENT = {"", "NO", "NONE", "OFF", "0", "N"}
_PATIENT = ("PatientID", "PatientName", "PatientBirthDate")
_STUDY, _DATES = "StudyInstanceUID", ("StudyDate", "SeriesDate", "AcquisitionDate")

_GE_CREATOR, _GE_B_VALUES, _GE_DATA_TYPE = (0x0043, 0x0010), (0x0043, 0x1039), (0x0043, 0x102F)
_GE_COMPONENTS = {0: "MAGNITUDE", 1: "PHASE", 2: "REAL", 3: "IMAGINARY"}
_GE_B_VALUE_MARK = 100_000
"""GE adds multiples of this to b-values to mark how they came about."""
_VENDOR_B_VALUES = (
    ((0x0019, 0x0010), "SIEMENS", (0x0019, 0x100C)),
    ((0x2001, 0x0010), "PHILIPS", (0x2001, 0x1003)),
    ((0x0065, 0x0010), "IMAGE PRIVATE HEADER", (0x0065, 0x1009)),
)

TECHNIQUE_TAGS: tuple[Any, ...] = tuple(
    dict.fromkeys(
        (
            *(key for _, key in (*_TECHNIQUE, *_MOMENTS)),
            *_NAMES, _AGENT, *_PATIENT, _STUDY, *_DATES,
            _GE_CREATOR, _GE_B_VALUES, _GE_DATA_TYPE,
            *(key for creator, _, element in _VENDOR_B_VALUES for key in (creator, element)),
        )
    )
)  # fmt: skip
"""Every element that is looked at here."""


def technique_of(dataset: Dataset) -> dict[str, str]:
    """Technical facts of a picture as text, several values joined by "/"; without what the header does not say.

    ``named`` is the kind of sequence that the protocol's or series' name speaks of, ``contrast_agent`` is "yes"
    where one is named.
    """
    facts = {name: found for name, key in _TECHNIQUE if (found := "/".join(texts(dataset, key)))}
    if b_value := _b_value(dataset):
        facts["b_value"] = b_value
    if "component" not in facts and (component := _ge_component(dataset)):
        facts["component"] = component
    if text(dataset, _AGENT).upper() not in _NO_AGENT:
        facts["contrast_agent"] = "yes"
    if named := _kind_named(tuple("/".join(texts(dataset, key)) for key in _NAMES)):
        facts["named"] = named
    return facts


def moments_of(dataset: Dataset) -> dict[str, str]:
    """What may differ between pictures of one place, as text; empty where the header does not say."""
    moments = {name: "/".join(texts(dataset, key)) for name, key in _MOMENTS}
    moments["b-value"] = _b_value(dataset)
    return moments


def study_of(dataset: Dataset) -> StudyKey:
    """The digests of patient and study, and the study's date."""
    patient = tuple(_raw(dataset, key) for key in _PATIENT)
    date = next((day for key in _DATES if (day := text(dataset, key))), "")
    return _study_key(patient, text(dataset, _STUDY), date)


@lru_cache(maxsize=64)
def _study_key(patient: tuple[str, ...], study: str, date: str) -> StudyKey:
    return StudyKey(_digest("|".join(patient)) if any(patient) else "", _digest(study) if study else "", date)


def _digest(identity: str) -> str:
    return hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=256)
def _kind_named(names: tuple[str, ...]) -> str:
    found = sequence_in_name(*names)
    return str(found) if found else ""


def _raw(dataset: Dataset, key: Any) -> str:
    """The text as it is stored: for a digest, so that no character set has to be known."""
    element = dataset.get_item(tag(key))
    if isinstance(element, RawDataElement):
        return (element.value or b"").decode("latin-1").strip(" ^\0")
    return str(element.value).strip(" ^") if element is not None else ""


def _b_value(dataset: Dataset) -> str:
    """The diffusion weight in s/mm2 from the standard element or the vendor's own; empty where there is none."""
    if found := _number(dataset, "DiffusionBValue"):
        return found
    if _GE_B_VALUES in dataset and text(dataset, _GE_CREATOR).startswith("GEMS_PARM"):
        first = text(dataset, _GE_B_VALUES)
        return str(int(first) % _GE_B_VALUE_MARK) if first.isdigit() else ""
    for creator, maker, element in _VENDOR_B_VALUES:
        if element in dataset and text(dataset, creator).upper().startswith(maker):
            return _number(dataset, element)
    return ""


def _ge_component(dataset: Dataset) -> str:
    if _GE_DATA_TYPE not in dataset or not text(dataset, _GE_CREATOR).startswith("GEMS_PARM"):
        return ""
    code = _number(dataset, _GE_DATA_TYPE)
    return _GE_COMPONENTS.get(int(code), "") if code.isdigit() else ""


def _number(dataset: Dataset, key: Any) -> str:
    """A number in the shortest way of writing it; in an implicit file its length says what kind it is."""
    if tag(key) not in dataset:
        return ""
    found = value(dataset, key)
    if isinstance(found, bytes) and len(found) in (2, 4, 8):
        found = struct.unpack({2: "<h", 4: "<f", 8: "<d"}[len(found)], found)[0]
    try:
        return f"{float(found):.6g}"
    except (TypeError, ValueError):
        return ""
