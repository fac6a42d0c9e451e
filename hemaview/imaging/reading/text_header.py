"""The text headers of NRRD and MetaImage: lines of "name: value" or "name = value" before the voxels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hemaview.errors import ScanError
from hemaview.imaging.reading.files import MAX_DEFLATE_RATIO, access_error, incomplete

_HEADER_LIMIT = 1 << 20
_LONGEST_NAME = 255
_BZIP2_RATIO = 50_000
_TEXT_RATIO = 8
"""A double takes eight bytes of memory and, as text, at least two characters."""

_RATIOS = {
    "raw": 1, "false": 1, "": 1,
    "gz": MAX_DEFLATE_RATIO, "gzip": MAX_DEFLATE_RATIO, "true": MAX_DEFLATE_RATIO,
    "bz2": _BZIP2_RATIO, "bzip2": _BZIP2_RATIO,
}  # fmt: skip


def header_fields(path: Path, separator: str, last: str = "") -> Mapping[str, str]:
    """Field names in lower case to their text, up to the field ``last``, a blank line or the data."""
    try:
        with path.open("rb") as stream:
            text = stream.read(_HEADER_LIMIT).decode("latin-1")
    except OSError as error:
        raise access_error(path.name, error) from error
    fields: dict[str, str] = {}
    for number, line in enumerate(text.splitlines()):
        line = line.strip()
        if not line and number and not last:
            break
        name, found, value = line.partition(separator)
        name = name.strip().lower()
        if found and not line.startswith("#"):
            fields[name] = value.strip().removeprefix("=").strip()
        if last and name == last:
            break
    return fields


def lengths(text: str) -> list[float]:
    """The positive finite numbers among the words of ``text``, signs left out."""
    found = []
    for word in text.split():
        try:
            number = abs(float(word))
        except ValueError:
            continue
        if 0 < number < float("inf"):
            found.append(number)
    return found


def check_millimetres(text: str, path: Path) -> None:
    """Raise ``ScanError`` when a field of units names another one than millimetres."""
    for unit in text.replace('"', " ").lower().split():
        if unit not in ("mm", "millimeter", "millimetre", "???", "none"):
            raise ScanError(
                f"'{path.name}' gives its lengths in '{unit}' instead of millimetres; convert it and open it again."
            )


def check_holds(path: Path, detached: str, encoding: str, claimed: float) -> None:
    """Raise ``ScanError`` when ``claimed`` bytes of voxels cannot be in the file or in its ``detached`` data file.

    Done before memory is taken for them. Data spread over several files are not looked at.
    """
    held = path
    if detached:
        if len(detached.split()) > 1 or detached.upper() == "LIST" or "%" in detached:
            return
        if not detached.isprintable() or len(detached) > _LONGEST_NAME:
            raise incomplete(path.name)
        held = path.parent / detached
        if not held.is_file():
            raise ScanError(
                f"'{path.name}' is a header and its data file '{held.name}' is missing; put both into one folder."
            )
    if claimed > held.stat().st_size * _RATIOS.get(encoding.lower(), _TEXT_RATIO):
        raise incomplete(path.name)
