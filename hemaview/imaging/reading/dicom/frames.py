"""From the header of one DICOM file to the pictures in it, each with its own place in the patient."""

from __future__ import annotations

from hemaview.imaging.reading.dicom.header import Instance


class NotAPicture(Exception):  # noqa: N818 - carries the reason to the caller, never to the user
    """The frames of a file cannot be told apart or placed; ``str()`` is a clause that follows "because"."""


def pictures(instance: Instance) -> tuple[Instance, ...]:
    """One Instance per picture of a file, in the file's order; a file of one frame gives itself.

    Raises ``NotAPicture`` with the reason.
    """
    if instance.frames <= 1 and not instance.is_enhanced and not instance.is_mosaic:
        return (instance,)
    if instance.is_enhanced:
        raise NotAPicture("it is an enhanced multi-frame object that does not say where its frames lie")
    if instance.is_mosaic:
        raise NotAPicture("it is a Siemens mosaic that does not say where its slices lie")
    raise NotAPicture(f"it holds {instance.frames} frames that do not say where they lie")
