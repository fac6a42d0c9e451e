"""A small head with a bright lesion, and an engine by the contract that finds exactly that; no window in it."""

from __future__ import annotations

import threading
import time

import numpy as np

from hemaview.imaging import Volume
from hemaview.segmentation.contract import BoxPrompt, CancelToken, EngineInfo, Prompt, Segmentation, SliceResult

SIZE = (72, 80, 24)
SPACING = (2.5, 2.5, 5.0)
LESION_CENTRE = (26.0, 36.0, 11.0)
LESION_RADII_MM = (20.0, 16.0, 18.0)
LESION_VALUE = 900


def head() -> tuple[np.ndarray, np.ndarray]:
    """Values ``[k, j, i]`` of a head with a bright lesion, and where the lesion is."""
    k, j, i = np.indices(SIZE[::-1], dtype=np.float64)
    place = np.stack([i, j, k], axis=-1)
    middle = (np.array(SIZE) - 1) / 2
    skull = (np.square((place - middle) * SPACING / (80, 92, 56)).sum(axis=-1)) < 1
    lesion = (np.square((place - LESION_CENTRE) * SPACING / LESION_RADII_MM).sum(axis=-1)) < 1
    rng = np.random.default_rng(3)
    values = np.where(skull, 300 + rng.normal(0, 12, skull.shape), 0)
    values[lesion] = LESION_VALUE
    return values.astype(np.int16), lesion


class BrightEngine:
    """A segmenter by the contract that takes what is bright inside the box; with a ``gate`` it waits at each slice."""

    info = EngineInfo("bright", "Bright voxels", "CPU", "0" * 64, "nothing", "Apache-2.0")

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate
        self.calls: list[BoxPrompt] = []
        self.started = threading.Event()

    def segment(
        self, volume: Volume, prompt: BoxPrompt | Prompt, *, focus=None, on_slice=None, cancel=None
    ) -> Segmentation:
        cancel = cancel or CancelToken()
        began = time.perf_counter()
        box = drawn = Prompt.of(prompt).boxes[0]
        if drawn.open_axis is not None:
            lower, upper = drawn.clipped_bounds(volume.geometry)
            lower[drawn.open_axis], upper[drawn.open_axis] = -0.5, volume.geometry.size[drawn.open_axis] - 0.5
            box = BoxPrompt.from_index_bounds(volume.geometry, lower, upper)
        region = box.voxel_slices(volume.geometry)
        found = (volume.array[region] > 0.66 * LESION_VALUE).astype(np.float32)
        if volume.geometry.size == SIZE:
            self.calls.append(drawn)
            self.started.set()
        middle = (focus if focus is not None else (region[0].start + region[0].stop) // 2) - region[0].start
        for done, page in enumerate(sorted(range(len(found)), key=lambda n: abs(n - middle)), start=1):
            if self.gate is not None and volume.geometry.size == SIZE:
                while not self.gate.wait(0.01):
                    cancel.raise_if_cancelled()
            cancel.raise_if_cancelled()
            if on_slice is not None:
                on_slice(
                    SliceResult(region[0].start + page, region[1].start, region[2].start, found[page], done, len(found))
                )
        return Segmentation(
            probability=found,
            region=region,
            geometry=volume.geometry,
            prompt=Prompt.of(box),
            engine=self.info,
            slice_confidence=np.full(len(found), 0.9, dtype=np.float32),
            seconds_first=0.001,
            seconds_total=time.perf_counter() - began,
        )
