"""The bundled engine: the guided run with the compact model's own two networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from hemaview.imaging import Geometry, Volume
from hemaview.segmentation.adapters import read_adapter
from hemaview.segmentation.compact.slices import CompactSlices
from hemaview.segmentation.compact.weights import load_coarse, load_fine
from hemaview.segmentation.contract import BoxPrompt, EngineInfo, Segmenter
from hemaview.segmentation.guided.coarse_guide import CoarseGuide
from hemaview.segmentation.guided.engine import GuidedSegmenter
from hemaview.segmentation.guided.small_network import MOST_THREADS
from hemaview.segmentation.registry import ModelRecord


class CompactSegmenter(GuidedSegmenter):
    """The compact model; build it with ``load_engine("compact")``."""

    @classmethod
    def from_record(
        cls, record: ModelRecord, *, adapter: Path | None = None, threads: int | None = None
    ) -> CompactSegmenter:
        """Load both networks, merge an adapter in, and warm up.

        ``threads`` defaults to what torch would take, at most four. Raises ``ModelError`` for a missing, altered or
        unfitting file, and for an adapter that was made for another model.
        """
        count = threads or min(torch.get_num_threads(), MOST_THREADS)
        merged = None if adapter is None else read_adapter(adapter)
        if merged is not None:
            merged.check_base(record.fingerprint, ("coarse", "fine"))
        coarse, fine = load_coarse(record, merged), load_fine(record, merged)
        info = EngineInfo(
            name=record.name,
            title=record.title,
            device="CPU" if count == 1 else f"CPU, {count} threads",
            sha256=record.fingerprint,
            trained_on=record.trained_on,
            licence=record.licence,
            adapter="" if merged is None else merged.label,
        )
        engine = cls(info, CoarseGuide(coarse, count), CompactSlices(fine, count))
        warm_up(engine)
        return engine


def warm_up(engine: Segmenter) -> None:
    """Segment a few voxels, so that the first box does not pay for torch's own preparations."""
    k, j, i = np.ogrid[:8, :24, :24]
    ball = ((k - 3.5) / 3) ** 2 + ((j - 11.5) / 6) ** 2 + ((i - 11.5) / 6) ** 2 <= 1
    geometry = Geometry((24, 24, 8), (1.0, 1.0, 1.0))
    volume = Volume(ball.astype(np.float32), geometry)
    engine.segment(volume, BoxPrompt.from_index_bounds(geometry, (5.5, 5.5, 0.5), (17.5, 17.5, 6.5)))
