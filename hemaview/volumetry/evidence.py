"""What an engine's probability tells about its mask, kept when the probability itself is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging import Geometry

_SHELL_VOXELS = 2


class _Engine(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def adapter(self) -> str: ...


class _Box(Protocol):
    def index_bounds(self, geometry: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...


class _Prompt(Protocol):
    @property
    def boxes(self) -> Sequence[_Box]: ...

    @property
    def slice_boxes(self) -> Sequence[object]: ...

    @property
    def points(self) -> Sequence[object]: ...

    @property
    def fixed(self) -> Sequence[object]: ...


class ProbabilityMap(Protocol):
    """The parts of a segmentation that are looked at; ``hemaview.segmentation.Segmentation`` has them."""

    @property
    def probability(self) -> NDArray[np.float32]:
        """float32 [k, j, i] of a window of the scan."""
        ...

    @property
    def geometry(self) -> Geometry:
        """The scan's grid."""
        ...

    @property
    def prompt(self) -> _Prompt:
        """The closed boxes that were used."""
        ...

    @property
    def engine(self) -> _Engine:
        """Which model answered."""
        ...

    @property
    def prepared(self) -> tuple[str, ...]:
        """The steps that had changed the scan's values before the model saw them."""
        ...


@dataclass(frozen=True)
class Evidence:
    """The model's own doubt about an unedited mask, in numbers that a corrected volume is computed from.

    ``mean_probability`` inside the mask; ``shell_entropy``, the mean binary entropy in bits within two voxels
    of its surface; ``soft_excess`` = (sum of p - voxels) / voxels; ``box_fill`` = mask / boxes in voxels. NaN when
    the mask is empty, the last also without a box. ``engine``, ``engine_sha256`` and ``adapter`` say which model it
    was; ``one_box`` tells that a single box was all it was asked with, and ``prepared`` that it did not see the
    scan's own values.
    """

    engine: str
    engine_sha256: str
    mean_probability: float
    shell_entropy: float
    soft_excess: float
    box_fill: float
    one_box: bool = True
    adapter: str = ""
    prepared: bool = False

    @classmethod
    def of(cls, segmentation: ProbabilityMap) -> Evidence:
        """Summarise a segmentation whose mask is its probability above one half."""
        mask = segmentation.probability > 0.5
        probability = _in_steps(segmentation.probability, mask)
        voxels = int(np.count_nonzero(mask))
        numbers = (float("nan"),) * 4
        if voxels:
            bounds = [box.index_bounds(segmentation.geometry) for box in segmentation.prompt.boxes]
            box = float(sum(np.prod(upper - lower) for lower, upper in bounds))
            soft = float(probability.sum(dtype=np.float64))
            inside = float(probability[mask].mean(dtype=np.float64))
            fill = voxels / box if box else float("nan")
            numbers = (inside, _shell_entropy(probability, mask), soft / voxels - 1, fill)
        prompt = segmentation.prompt
        one_box = len(prompt.boxes) == 1 and not (prompt.slice_boxes or prompt.points or prompt.fixed)
        engine = segmentation.engine
        return cls(
            engine.name,
            engine.sha256,
            *numbers,
            one_box=one_box,
            adapter=engine.adapter,
            prepared=bool(segmentation.prepared),
        )


def _in_steps(probability: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The probability in steps of 1/255, never carried over the threshold.

    A case keeps the probability in 8 bits; looking at it in the same steps from the start makes a reopened
    case read exactly what it read before.
    """
    levels = np.rint(np.clip(probability, 0, 1) * np.float32(255))
    return np.asarray(np.where(mask, np.maximum(levels, 128), np.minimum(levels, 127)) / np.float32(255), np.float32)


def _shell_entropy(probability: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Mean binary entropy in bits of the voxels within two voxels of the mask's surface, inside and outside."""
    from scipy import ndimage

    lines = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    crop = tuple(slice(max(0, int(line[0]) - _SHELL_VOXELS), int(line[-1]) + 1 + _SHELL_VOXELS) for line in lines)
    mask = mask[crop]
    grown = ndimage.binary_dilation(mask, iterations=_SHELL_VOXELS)
    core = ndimage.binary_erosion(mask, iterations=_SHELL_VOXELS, border_value=1)
    p = np.clip(probability[crop][grown & ~core].astype(np.float64), 1e-7, 1 - 1e-7)
    if not p.size:
        return 0.0
    return float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).mean())
