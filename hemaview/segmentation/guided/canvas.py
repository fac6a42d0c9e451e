"""The answer as it grows: the pieces that are finished, the one that is being drawn, and what is streamed of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hemaview.segmentation.contract import OnSlice, SliceResult
from hemaview.segmentation.guided.protocols import Check

Region = tuple[slice, slice, slice]


class Canvas:
    """Probability float32 ``[k, j, i]`` and confidence per slice of ``region``, streamed while it fills.

    Slices in ``fixed`` are always shown and returned as the hand drew them. ``total`` is how many slices will be
    finished in all. ``check`` is called after every slice that was streamed.
    """

    def __init__(
        self,
        region: Region,
        fixed: Mapping[int, NDArray[np.bool_]],
        on_slice: OnSlice | None,
        check: Check,
        total: int,
    ) -> None:
        self.region = region
        self.total = total
        self._fixed = fixed
        self._on_slice = on_slice
        self._check = check
        shape = [part.stop - part.start for part in region]
        self.probability = np.zeros(shape, dtype=np.float32)
        self.confidence = np.full(shape[0], np.nan, dtype=np.float32)

    def show(self, k: int, picture: NDArray[np.float32], part: Region, done: int) -> None:
        """Stream slice ``k`` with ``picture`` of the piece being drawn, whose region is ``part``, above the others."""
        if self._on_slice is None:
            return
        shown = self.probability[k - self.region[0].start].copy()
        rows, columns = self._within(part)[1:]
        shown[rows, columns] = np.maximum(shown[rows, columns], picture)
        self._stream(k, shown, done)

    def finish(
        self,
        probability: NDArray[np.float32],
        confidence: NDArray[np.float32],
        streamed: NDArray[np.float32],
        part: Region,
    ) -> None:
        """Add a finished piece; slices that differ from what was ``streamed`` of them are streamed again."""
        window = self._within(part)
        before = np.maximum(self.probability[window], streamed) > 0.5
        areas = np.count_nonzero(self.probability[window] > 0.5, axis=(1, 2))
        own = np.count_nonzero(probability > 0.5, axis=(1, 2))
        self.probability[window] = np.maximum(self.probability[window], probability)
        known = self.confidence[window[0]]
        both = np.isfinite(known) & np.isfinite(confidence)
        mixed = (np.nan_to_num(known) * areas + np.nan_to_num(confidence) * own) / np.maximum(1, areas + own)
        self.confidence[window[0]] = np.where(both, mixed, np.where(np.isfinite(confidence), confidence, known))
        after = self.probability[window] > 0.5
        for number in np.flatnonzero((before != after).any(axis=(1, 2))):
            self._restream(part[0].start + int(number))

    def settle(self) -> None:
        """Put the hand-drawn slices in, forget the confidence of slices without an answer."""
        rows, columns = self.region[1:]
        for k, mask in self._fixed.items():
            if self.region[0].start <= k < self.region[0].stop:
                self.probability[k - self.region[0].start] = mask[rows, columns]
                self.confidence[k - self.region[0].start] = 1.0
                self._restream(k)
        self.confidence[~(self.probability > 0.5).any(axis=(1, 2))] = np.nan

    def _restream(self, k: int) -> None:
        if self._on_slice is not None:
            self._stream(k, self.probability[k - self.region[0].start].copy(), self.total)

    def _stream(self, k: int, shown: NDArray[np.float32], done: int) -> None:
        rows, columns = self.region[1:]
        if k in self._fixed:
            shown = self._fixed[k][rows, columns].astype(np.float32)
        if self._on_slice is not None:
            self._on_slice(SliceResult(k, rows.start, columns.start, shown, done, self.total))
            self._check()

    def _within(self, part: Region) -> Region:
        k, j, i = (
            slice(inner.start - outer.start, inner.stop - outer.start)
            for inner, outer in zip(part, self.region, strict=True)
        )
        return k, j, i
