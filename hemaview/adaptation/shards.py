"""Training samples on disk: numpy shards that several processes write and read at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hemaview.adaptation.backgrounds import Head
from hemaview.adaptation.phantoms import SAMPLE_SHAPE, Sample, training_sample
from hemaview.errors import HemaviewError

SHARD_SIZE = 200
HELD_OUT_SEED = 900_000
"""Seeds from here on are never used for training."""


@dataclass(frozen=True, eq=False)
class Shard:
    """Samples of one file set, read through memory maps."""

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    slices: NDArray[np.int64]
    spacing: NDArray[np.float32]
    kinds: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> Sample:
        count = int(self.slices[index])
        mask = np.unpackbits(self.masks[index, :count], axis=-1).astype(np.bool_)
        first, second, third = (float(v) for v in self.spacing[index])
        return Sample(np.asarray(self.images[index, :count]), mask, (first, second, third), str(self.kinds[index]))


def write_shards(
    folder: Path,
    seed: int,
    heads: Sequence[Head],
    *,
    shards: int,
    minutes: float | None = None,
    kinds: Sequence[str] = (),
    report: Callable[[str], None] = print,
) -> None:
    """Make up to ``shards`` shards of phantoms from ``seed`` (stops after ``minutes``); same seed, same bytes.

    ``kinds`` limits them to some kinds of lesion.
    """
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    for number in range(shards):
        if minutes is not None and time.monotonic() - started > 60 * minutes:
            return
        name = f"{seed:06d}_{number:04d}"
        if (folder / f"{name}_index.npz").exists():
            continue
        rng = np.random.default_rng((seed, number))
        images = np.zeros((SHARD_SIZE, *SAMPLE_SHAPE), dtype=np.uint8)
        masks = np.zeros((SHARD_SIZE, *SAMPLE_SHAPE[:2], SAMPLE_SHAPE[2] // 8), dtype=np.uint8)
        slices, spacing, kinds = [], [], []
        for index in range(SHARD_SIZE):
            sample = training_sample(rng, heads, kinds)
            count = len(sample.image)
            images[index, :count] = sample.image
            masks[index, :count] = np.packbits(sample.mask, axis=-1)
            slices.append(count)
            spacing.append(sample.spacing_mm)
            kinds.append(sample.kind)
        np.save(folder / f"{name}_images.npy", images)
        np.save(folder / f"{name}_masks.npy", masks)
        # The index comes last and whole: a shard without it does not exist for readers.
        unfinished = folder / f"{name}_index.tmp.npz"
        np.savez(unfinished, slices=slices, spacing=np.array(spacing, dtype=np.float32), kinds=np.array(kinds))
        unfinished.replace(folder / f"{name}_index.npz")
        report(f"shard {name}: {SHARD_SIZE} samples, {(time.monotonic() - started) / 60:.1f} min")


def open_shards(folder: Path) -> tuple[Shard, ...]:
    """Every finished shard in a folder; raises ``HemaviewError`` when there is none."""
    found = []
    for index in sorted(folder.glob("*_index.npz")):
        name = index.name.removesuffix("_index.npz")
        with np.load(index) as table:
            slices, spacing, kinds = table["slices"], table["spacing"], table["kinds"]
        images = np.load(folder / f"{name}_images.npy", mmap_mode="r")
        masks = np.load(folder / f"{name}_masks.npy", mmap_mode="r")
        found.append(Shard(images, masks, slices, spacing, kinds))
    if not found:
        raise HemaviewError(f"There are no training samples in {folder}; make some with the command generate first.")
    return tuple(found)
