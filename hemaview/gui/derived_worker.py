"""What is computed from a mask or a scan for display, off the window's thread: readings, surface, head outline."""

from __future__ import annotations

import logging

import numpy as np
from PySide6.QtCore import Signal
from scipy import ndimage

from hemaview.case import Snapshot
from hemaview.errors import HemaviewError
from hemaview.gui.newest_wins import NewestWinsThread
from hemaview.imaging import Geometry, LabelMap, Volume
from hemaview.segmentation.contract import CancelToken
from hemaview.surface import Mesh, mesh_from_mask

_log = logging.getLogger(__name__)

_HEAD_GRID_MM = 3.0


class DerivedWorker(NewestWinsThread[Snapshot]):
    """Answers a snapshot with ``readings_ready`` first, because it is quick, and ``mesh_ready`` after it.

    Both carry the snapshot. ``failed(str)`` is one sentence; what was shown before then stays out of date, so the
    window clears it.
    """

    readings_ready = Signal(object, object, object)
    mesh_ready = Signal(object, object)
    failed = Signal(object, str)

    def process(self, job: Snapshot, cancel: CancelToken) -> None:
        """Measure one mask and build its surface."""
        try:
            self.readings_ready.emit(job, job.readings(), job.tada())
            cancel.raise_if_cancelled()
            mesh = job.mesh()
            cancel.raise_if_cancelled()
            self.mesh_ready.emit(job, mesh)
        except HemaviewError as error:
            if not cancel.cancelled:
                self.failed.emit(job, str(error))
        except Exception as error:
            _log.exception("the mask could not be measured")
            self.failed.emit(
                job, f"The mask could not be measured ({type(error).__name__}); undo the last change and try again."
            )


class HeadOutlineWorker(NewestWinsThread[Volume]):
    """Answers a scan with ``outline_ready(Volume, Mesh | None)``: the head's outer surface, for orientation only."""

    outline_ready = Signal(object, object)

    def process(self, job: Volume, cancel: CancelToken) -> None:
        """Outline one head."""
        try:
            outline = head_outline(job)
        except Exception:
            # Only a backdrop: a scan without one is still complete.
            _log.exception("the head's outline could not be made")
            outline = None
        cancel.raise_if_cancelled()
        self.outline_ready.emit(job, outline)


def head_outline(volume: Volume) -> Mesh | None:
    """Outer surface of the largest bright body of a scan on a grid of about 3 mm; None when nothing stands out.

    Bright means above a fifth of the way from the darkest value to the 98th percentile, holes filled slice by
    slice. A picture for orientation, never measured.
    """
    geometry = volume.geometry
    steps = [max(1, round(_HEAD_GRID_MM / s)) for s in geometry.spacing]
    sample = volume.array[:: steps[2], :: steps[1], :: steps[0]].astype(np.float32)
    if min(sample.shape) < 4:
        return None
    sample = ndimage.gaussian_filter(sample, 0.8)
    low, high = float(sample.min()), float(np.percentile(sample, 98))
    if volume.is_hounsfield:
        low, high = max(low, -1000.0), 100.0
        threshold = -250.0
    else:
        threshold = low + 0.2 * (high - low)
    bright = ndimage.binary_opening(sample > threshold)
    labels, count = ndimage.label(bright)
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    head = labels == sizes.argmax()
    head = np.stack([ndimage.binary_fill_holes(page) for page in head])
    if not 0.02 < head.mean() < 0.98:
        return None
    return mesh_from_mask(LabelMap(head, _every(geometry, steps)))


def _every(geometry: Geometry, steps: list[int]) -> Geometry:
    """The grid of every ``steps``-th voxel along i, j and k."""
    columns, rows, depth = (-(-count // step) for count, step in zip(geometry.size, steps, strict=True))
    places = geometry.slice_places_mm[:: steps[2]]
    x, y, z = (length * step for length, step in zip(geometry.spacing, steps, strict=True))
    if geometry.is_uneven:
        z = float(places[-1]) / (depth - 1)
    positions = tuple(float(place) for place in places) if geometry.is_uneven else None
    return Geometry((columns, rows, depth), (x, y, z), geometry.origin, geometry.direction, positions)
