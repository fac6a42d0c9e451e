"""Values of single DICOM elements as plain text and numbers, None or empty where they are missing or damaged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pydicom.sequence
import pydicom.tag
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

_TEXT_VRS = {"CS", "DS", "IS", "UI", "SH", "LO", "TM", "DT", "DA"}
_LARGEST = 1e6
"""No length, position or scale of a head scan is larger; a header that says so is damaged."""
_LONGEST_TEXT = 128

tag = cache(pydicom.tag.Tag)


@cache
def _standard_vr(key: Any) -> str | None:
    try:
        return str(dictionary_VR(tag(key)))
    except KeyError:
        return None


def value(dataset: Dataset, key: Any) -> Any:
    """The element's value as pydicom converts it, or None."""
    try:
        element = dataset.get(tag(key))
        return None if element is None else element.value
    except Exception:  # one damaged element must not hide the others
        return None


def texts(dataset: Dataset, key: Any) -> tuple[str, ...]:
    """The element's values as text, without padding and empty ones."""
    # Decoding the raw text here takes a tenth of pydicom's conversion, which matters for hundreds of files.
    raw = dataset.get_item(tag(key))
    if isinstance(raw, RawDataElement) and (raw.VR or _standard_vr(key)) in _TEXT_VRS:
        words = (word.strip(" \0\t\r\n") for word in (raw.value or b"").decode("latin-1").split("\\"))
        return tuple(word for word in words if _is_text(word))
    converted = value(dataset, key)
    if converted is None or isinstance(converted, bytes):
        return ()
    is_list = isinstance(converted, Sequence) and not isinstance(converted, str)
    words = (str(part).strip() for part in (converted if is_list else [converted]))
    return tuple(word for word in words if _is_text(word))


def _is_text(word: str) -> bool:
    """Whether it can be a value: of an element with a damaged length it is all that follows, patient data included."""
    return 0 < len(word) <= _LONGEST_TEXT and word.isprintable()


def text(dataset: Dataset, key: Any) -> str:
    """The first of the element's values, or an empty text."""
    parts = texts(dataset, key)
    return parts[0] if parts else ""


def floats(dataset: Dataset, key: Any, count: int) -> tuple[float, ...] | None:
    """Exactly ``count`` finite numbers of a sensible size, or None."""
    try:
        numbers = tuple(float(part) for part in texts(dataset, key))
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(abs(n) < _LARGEST for n in numbers) else None


def decimal(dataset: Dataset, key: Any) -> float | None:
    """One finite number of a sensible size, or None."""
    numbers = floats(dataset, key, 1)
    return numbers[0] if numbers else None


def is_no_number(dataset: Dataset, key: Any) -> bool:
    """Whether the element has a value that ``decimal`` cannot read, such as "0,5"; a missing one is no such."""
    return bool(text(dataset, key)) and decimal(dataset, key) is None


def integer(dataset: Dataset, key: Any) -> int | None:
    """One whole number, or None."""
    raw = dataset.get_item(tag(key))
    is_short = isinstance(raw, RawDataElement) and (raw.VR or _standard_vr(key)) in ("US", "US or SS")
    if isinstance(raw, RawDataElement) and is_short and raw.value is not None and len(raw.value) == 2:
        return int.from_bytes(raw.value, "little" if raw.is_little_endian else "big")
    number = text(dataset, key)
    try:
        return int(float(number)) if number and abs(float(number)) < 2**31 else None
    except ValueError:
        return None


def items(dataset: Dataset, key: Any) -> Sequence[Dataset]:
    """The items of a sequence; empty when it is missing, empty or damaged."""
    found = value(dataset, key)
    return found if isinstance(found, pydicom.sequence.Sequence) else ()


def first_item(dataset: Dataset, key: Any) -> Dataset | None:
    """The first item of a sequence, or None."""
    found = items(dataset, key)
    return found[0] if len(found) else None
