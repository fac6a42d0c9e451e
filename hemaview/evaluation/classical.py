"""Classical methods in the same box: what a model must beat beside the inscribed ellipsoid.

Each works on the box's voxels after a Gaussian of 1 voxel in plane, and cannot know whether the lesion is brighter
or darker than its surroundings: the class that fills the box's middle rather than its rim is taken. None was tuned
on the cases it is compared on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.errors import PromptError
from hemaview.imaging import Volume
from hemaview.segmentation import BoxPrompt, CancelToken, EngineInfo, OnSlice, Prompt, Segmentation

Method = Callable[[NDArray[np.float32]], NDArray[np.bool_]]
"""Smoothed voxels of a box to the lesion's mask."""

_HOUNSFIELD = (-60.0, 160.0)
_MOST_VOXELS = 120_000
"""The random walker solves one equation per voxel; larger boxes are thinned out in plane."""


class ClassicalSegmenter:
    """A classical method with an engine's face, for tables."""

    def __init__(self, name: str, method: Method) -> None:
        self._info = EngineInfo(name, name, "CPU", "", "nothing", "")
        self._method = method

    @property
    def info(self) -> EngineInfo:
        """The method's name."""
        return self._info

    def segment(
        self,
        volume: Volume,
        prompt: BoxPrompt | Prompt,
        *,
        focus: int | None = None,
        on_slice: OnSlice | None = None,
        cancel: CancelToken | None = None,
    ) -> Segmentation:
        """Answer the first box alone; nothing is streamed. Raises ``PromptError`` without a box."""
        started = time.perf_counter()
        asked = Prompt.of(prompt)
        if asked.box is None:
            raise PromptError("A classical method needs a box; draw one round the haematoma.")
        region = asked.box.voxel_slices(volume.geometry)
        values = volume.array[region].astype(np.float32)
        if volume.array.min() < -200:
            values = values.clip(*_HOUNSFIELD)
        found = self._method(ndimage.gaussian_filter(values, (0, 1, 1)))
        seconds = time.perf_counter() - started
        confidence = np.full(len(found), np.nan, dtype=np.float32)
        probability = found.astype(np.float32)
        return Segmentation(
            probability,
            region,
            volume.geometry,
            asked,
            self._info,
            confidence,
            seconds,
            seconds,
            prepared=volume.prepared,
        )


def otsu(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Otsu's threshold of the box's grey values (IEEE Trans SMC 1979;9:62)."""
    from skimage.filters import threshold_otsu

    if values.min() == values.max():
        return np.ones(values.shape, dtype=np.bool_)
    return _in_the_middle(values > threshold_otsu(values))


def gaussian_mixture(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The likelier of two Gaussians, fitted to the box's grey values by 50 rounds of expectation-maximisation."""
    grey = values.ravel().astype(np.float64)
    means, spread, shares = np.percentile(grey, (25, 75)), np.full(2, grey.std() + 1e-6), np.full(2, 0.5)
    weight = np.zeros((2, grey.size))
    for _ in range(50):
        weight = shares[:, None] / spread[:, None] * np.exp(-(((grey - means[:, None]) / spread[:, None]) ** 2) / 2)
        weight /= weight.sum(axis=0) + 1e-300
        total = weight.sum(axis=1) + 1e-9
        means, shares = (weight @ grey) / total, total / grey.size
        spread = np.sqrt((weight * (grey - means[:, None]) ** 2).sum(axis=1) / total) + 1e-3 * (grey.std() + 1e-6)
    return _in_the_middle((weight[0] > weight[1]).reshape(values.shape))


def chan_vese(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Morphological Chan-Vese from the inscribed ellipsoid (Marquez-Neila, IEEE PAMI 2014;36:2), 60 rounds."""
    from skimage.segmentation import morphological_chan_vese

    scaled = (values - values.mean()) / (values.std() + 1e-6)
    found = morphological_chan_vese(scaled, 60, init_level_set=_radius(values.shape) <= 1, smoothing=1)
    return _in_the_middle(found > 0)


def random_walker(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Grady's random walker (IEEE PAMI 2006;28:1768): seeds in the box's middle third and beyond its ellipsoid."""
    from skimage.segmentation import random_walker as walk

    stride = max(1, int(np.ceil(np.sqrt(values.size / _MOST_VOXELS))))
    thin = values[:, ::stride, ::stride]
    radius = _radius(thin.shape)
    seeds = np.where(radius <= 0.35, 1, np.where(radius > 1.1, 2, 0))
    found = walk(
        ((thin - thin.mean()) / (thin.std() + 1e-6)).astype(np.float64), seeds, beta=130, mode="cg_j", tol=1e-4
    )
    back = np.repeat(np.repeat(found == 1, stride, axis=1), stride, axis=2)
    return np.asarray(back[:, : values.shape[1], : values.shape[2]])


METHODS: Mapping[str, Method] = {
    "Otsu": otsu,
    "two Gaussians": gaussian_mixture,
    "Chan-Vese": chan_vese,
    "random walker": random_walker,
}


def classical_engines() -> tuple[ClassicalSegmenter, ...]:
    """All methods as engines."""
    return tuple(ClassicalSegmenter(name, method) for name, method in METHODS.items())


def _radius(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Distance from the middle, 1 on the inscribed ellipsoid."""
    total = np.zeros(shape)
    for axis, size in enumerate(shape):
        line = ((np.arange(size) + 0.5) / size * 2 - 1) ** 2
        total = total + line.reshape([-1 if n == axis else 1 for n in range(len(shape))])
    return np.asarray(np.sqrt(total))


def _in_the_middle(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask or its complement, whichever fills the middle more than the rim; its largest part without holes."""
    radius = _radius(mask.shape)
    middle, rim = radius <= 0.6, radius > 1
    if not rim.any() or not middle.any():
        return mask
    if mask[middle].mean() - mask[rim].mean() < 0:
        mask = ~mask
    labels, count = ndimage.label(mask)
    if count > 1:
        mask = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return np.asarray(ndimage.binary_fill_holes(mask))
