"""Made-up scanners: the same heads and lesions, shown with another contrast, noise, shading and sharpness.

Everything here is synthetic. Every curve is rising, so a lesion that is brighter than the brain on the
first is brighter on the others; how much brighter, and against what background, changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hemaview.adaptation.phantoms.acquisition import with_noise
from hemaview.adaptation.phantoms.fields import PaintGrid, blur_matrix, smooth_noise
from hemaview.adaptation.phantoms.scene import CONTRASTS, TissueLevels


@dataclass(frozen=True)
class Scanner:
    """How a painted scene becomes an image: tissue levels, then offset + gain * level ** gamma, then its faults.

    ``shading`` is the standard deviation of the logarithm of the bias field, ``noise`` that of the noise on the scale
    on which the brightest tissue is about 1, ``blur_mm`` the in-plane point spread's. Each varies by ``spread``.
    """

    name: str
    levels: TissueLevels
    gamma: float
    gain: float
    offset: float
    shading: float
    noise: float
    blur_mm: float
    spread: float = 0.25

    def acquire(self, rng: np.random.Generator, scene: Tensor, grid: PaintGrid) -> Tensor:
        """The scene (slices, rows, columns) as this scanner stores it."""

        def near(value: float) -> float:
            return value * float(rng.uniform(1 - self.spread, 1 + self.spread))

        _, rows, columns = scene.shape
        image = self.offset + self.gain * scene.clamp_min(0) ** near(self.gamma)
        image = image * torch.exp(near(self.shading) * smooth_noise(rng, grid, max(grid.extent_mm) * 0.7))
        cells = [near(self.blur_mm) / cell for cell in grid.cell_mm[1:]]
        image = blur_matrix(rows, cells[0]) @ image @ blur_matrix(columns, cells[1]).T
        return with_noise(rng, image, near(self.noise) * self.gain)


SCANNER_A = Scanner("A", CONTRASTS["flair"], gamma=1.0, gain=1.0, offset=0.0, shading=0.05, noise=0.012, blur_mm=0.6)
"""Good FLAIR: the source."""

SCANNER_B = Scanner(
    "B",
    # Shorter echo and other inversion time: grey and white matter change places, fluid is not nulled.
    TissueLevels(grey=0.48, white=0.52, fluid=0.30, bone=0.05, scalp=0.55),
    gamma=0.6,
    gain=0.8,
    offset=0.15,
    shading=0.12,
    noise=0.025,
    blur_mm=1.2,
)
"""Older FLAIR: flat contrast curve with an offset, fluid half suppressed, shading, noise and blur: the target."""

SCANNER_C = Scanner("C", CONTRASTS["flair"], gamma=0.4, gain=0.8, offset=0.2, shading=0.05, noise=0.012, blur_mm=0.6)
"""As good as A, with another contrast curve: nothing is lost that an adaptation could not get back."""
