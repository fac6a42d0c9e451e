"""Small pictures of series, decoded in a thread of their own: what was asked for last comes first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QObject, QSize, Qt, QThreadPool, Signal
from PySide6.QtGui import QImage

from hemaview.errors import ScanError
from hemaview.imaging.catalogue import SeriesItem
from hemaview.imaging.reading.dicom.pixels import stored_pixels

Decode = Callable[[], object]


class LazyWork(QObject):
    """``arrived(key, result)`` in the window's thread for each key that was asked for.

    ``decode`` functions run one after the other, the newest first: what has just been scrolled into view is wanted
    before what has left it. They must not raise.
    """

    arrived = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._asked: set[object] = set()
        self._turn = 0
        self._round = 0

    @property
    def is_busy(self) -> bool:
        """Whether something is still being decoded."""
        return self._pool.activeThreadCount() > 0

    def want(self, key: object, decode: Decode) -> None:
        """Decode this once, before everything that was asked for earlier."""
        if key in self._asked:
            return
        self._asked.add(key)
        self._turn += 1
        round_ = self._round

        def work() -> None:
            if round_ == self._round:
                self.arrived.emit(key, decode())

        self._pool.start(work, self._turn)

    def forget(self) -> None:
        """Drop everything that still waits; keys may be asked for again."""
        self._round += 1
        self._pool.clear()
        self._asked.clear()

    def close(self) -> None:
        """Drop what waits and wait for what runs."""
        self.forget()
        self._pool.waitForDone()


def picture_of(item: SeriesItem) -> QImage | None:
    """A picture from the middle of a series at its true proportions; None where there is none to be had."""
    if item.preview is None:
        return None
    try:
        pixels = stored_pixels(item.preview).astype(np.float32)
    except ScanError:
        return None
    low, high = (float(value) for value in np.percentile(pixels, (1, 99.5)))
    grey = np.ascontiguousarray(np.clip((pixels - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8))
    rows, columns = grey.shape
    picture = QImage(grey.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
    between_rows, between_columns = item.preview.pixel_spacing or (1.0, 1.0)
    size = QSize(columns, max(1, round(rows * between_rows / between_columns)))
    return picture.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation)
