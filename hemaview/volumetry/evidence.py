"""What an engine's probability tells about its mask, kept when the probability itself is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.errors import CaseError
from hemaview.imaging import Geometry

_SHELL_VOXELS = 2


class _Engine(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str: ...


class _Prompt(Protocol):
    def index_bounds(self, geometry: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...


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
        """The closed box that was used."""
        ...

    @property
    def engine(self) -> _Engine:
        """Which model answered."""
        ...


@dataclass(frozen=True)
class Evidence:
    """The model's own doubt about an unedited mask, in numbers that a corrected volume is computed from.

    ``mean_probability`` inside the mask; ``shell_entropy``, the mean binary entropy in bits within two voxels
    of its surface; ``soft_excess`` = (sum of p - voxels) / voxels; ``box_fill`` = mask / box volume. NaN when
    the mask is empty. ``engine`` and ``engine_sha256`` say which model it was.
    """

    engine: str
    engine_sha256: str
    mean_probability: float
    shell_entropy: float
    soft_excess: float
    box_fill: float

    @classmethod
    def of(cls, segmentation: ProbabilityMap, threshold: float = 0.5) -> Evidence:
        """Summarise a segmentation; ``threshold`` is the one its mask was made with."""
        probability = segmentation.probability
        mask = probability > threshold
        voxels = int(np.count_nonzero(mask))
        numbers = (float("nan"),) * 4
        if voxels:
            lower, upper = segmentation.prompt.index_bounds(segmentation.geometry)
            box = float(np.prod(upper - lower))
            soft = float(probability.sum(dtype=np.float64))
            inside = float(probability[mask].mean(dtype=np.float64))
            numbers = (inside, _shell_entropy(probability, mask), soft / voxels - 1, voxels / box)
        return cls(segmentation.engine.name, segmentation.engine.sha256, *numbers)

    def to_json(self) -> dict[str, str | float]:
        """A flat mapping for a journal; ``from_json`` gives back an equal object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """The object that ``to_json`` described; raises ``CaseError`` for anything else."""
        try:
            return cls(
                str(data["engine"]),
                str(data["engine_sha256"]),
                float(data["mean_probability"]),
                float(data["shell_entropy"]),
                float(data["soft_excess"]),
                float(data["box_fill"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CaseError("What the case stored about the model's answer is damaged; segment again.") from error


def _shell_entropy(probability: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Mean binary entropy in bits of the voxels within two voxels of the mask's surface, inside and outside."""
    lines = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    crop = tuple(slice(max(0, int(line[0]) - _SHELL_VOXELS), int(line[-1]) + 1 + _SHELL_VOXELS) for line in lines)
    mask = mask[crop]
    grown = ndimage.binary_dilation(mask, iterations=_SHELL_VOXELS)
    core = ndimage.binary_erosion(mask, iterations=_SHELL_VOXELS, border_value=1)
    p = np.clip(probability[crop][grown & ~core].astype(np.float64), 1e-7, 1 - 1e-7)
    if not p.size:
        return 0.0
    return float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).mean())
