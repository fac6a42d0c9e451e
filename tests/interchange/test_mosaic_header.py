"""Siemens' private header, reduced to the places of the slices."""

import struct

import pytest
from nibabel.nicom import csareader

from hemaview.interchange.mosaic_header import only_slice_places


def csa_header(**values: list[str]) -> bytes:
    """A CSA2 header that holds these values."""
    data = b"SV10\4\3\2\1" + struct.pack("<2I", len(values), 77)
    for name, items in values.items():
        data += struct.pack("<64si4s3i", name.encode(), len(items), b"LO", 19, len(items), 77)
        for item in items:
            text = item.encode() + b"\0"
            data += struct.pack("<4i", len(text), len(text), 77, len(text)) + text + bytes(-len(text) % 4)
    return data


def test_count_and_normal_stay_and_all_else_goes():
    header = csa_header(
        UsedPatientWeight=["81.4"],
        NumberOfImagesInMosaic=["36"],
        MrPhoenixProtocol=["Doe^Jane"],
        SliceNormalVector=["0.01", "-0.1", "0.99"],
    )
    reduced = only_slice_places(header)
    assert b"Doe" in header
    tags = csareader.read(reduced)["tags"]
    assert {name: [float(item) for item in tag["items"]] for name, tag in tags.items()} == {
        "NumberOfImagesInMosaic": [36],
        "SliceNormalVector": [0.01, -0.1, 0.99],
    }
    assert b"Doe" not in reduced
    assert b"81.4" not in reduced
    assert len(reduced) % 2 == 0


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Doe^Jane" * 20,
        csa_header(NumberOfImagesInMosaic=["36"]),
        csa_header(NumberOfImagesInMosaic=["1"], SliceNormalVector=["0", "0", "1"]),
        csa_header(NumberOfImagesInMosaic=["many"], SliceNormalVector=["0", "0", "1"]),
        csa_header(NumberOfImagesInMosaic=["36"], SliceNormalVector=["0", "0", "1"])[:150],
    ],
)
def test_nothing_stays_of_a_header_without_slices(header):
    assert only_slice_places(header) is None
