"""A small head with a bright lesion, and an engine by the contract that finds exactly that; no window in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

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
    """A segmenter by the contract that takes what is bright inside the boxes, or everywhere for points alone.

    A point outside takes a ball of 12 mm away, fixed slices come back as they are. With a ``gate`` it waits at each
    slice; ``confidence`` gives the slices' own, from the first of the region on.
    """

    info = EngineInfo("bright", "Bright voxels", "CPU", "0" * 64, "nothing", "Apache-2.0")

    def __init__(self, gate: threading.Event | None = None, confidence: Sequence[float] = ()) -> None:
        self.gate = gate
        self.confidence = confidence
        self.calls: list[BoxPrompt] = []
        self.prompts: list[Prompt] = []
        self.looks: list[int] = []
        self.started = threading.Event()

    def segment(
        self, volume: Volume, prompt: BoxPrompt | Prompt, *, focus=None, on_slice=None, cancel=None
    ) -> Segmentation:
        cancel = cancel or CancelToken()
        began = time.perf_counter()
        prompt = Prompt.of(prompt)
        whole = BoxPrompt.from_index_bounds(volume.geometry, (-0.5,) * 3, np.array(volume.geometry.size) - 0.5)
        boxes = tuple(_closed(box, volume) for box in prompt.boxes) or (whole,)
        found = np.zeros(volume.array.shape, dtype=np.float32)
        for box in boxes:
            inside = box.voxel_slices(volume.geometry)
            found[inside] = volume.array[inside] > 0.66 * LESION_VALUE
        _correct(found, prompt, volume)
        ends = np.array([box.index_bounds(volume.geometry) for box in boxes])
        hull = BoxPrompt.from_index_bounds(volume.geometry, ends[:, 0].min(axis=0), ends[:, 1].max(axis=0))
        region = hull.voxel_slices(volume.geometry)
        if prompt.fixed:
            region = tuple(slice(0, size) for size in volume.array.shape)
        found = found[region]
        self.prompts.append(prompt)
        self.calls.extend(prompt.boxes[:1])
        self.started.set()
        middle = (focus if focus is not None else (region[0].start + region[0].stop) // 2) - region[0].start
        for done, page in enumerate(sorted(range(len(found)), key=lambda n: abs(n - middle)), start=1):
            if self.gate is not None:
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
            prompt=replace(prompt, boxes=boxes),
            engine=self.info,
            slice_confidence=self._confidence(found),
            seconds_first=0.001,
            seconds_total=time.perf_counter() - began,
            prepared=volume.prepared,
        )

    def _confidence(self, found: np.ndarray) -> np.ndarray:
        values = np.full(len(found), 0.9, dtype=np.float32)
        values[: len(self.confidence)] = self.confidence[: len(found)]
        values[~found.any(axis=(1, 2))] = np.nan
        return values

    def prefetch(self, volume: Volume, k: int) -> None:
        self.looks.append(k)


def _closed(box: BoxPrompt, volume: Volume) -> BoxPrompt:
    if box.open_axis is None:
        return box
    lower, upper = box.clipped_bounds(volume.geometry)
    lower[box.open_axis], upper[box.open_axis] = -0.5, volume.geometry.size[box.open_axis] - 0.5
    return BoxPrompt.from_index_bounds(volume.geometry, lower, upper)


def _correct(found: np.ndarray, prompt: Prompt, volume: Volume) -> None:
    k, j, i = np.indices(found.shape)
    places = volume.geometry.index_to_lps(np.stack([i, j, k], axis=-1))
    for point in prompt.points:
        if not point.positive:
            found[np.linalg.norm(places - point.position, axis=-1) < 12] = 0
    for fixed in prompt.fixed:
        found[fixed.k] = fixed.mask
