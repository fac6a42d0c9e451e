"""The brain as deepbet's two networks see it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.errors import ScanError
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.preprocessing import BrainMask
from hemaview.imaging.preprocessing.brain_mask import NO_BRAIN, doubts
from hemaview.imaging.sequence import Sequence
from hemaview.segmentation.deepbet.files import BOX_MODEL, MODEL, checked_path

if TYPE_CHECKING:
    from torch import Tensor

_SMALL, _LARGE = (128, 128, 128), (256, 256, 256)
_MARGIN = 0.1
_MEAN, _SPREAD = 0.449, 0.226
_LEAST_IN_SLICE = 0.02

TRAINED_ON_T1 = "deepbet's networks learned from healthy adults' T1 scans, and this is none; look at the outline."
NOT_FOR_CT = "deepbet's networks know MR scans only; choose the brain mask by shape for a CT."


def deepbet_brain_mask(volume: Volume, progress: Callable[[float], None] | None = None) -> BrainMask:
    """Find the intracranial space of an MR scan with deepbet's networks.

    Fisch L et al. deepbet: fast brain extraction of T1-weighted MRI using convolutional neural networks. Comput Biol
    Med 2024;179:108845. A first network on 128 x 128 x 128 voxels finds the brain's box, a second one on
    256 x 256 x 256 of the box and a tenth around it draws it; axes are ordered and turned to right, anterior, superior
    before and back afterwards. The networks stretch whatever lies in the box to a cube, so thick, uneven and tilted
    slices are used as they are. ``ScanError`` for CT and where nothing is found, ``ModelError`` for altered files.
    """
    if volume.modality is Modality.CT:
        raise ScanError(NOT_FOR_CT)
    tell = progress or (lambda fraction: None)
    order, flips = _to_ras(volume.geometry)
    head = np.ascontiguousarray(np.flip(volume.array.T.transpose(order), flips), dtype=np.float32)
    found = np.zeros(head.shape, dtype=np.bool_)
    box, low, high = _brain_box(head)
    tell(0.3)
    found[box] = _draw(head[box], low, high)
    tell(0.9)
    found = ndimage.binary_fill_holes(_largest(found))
    array = np.ascontiguousarray(np.flip(found, flips).transpose(np.argsort(order)).T)
    tell(1.0)
    notes = () if volume.sequence.sequence in (Sequence.T1, Sequence.T1C) else (TRAINED_ON_T1,)
    return BrainMask(array, "deepbet 1.0.2", (*notes, *doubts(volume, array)))


def _to_ras(geometry: Geometry) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which voxel axis (i, j, k) runs along left-right, back-front, feet-head, and which of these run backwards."""
    axes = geometry.axes * np.array([[-1.0], [-1.0], [1.0]])
    order = max(permutations(range(3)), key=lambda one: float(np.prod([abs(axes[w, v]) for w, v in enumerate(one)])))
    return order, tuple(world for world, axis in enumerate(order) if axes[world, axis] < 0)


def _brain_box(head: NDArray[np.float32]) -> tuple[tuple[slice, ...], float, float]:
    """The brain's box with its margin, and the grey limits of the head: 0.5th and 99.5th percentile."""
    import torch

    small = _resized(torch.from_numpy(head), _SMALL)
    low, high = (float(v) for v in np.percentile(small.numpy(), (0.5, 99.5)))
    brain = _largest(_ask(BOX_MODEL, small, low, high) > 0.5)
    box = []
    for axis, size in enumerate(head.shape):
        share = brain.mean(axis=tuple(a for a in range(3) if a != axis))
        inside = np.flatnonzero(share > _LEAST_IN_SLICE)
        if not len(inside):
            raise ScanError(NO_BRAIN)
        first, stop = int(inside[0]), int(inside[-1]) + 1
        scale = size / len(share)
        centre, length = round(scale * (first + stop) / 2), round(scale * (stop - first) * (1 + 2 * _MARGIN))
        box.append(slice(max(0, int(centre - length / 2)), min(size, int(centre + length / 2))))
    return tuple(box), low, high


def _draw(part: NDArray[np.float32], low: float, high: float) -> NDArray[np.bool_]:
    import torch

    probability = _ask(MODEL, _resized(torch.from_numpy(np.ascontiguousarray(part)), _LARGE), low, high)
    return np.asarray(_resized(torch.from_numpy(probability), part.shape).numpy() > 0.5)


def _ask(name: str, values: Tensor, low: float, high: float) -> NDArray[np.float32]:
    """Probability of brain at each voxel of a cube."""
    import torch

    unit = ((values - low) / max(high - low, 1e-6)).clamp(0, 1)
    unit = _SPREAD * (unit - unit.mean()) / unit.std().clamp(min=1e-6) + _MEAN
    with torch.inference_mode():
        return np.asarray(_network(name)(unit[None, None])[0, 1].numpy(), dtype=np.float32)


@lru_cache(maxsize=2)
def _network(name: str) -> Any:
    import torch

    load: Any = torch.jit.load
    return load(checked_path(name), map_location="cpu").eval()


def _resized(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    from torch.nn.functional import interpolate

    return interpolate(values[None, None], shape, mode="nearest-exact")[0, 0]


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    bodies, count = ndimage.label(mask)
    if count == 0:
        raise ScanError(NO_BRAIN)
    return np.asarray(bodies == np.argmax(np.bincount(bodies.ravel())[1:]) + 1)
