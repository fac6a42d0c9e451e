"""What of Siemens' private image header says where the slices of a mosaic lie, and nothing else of it.

The header (CSA2, "SV10") is a list of some hundred named values, among them UIDs and the patient's weight. The way it
is laid out is that of nibabel.nicom.csareader.
"""

from __future__ import annotations

import struct
import warnings

_COUNT, _NORMAL = "NumberOfImagesInMosaic", "SliceNormalVector"
_START = b"SV10\4\3\2\1"
_CHECK, _SYNGO_TYPE, _END_OF_TAG = 77, 4, 205


def only_slice_places(header: bytes) -> bytes | None:
    """A header with the number of slices and their normal; None when ``header`` is damaged or of no mosaic."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its DICOM readers experimental
        from nibabel.nicom import csareader
    try:
        values = {name: tag["items"] for name, tag in csareader.read(header)["tags"].items()}
        count, normal = int(values[_COUNT][0]), [float(part) for part in values[_NORMAL]]
    except Exception:  # damaged bytes raise many kinds
        return None
    if count < 2 or len(normal) != 3:
        return None
    tags = (_tag(_COUNT, b"US", 1, [str(count)]), _tag(_NORMAL, b"FD", 3, [f"{part:.8f}" for part in normal]))
    data = _START + struct.pack("<2I", len(tags), _CHECK) + b"".join(tags)
    return data + bytes(len(data) % 2)


def _tag(name: str, kind: bytes, count: int, items: list[str]) -> bytes:
    """One named value: its name, how many values it has and of which kind, then each as text on 4-byte boundaries."""
    head = struct.pack("<64si4s3i", name.encode(), count, kind, _SYNGO_TYPE, len(items), _END_OF_TAG)
    return head + b"".join(_item(text.encode() + b"\0") for text in items)


def _item(text: bytes) -> bytes:
    return struct.pack("<4i", len(text), len(text), _CHECK, len(text)) + text + bytes(-len(text) % 4)
