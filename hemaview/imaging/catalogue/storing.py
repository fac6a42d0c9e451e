"""A look at a file as JSON and back."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, get_type_hints

import msgspec

from hemaview import __version__
from hemaview.imaging.catalogue.looking import Kind, Look
from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.sources import Source

# Everything an Instance says about its picture; where the file lies is known when it is read again.
_HINTS = {name: hint for name, hint in get_type_hints(Instance).items() if name != "source"}
_Picture = msgspec.defstruct("_Picture", list(_HINTS.items()), array_like=True)
_Stored = msgspec.defstruct("_Stored", [("kind", Kind), ("pictures", tuple[_Picture, ...])], array_like=True)  # type: ignore[valid-type]

_LAYOUT = hashlib.blake2b(repr(_HINTS).encode(), digest_size=8).hexdigest()
STORED_FORM = f"1 {__version__} {_LAYOUT}"
"""Differs whenever what is stored, or the version of the program that understood the header, differs."""


def look_to_json(look: Look) -> bytes:
    """JSON, packed, for ``look_from_json``."""
    pictures = tuple(_Picture(*(getattr(picture, name) for name in _HINTS)) for picture in look.pictures)
    return zlib.compress(msgspec.json.encode(_Stored(look.kind, pictures)), 1)


def look_from_json(packed: bytes, source: Source) -> Look | None:
    """The look that was stored, its pictures now in ``source``; None when the bytes are damaged."""
    try:
        stored: Any = msgspec.json.decode(zlib.decompress(packed), type=_Stored)
    except (zlib.error, msgspec.MsgspecError):
        return None
    return Look(
        stored.kind,
        tuple(Instance(source=source, **{name: getattr(p, name) for name in _HINTS}) for p in stored.pictures),
    )
