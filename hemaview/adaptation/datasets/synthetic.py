"""Made-up scans of a made-up hospital: phantoms as one particular scanner would show them. Never real patients."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hemaview.adaptation.datasets.labelled import DataError, LabelledScan
from hemaview.adaptation.phantoms import held_out_case
from hemaview.imaging import LabelMap, Modality, Volume

FIRST_SEED = 5_000_000
"""Added to the patient's number: phantoms with smaller seeds measure models or train the bundled one."""


@dataclass(frozen=True)
class Scanner:
    """How a hospital's scanner differs from the one the phantoms come from; the defaults change nothing.

    ``gamma`` bends the grey scale between the scan's 1st and 99th percentile, ``inverted`` turns it round, ``noise``
    is the standard deviation of added noise and ``bias`` the strength of a smooth shading, both as shares of that
    range; ``blur_mm`` is the standard deviation of an in-plane blur.
    """

    gamma: float = 1.0
    noise: float = 0.0
    bias: float = 0.0
    blur_mm: float = 0.0
    inverted: bool = False

    def picture(self, volume: Volume, seed: int) -> Volume:
        """``volume`` as this scanner shows it; the same seed gives the same noise and shading."""
        if self == Scanner():
            return volume
        rng = np.random.default_rng((FIRST_SEED, seed))
        values = volume.array.astype(np.float32)
        low, high = (float(v) for v in np.percentile(values[::1, ::2, ::2], (1, 99)))
        scale = max(high - low, 1e-3)
        x = (values - low) / scale
        if self.blur_mm > 0:
            sigma = [0.0, self.blur_mm / volume.geometry.spacing[1], self.blur_mm / volume.geometry.spacing[0]]
            x = ndimage.gaussian_filter(x, sigma)
        x = np.sign(x) * np.abs(x) ** self.gamma
        if self.inverted:
            x = 1 - x
        if self.bias > 0:
            x = x * (1 + self.bias * _shading(rng, x.shape))
        if self.noise > 0:
            x = x + self.noise * rng.standard_normal(x.shape, dtype=np.float32)
        shown = np.clip(np.rint(low + scale * x), -32768, 32767).astype(np.int16)
        return replace(volume, array=shown)


OTHER_HOSPITAL = Scanner(gamma=1.8, noise=0.10, bias=0.35, blur_mm=1.2)
"""Dark, noisy, shaded and blurred: what ``hemaview train --synthetic`` shows a model that it has not seen."""


def synthetic_scans(
    patients: int, modality: Modality = Modality.MR, scanner: Scanner = OTHER_HOSPITAL, seed: int = 0
) -> tuple[LabelledScan, ...]:
    """Scans of ``patients`` made-up patients, named "synthetic-0001" and so on; nothing is painted before ``load``.

    The same numbers give the same scans. Painting needs the training extra (``HemaviewError`` without it).
    """
    if patients < 1:
        raise DataError("At least one synthetic patient is needed; ask for more.")
    return tuple(
        LabelledScan(
            patient=f"synthetic-{number:04d}",
            case=f"synthetic-{number:04d}",
            sequence=str(modality),
            origin=f"synthetic {modality} phantoms of a made-up scanner",
            read=functools.partial(_paint, FIRST_SEED + 10_000 * seed + number, modality, scanner),
        )
        for number in range(1, patients + 1)
    )


def _paint(seed: int, modality: Modality, scanner: Scanner) -> tuple[Volume, LabelMap]:
    volume, mask = held_out_case(seed, modality)
    return replace(scanner.picture(volume, seed), name=f"synthetic {volume.name}"), mask


def _shading(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A smooth field between about -1 and 1."""
    small = rng.uniform(-1, 1, (3, 4, 4)).astype(np.float32)
    axes = [np.linspace(0, n - 1, count, dtype=np.float32) for n, count in zip(small.shape, shape, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.asarray(ndimage.map_coordinates(small, grid, order=2, mode="nearest"), dtype=np.float32)
