"""What can be done with a single picture: measure on it, look at it, or nothing at all, and why.

Every reason is a clause about the picture, "it ...", that follows "because".
"""

from __future__ import annotations

from enum import StrEnum

import pydicom.uid

from hemaview.imaging.reading.dicom.header import Instance, uid_name

_SCANS = {
    pydicom.uid.CTImageStorage,
    pydicom.uid.MRImageStorage,
    pydicom.uid.EnhancedCTImageStorage,
    pydicom.uid.EnhancedMRImageStorage,
    pydicom.uid.EnhancedMRColorImageStorage,
    pydicom.uid.LegacyConvertedEnhancedCTImageStorage,
    pydicom.uid.LegacyConvertedEnhancedMRImageStorage,
}
# Objects that have pixels which are not pictures of the patient: classes of voxels, dose, measured quantities.
_NO_PICTURES = {
    pydicom.uid.SegmentationStorage,
    "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation
    pydicom.uid.RTDoseStorage,
    pydicom.uid.ParametricMapStorage,
}
_SCOUTS = {"LOCALIZER", "SCOUT", "SURVEY", "TOPOGRAM"}
_PROJECTIONS = {"PROJECTION IMAGE", "MIP", "MAX_IP", "MINIP", "MNIP", "MIN_IP", "VOLREN", "VOLUME_RENDER"}


class Kind(StrEnum):
    """What a picture shows; pictures of different kinds never form one stack."""

    SCAN = "scan"
    SCOUT = "scout"
    PROJECTION = "projection"
    OTHER = "other"
    NOTHING = "nothing"


def kind_of(picture: Instance) -> Kind:
    """The kind of a picture."""
    if picture.problem or picture.sop_class in _NO_PICTURES:
        return Kind.NOTHING
    if not _is_scan(picture):
        return Kind.OTHER if picture.has_pixels else Kind.NOTHING
    if _SCOUTS.intersection(picture.image_type):
        return Kind.SCOUT
    return Kind.PROJECTION if _PROJECTIONS.intersection(picture.image_type) else Kind.SCAN


def refusal(picture: Instance) -> str | None:
    """Why there is nothing to see, as a clause; None for a picture."""
    if picture.sop_class in _NO_PICTURES or (not picture.has_pixels and not _is_scan(picture)):
        return _other_object(picture)
    if picture.problem:
        return picture.problem
    if not picture.has_pixels:
        return "it holds no pixel data"
    if picture.rows < 1 or picture.columns < 1:
        return "it does not say how large the picture is"
    if not _usual_bits(picture):
        return "it stores its pixels in an unusual way"
    if not (picture.is_plain or picture.is_compressed or picture.is_deflated):
        return "it is encoded in an unknown way; export it uncompressed"
    return None


def damage(picture: Instance) -> str | None:
    """Why the stored pixels cannot be this picture, as a predicate after the file's name; None when they can."""
    if picture.is_truncated:
        return "ends before its picture does"
    if not picture.is_plain or picture.pixel_length is None:
        return None
    if picture.pixel_length < (picture.frame + 1) * picture.frame_bytes:
        return "ends before its picture does"
    if picture.frames <= 1 and picture.tile is None and picture.pixel_length >= 2 * picture.frame_bytes:
        return "holds more pixel data than one picture"
    return None


def look_only(picture: Instance) -> str | None:
    """Why nothing may be measured on a picture, whatever its neighbours are, as a clause; None when it may."""
    kind = kind_of(picture)
    if kind is Kind.OTHER:
        return _other_object(picture)
    if kind is Kind.SCOUT:
        return "it is a scout view"
    if kind is Kind.PROJECTION:
        return "it is a projection, in which depth is lost"
    if picture.samples != 1 or picture.photometric not in ("MONOCHROME1", "MONOCHROME2"):
        return "it is a colour picture"
    if picture.photometric == "MONOCHROME1" and picture.modality == "CT":
        return "it is stored as a negative (MONOCHROME1), so its HU are not known"
    if picture.is_scale_damaged:
        return "its rescale slope or intercept is no number"
    if picture.has_lookup or picture.slope == 0:
        return "its values cannot be rescaled"
    return None


def _is_scan(picture: Instance) -> bool:
    if picture.sop_class:
        return picture.sop_class in _SCANS
    return picture.modality in ("CT", "MR")


def _usual_bits(picture: Instance) -> bool:
    allocated, stored = picture.bits_allocated, picture.bits_stored
    return allocated in (8, 16, 32) and 1 <= stored <= allocated and stored - 1 <= picture.high_bit < allocated


def _other_object(picture: Instance) -> str:
    if not picture.sop_class:
        return "it does not say that it is a CT or MR scan"
    name = uid_name(picture.sop_class)
    kind = f"of the kind '{name.removesuffix(' Storage')}'" if name else "of an unknown kind"
    return f"it is a DICOM object {kind}, not a CT or MR scan"
