"""Slices of skull-stripped scans for the experiment: 2 mm images of synthetic or real heads, with 1 mm truths.

The nets work at 2 mm; their logits are enlarged to 1 mm, on which they are measured. Every scan is scaled by itself:
the 0.5 and 99.5 percentile of its brain become 0 and 1, what lies outside the brain is 0. The second channel is the
user's box: 1 inside, the same rectangle on every slice it reaches; only slices that it reaches are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hemaview.adaptation.backgrounds import Head
from hemaview.adaptation.phantoms.appearance import Painted, paint_blood_mr, paint_bright_whole
from hemaview.adaptation.phantoms.fields import PaintGrid
from hemaview.adaptation.phantoms.scene import anatomy_of, compose, cut_head, vary
from hemaview.adaptation.phantoms.shapes import Anatomy, lesion_field
from hemaview.adaptation.unsupervised.scanners import Scanner
from hemaview.errors import ScanError
from hemaview.imaging.reading import read_scan

PIXEL_MM = 2.0
_GRID = PaintGrid((18, 72, 72), (72.0, 144.0, 144.0))
_SIDE = 64
_MIN_LESION_PIXELS = 150

Painter = Callable[[np.random.Generator, PaintGrid, float, Tensor, Tensor, Anatomy], Painted]


@dataclass(frozen=True, eq=False)
class SliceSet:
    """``images`` float32 (n, 2, h, w), image 0 to 1 and box, at 2 mm; ``truths`` bool (n, 2h, 2w) at 1 mm.

    ``scans`` (n,) numbers the scan each slice belongs to; slices of a scan are ``step_mm`` apart and in order.
    """

    images: Tensor
    truths: NDArray[np.bool_]
    scans: NDArray[np.int64]
    step_mm: float

    def __len__(self) -> int:
        return len(self.images)

    def only(self, chosen: NDArray[np.bool_]) -> SliceSet:
        """The slices for which ``chosen`` (n,) holds."""
        return SliceSet(self.images[torch.from_numpy(chosen)], self.truths[chosen], self.scans[chosen], self.step_mm)

    def save(self, path: Path) -> None:
        """Store as a compressed NumPy file; half-made files never carry the name."""
        half_made = path.with_suffix(".part.npz")
        np.savez_compressed(
            half_made,
            images=self.images.numpy(),
            truths=self.truths,
            scans=self.scans,
            step_mm=np.float64(self.step_mm),
        )
        half_made.replace(path)

    @staticmethod
    def load(path: Path) -> SliceSet:
        """Read what ``save`` stored."""
        with np.load(path, allow_pickle=False) as stored:
            images = torch.from_numpy(stored["images"])
            return SliceSet(images, stored["truths"], stored["scans"], float(stored["step_mm"]))


def blood(
    rng: np.random.Generator, grid: PaintGrid, half: float, image: Tensor, field: Tensor, anatomy: Anatomy
) -> Painted:
    """A haematoma of any stage on FLAIR; its oedema is not part of the truth."""
    return paint_blood_mr(rng, grid, half, image, field, anatomy, "flair")


def whole_tumour(
    rng: np.random.Generator, grid: PaintGrid, half: float, image: Tensor, field: Tensor, anatomy: Anatomy
) -> Painted:
    """A tumour with its swelling, bright on FLAIR; all of it is the truth."""
    return paint_bright_whole(rng, grid, half, image, field, anatomy)


def synthetic_slices(seed: int, scans: int, head: Head, scanner: Scanner, painter: Painter) -> SliceSet:
    """``scans`` synthetic scans of 18 slices, 4 mm apart, 128 × 128 mm; the same seed gives the same heads and lesions
    whatever the scanner."""
    images, truths, numbers = [], [], []
    for number in range(scans):
        image, truth = _synthetic_scan(seed, number, head, scanner, painter)
        image, truth = _with_box(image, truth, np.random.default_rng((seed, number, 8)))
        images.append(image)
        truths.append(truth)
        numbers.append(np.full(len(image), number))
    return SliceSet(torch.cat(images), np.concatenate(truths), np.concatenate(numbers), _GRID.cell_mm[0])


def _synthetic_scan(
    seed: int, number: int, head: Head, scanner: Scanner, painter: Painter
) -> tuple[Tensor, NDArray[np.bool_]]:
    attempt = 0
    while True:
        rng = np.random.default_rng((seed, number, attempt))
        attempt += 1
        centre = head.inside[int(rng.integers(len(head.inside)))]
        maps = cut_head(rng, head, _GRID, axial=True, centre=centre)
        scene = compose(rng, _GRID, maps, vary(rng, scanner.levels, 0.06), with_skull=False)
        half = float(np.exp(rng.uniform(np.log(11), np.log(30))))
        anatomy = anatomy_of(maps)
        family = str(rng.choice(["compact", "lobed", "bridged", "fingers", "infiltrating"]))
        field = lesion_field(rng, _GRID, half, anatomy, family)
        painted = painter(rng, _GRID, half, scene, field, anatomy)
        row, column = (int(v) for v in rng.integers(0, _GRID.shape[1] - _SIDE + 1, 2))
        window = np.s_[:, row : row + _SIDE, column : column + _SIDE]
        # The level set is smooth, so that its zero is well placed between the cells it was painted on.
        fine = F.interpolate(painted.target[window][:, None], scale_factor=2, mode="bilinear", align_corners=False)
        truth = (fine[:, 0] > 0).numpy()
        if truth.sum() < _MIN_LESION_PIXELS:
            continue
        # The scanner has its own generator, so that its faults leave heads and lesions as they are.
        image = scanner.acquire(np.random.default_rng((seed, number, 7)), painted.image, _GRID)
        return _scaled(image[window], (maps[3] < 0.5)[window])[:, None], truth


def real_slices(scan: Path, reference: Path, step: int = 2) -> SliceSet:
    """Every ``step``-th slice of a skull-stripped 1 mm scan, cut to its brain; the truth is every label above zero.

    Raises ``ScanError`` for scans on another grid than 1 mm, or with a reference that does not lie on them.
    """
    volume, drawn = read_scan(scan), read_scan(reference)
    if not volume.geometry.matches(drawn.geometry, tolerance_mm=0.5) or not np.allclose(
        volume.geometry.spacing, 1.0, atol=0.01
    ):
        raise ScanError(f"{scan.name} is not a 1 mm scan with a reference on its grid; choose another case.")
    array = torch.from_numpy(np.asarray(volume.array, dtype=np.float32))
    values, counts = torch.unique(array.round(decimals=3), return_counts=True)
    brain = array > values[counts.argmax()] + 1e-3  # the background has one value, which is not always 0
    rows, columns = (torch.nonzero(brain.any(0).any(other)).flatten() for other in (1, 0))
    window = np.s_[::step, _span(rows), _span(columns)]
    truth = np.asarray(np.rint(np.asarray(drawn.array))[window] > 0)
    image = F.avg_pool2d(_scaled(array, brain)[window][:, None], 2)
    image, truth = _with_box(image, truth, np.random.default_rng(0))
    return SliceSet(image, truth, np.zeros(len(image), np.int64), float(step))


def _span(found: Tensor) -> slice:
    """From the first to the last place found, widened to a multiple of 16."""
    start, length = int(found[0]), int(found[-1]) - int(found[0]) + 1
    length += -length % 16
    start = max(0, start - 4)
    return slice(start, start + length)


def _scaled(image: Tensor, brain: Tensor) -> Tensor:
    inside = image[brain].sort().values
    low, high = (float(inside[round(q * (len(inside) - 1))]) for q in (0.005, 0.995))
    return torch.where(brain, ((image - low) / max(high - low, 1e-6)).clamp(0, 1), 0.0)


def _with_box(image: Tensor, truth: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Tensor, NDArray[np.bool_]]:
    """The slices in the box's depth, with the box as a second channel; each side lies 0 to 4 mm outside the lesion."""
    depth = np.flatnonzero(truth.any(axis=(1, 2)))
    box = torch.zeros_like(image)
    sides = []
    for other, most in ((2, image.shape[2]), (1, image.shape[3])):
        found = np.flatnonzero(truth.any(axis=(0, other)))
        low, high = found[0] - rng.uniform(0, 4), found[-1] + 1 + rng.uniform(0, 4)
        sides.append(slice(max(0, round(low / PIXEL_MM)), min(most, round(high / PIXEL_MM))))
    box[..., sides[0], sides[1]] = 1
    window = slice(int(depth[0]), int(depth[-1]) + 1)
    return torch.cat([image, box], dim=1)[window], truth[window]
