"""Small grey pictures of scans for lists, at their true proportions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QImage

from hemaview.errors import HemaviewError
from hemaview.gui.scan_content import scan_looks
from hemaview.imaging import Volume, acquisition_plane, plane_view
from hemaview.imaging.windowing import to_grey8

if TYPE_CHECKING:
    from hemaview.imaging.catalogue import SeriesItem

_SIDE = 256
_LARGEST_WHOLE_SCAN = 64 << 20


def picture_of(item: SeriesItem) -> QImage | None:
    """A picture from the middle of a series at its true proportions; None where there is none to be had.

    DICOM is decoded from one file; of another format the whole scan is read, unless it is large.
    """
    # The readers load large libraries, which the list of a case's scans does without.
    from hemaview.imaging.reading import Verdict, read_scan
    from hemaview.imaging.reading.thumbnail import thumbnail_of

    if item.preview is not None:
        found = thumbnail_of(item.preview)
        return None if found is None else _proportioned(found.grey, found.pixel_spacing)
    if item.summary.verdict is Verdict.REFUSED:
        return None
    try:
        if item.path.stat().st_size > _LARGEST_WHOLE_SCAN:
            return None
        return volume_picture(read_scan(item.path, series_uid=item.series_uid))
    except (HemaviewError, OSError, MemoryError):
        return None


def volume_picture(volume: Volume) -> QImage:
    """The middle slice of a scan as it was taken, at its true proportions, about 256 pixels a side."""
    view = plane_view(volume.geometry, acquisition_plane(volume.geometry))
    page = view.extract(volume.array, view.slice_count // 2)
    step = max(1, min(page.shape) // _SIDE)
    grey = to_grey8(np.ascontiguousarray(page[::step, ::step]), scan_looks(volume).window)
    return _proportioned(grey, (abs(float(view.y_vector_mm[1])), abs(float(view.x_vector_mm[0]))))


def _proportioned(grey: NDArray[np.uint8], spacing: tuple[float, float]) -> QImage:
    """``spacing`` between rows and between columns."""
    grey = np.ascontiguousarray(grey)
    rows, columns = grey.shape
    # Copied, because scaling to the size it has would go on using the memory of the array.
    picture = QImage(grey.data, columns, rows, columns, QImage.Format.Format_Grayscale8).copy()
    size = QSize(columns, max(1, round(rows * spacing[0] / spacing[1])))
    return picture.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)
