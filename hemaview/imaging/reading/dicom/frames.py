"""From the header of one DICOM file to the pictures in it, each with its own place in the patient."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from pydicom.dataset import Dataset

from hemaview.imaging.reading.dicom.enhanced import ENHANCED_TAGS, enhanced_frames
from hemaview.imaging.reading.dicom.header import Instance, read_dataset
from hemaview.imaging.reading.dicom.mosaic import mosaic_tiles
from hemaview.imaging.reading.files import MAX_DEFLATE_RATIO, incomplete

_MAX_FRAMES = 100_000
"""Ten times the longest perfusion or functional series; a header that claims more is damaged."""


_SMALLEST_ITEM_BYTES = 8
"""What the wrapping of a compressed frame takes by itself."""


class NotAPicture(Exception):  # noqa: N818 - carries the reason to the caller, never to the user
    """A file lies about its frames; ``str()`` is a clause that follows "because"."""


def pictures(instance: Instance) -> tuple[Instance, ...]:
    """One Instance per picture of a file, in the file's order; a file of one frame gives itself.

    Pictures that the file does not place, such as those of a multi-frame secondary capture, have no position.
    Raises ``NotAPicture`` with the reason, and ``ScanError`` when the file cannot be read any more.
    """
    if instance.frames <= 1 and not instance.is_enhanced and not instance.is_mosaic:
        return (instance,)
    _check_frames_fit(instance)
    if instance.is_mosaic and instance.frames == 1:
        return mosaic_tiles(instance, _header(instance))
    described = enhanced_frames(instance, _header(instance, ENHANCED_TAGS))
    if not described or instance.is_mosaic:  # where a frame holds many slices, its place is that of none of them
        return tuple(replace(instance, frame=n, instance_number=n + 1, position=None) for n in range(instance.frames))
    if len(described) != instance.frames:
        raise NotAPicture(f"it says it holds {instance.frames} frames but describes {len(described)}")
    return described


def _frames_held(instance: Instance) -> int:
    """The most frames there can be in the bytes of the pixels, or of the file where they are compressed."""
    if instance.pixel_length is not None:
        return instance.pixel_length // instance.frame_bytes if instance.frame_bytes else _MAX_FRAMES
    with instance.source.open() as stream:
        size = stream.seek(0, io.SEEK_END)
    if instance.is_deflated:
        return size * MAX_DEFLATE_RATIO // max(instance.frame_bytes, 1)
    return size // _SMALLEST_ITEM_BYTES


def _check_frames_fit(instance: Instance) -> None:
    """Refuse a number of frames that the file cannot hold."""
    if instance.has_pixels and instance.frames > min(_frames_held(instance), _MAX_FRAMES):
        raise NotAPicture(f"it says it holds {instance.frames} frames, but its pixels end before the last of them")


def _header(instance: Instance, tags: Sequence[str] | None = None) -> Dataset:
    with instance.source.open() as stream:
        try:
            return read_dataset(stream, header_only=True, tags=tags)
        except Exception as error:  # many kinds; all mean that the header cannot be parsed a second time
            raise incomplete(instance.source.name) from error
