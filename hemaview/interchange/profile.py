"""A DICOM data set without what says who the patient is (DICOM PS3.15, annex E, basic profile).

Beyond the table of the profile, which names elements one by one: every UID that the standard does not define is
replaced, every person's name and date goes wherever it stands, elements that no dictionary knows are removed, and
free text that still contains the patient's name or number is emptied. Private elements go, but for a few numbers and
positions without which some scanners' pictures cannot be placed or scaled.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from datetime import timedelta

import pydicom.config
from dicomanonymizer.simpledicomanonymizer import replace_element
from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from hemaview import __version__
from hemaview.interchange.dates import Dates, shifted
from hemaview.interchange.private_numbers import reduce_private
from hemaview.interchange.profile_table import EDITION, Treatment, treatment_of
from hemaview.interchange.pseudonyms import Pseudonym, Pseudonyms

_TIMES = ("DA", "DT", "TM")
_FREE_TEXT = ("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT")
_CLASS_UIDS = ("SOPClassUID", "ReferencedSOPClassUID", "RelatedGeneralSOPClassUID")
_PATIENT_GROUP = 0x0010
_PADDING_GROUP = 0xFFFC
_SHORTEST_NAME, _SHORTEST_NUMBER = 3, 4
_PERSONAL_NUMBERS = (
    "PatientID", "OtherPatientIDs", "AccessionNumber", "PatientBirthDate", "PatientTelephoneNumbers", "StudyID",
    "InstitutionName", "PatientAddress", "AdmissionID", "MedicalRecordLocator",
)  # fmt: skip


def apply_profile(dataset: Dataset, pseudonym: Pseudonym, pseudonyms: Pseudonyms, dates: Dates) -> None:
    """Take everything out of ``dataset`` that the profile asks for; its pixels and geometry stay as they are."""
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        shift = pseudonym.shift if dates is Dates.SHIFT else None
        _Cleaning(pseudonyms, shift, _naming_people(dataset)).clean(dataset)
        dataset.PatientName = dataset.PatientID = pseudonym.name
        _say_what_was_done(dataset, dates)


class _Cleaning:
    """The same treatment of a data set and of every item of its sequences."""

    def __init__(self, pseudonyms: Pseudonyms, shift: timedelta | None, people: re.Pattern[str] | None) -> None:
        self._pseudonyms = pseudonyms
        self._shift = shift
        self._people = people

    def clean(self, dataset: Dataset) -> None:
        for tag in list(dataset.keys()):
            element = _parsed(dataset, tag)
            if element is None or not self._kept(dataset, element):
                del dataset[tag]

    def _kept(self, dataset: Dataset, element: DataElement) -> bool:
        """Treat the element; False when it must go."""
        tag = element.tag
        if tag.is_private:
            if not reduce_private(dataset, element):
                return False
        elif tag.group == _PADDING_GROUP or not dictionary_has_tag(tag):
            return False
        if element.VR in _TIMES and self._shift is not None and tag.group != _PATIENT_GROUP:
            self._move(element, self._shift)
            return True
        treatment = treatment_of(tag)
        if treatment is Treatment.REMOVE:
            return False
        if element.VR == "SQ":
            return treatment is not Treatment.DUMMY and self._clean_items(element)
        if element.VR == "UI":
            self._renew(element)
        elif element.VR in ("PN", *_TIMES) or treatment is Treatment.EMPTY or tag.group == _PATIENT_GROUP:
            element.value = None
        elif treatment is Treatment.DUMMY and not element.is_empty:
            return _made_dummy(element)
        elif element.VR in _FREE_TEXT and self._speaks_of_people(element):
            element.value = None
        return True

    def _clean_items(self, element: DataElement) -> bool:
        for item in element.value or ():
            self.clean(item)
        return True

    def _renew(self, element: DataElement) -> None:
        if element.keyword in _CLASS_UIDS:
            return
        renewed = [self._pseudonyms.uid(str(uid)) for uid in _values(element)]
        element.value = renewed if len(renewed) > 1 else "".join(renewed)

    def _move(self, element: DataElement, shift: timedelta) -> None:
        """Dates by whole days; times of day stay."""
        if element.VR != "TM":
            moved = [shifted(str(value), shift) for value in _values(element)]
            element.value = moved if len(moved) > 1 else "".join(moved)

    def _speaks_of_people(self, element: DataElement) -> bool:
        said = " ".join(map(str, _values(element))).casefold()
        return self._people is not None and self._people.search(said) is not None


def _parsed(dataset: Dataset, tag: BaseTag) -> DataElement | None:
    """The element with its value converted, or None when it is damaged or of a kind nobody knows."""
    try:
        element = dataset[tag]
    except Exception:  # pydicom raises many kinds for damaged values
        return None
    return None if element.VR == "UN" and not element.tag.is_private else element


def _made_dummy(element: DataElement) -> bool:
    try:
        replace_element(element)
    except NotImplementedError:
        return False
    return True


def _values(element: DataElement) -> list[object]:
    value = element.value
    if value is None or value == "":
        return []
    return list(value) if element.VM > 1 else [value]


def _naming_people(dataset: Dataset) -> re.Pattern[str] | None:
    """What finds any part of a person's name as a word, or a personal number anywhere, in lower-case text."""
    names: set[str] = set()
    numbers: set[str] = set()
    for element in _all_elements(dataset):
        said = [str(value).casefold() for value in _values(element)]
        if element.VR == "PN":
            names.update(word for text in said for word in re.split(r"[\^=,\s]+", text))
        elif element.keyword in _PERSONAL_NUMBERS:
            numbers.update(text.strip() for text in said)
    patterns = [rf"(?<![^\W_]){re.escape(name)}(?![^\W_])" for name in names if len(name) >= _SHORTEST_NAME]
    patterns += [re.escape(number) for number in numbers if len(number) >= _SHORTEST_NUMBER]
    return re.compile("|".join(patterns)) if patterns else None


def _all_elements(dataset: Dataset) -> Iterator[DataElement]:
    for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset itself stops at a damaged element
        element = _parsed(dataset, tag)
        if element is not None:
            yield element
            if element.VR == "SQ":
                for item in element.value or ():
                    yield from _all_elements(item)


def _say_what_was_done(dataset: Dataset, dates: Dates) -> None:
    """PS3.15 E.1.1: mark the data set as de-identified, by which profile and options."""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [f"HEMAVIEW {__version__}", f"PS3.15 {EDITION} basic profile", f"Dates: {dates}"]
    codes = [("113100", "Basic Application Confidentiality Profile"), ("113111", "Retain Safe Private Option")]
    if dates is Dates.SHIFT:
        codes.append(("113107", "Retain Longitudinal Temporal Information Modified Dates Option"))
    dataset.DeidentificationMethodCodeSequence = Sequence([_code(*code) for code in codes])
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if dates is Dates.SHIFT else "REMOVED"


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
