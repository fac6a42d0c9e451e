"""The two changes of images that the experiment looks at: between made-up scanners, and from made-up to real scans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from hemaview.adaptation.backgrounds import Head
from hemaview.adaptation.unsupervised.arms import Arm
from hemaview.adaptation.unsupervised.scanners import SCANNER_A, SCANNER_B, SCANNER_C, Scanner
from hemaview.adaptation.unsupervised.slices import (
    Painter,
    SliceSet,
    blood,
    real_slices,
    synthetic_slices,
    whole_tumour,
)
from hemaview.errors import HemaviewError


class Shift(StrEnum):
    """Which experiment."""

    PHANTOM = "phantom"
    FLAIR_TO_T1C = "flair-to-t1c"


@dataclass(frozen=True)
class Amounts:
    """Synthetic scans (up to 18 slices each) for training, adapting, stopping and testing."""

    source: int = 120
    target: int = 24
    held_out: int = 8
    test: int = 20


@dataclass(frozen=True, eq=False)
class Target:
    """Images to adapt to (without labels), images that decide when to stop, and named sets to measure on."""

    name: str
    images: SliceSet
    held_out: SliceSet
    tests: dict[str, SliceSet]
    arms: tuple[Arm, ...]


_UNSUPERVISED = tuple(arm for arm in Arm if arm is not Arm.SUPERVISED)
_SEEDS_APART = 100


def source_slices(shift: Shift, seed: int, amounts: Amounts, head: Head) -> SliceSet:
    """The labelled slices that the source model learns from: always synthetic, always scanner A."""
    return synthetic_slices(_seed(seed, 1), amounts.source, head, SCANNER_A, _painter(shift))


def targets(shift: Shift, seed: int, amounts: Amounts, head: Head, data: Path | None) -> Iterator[Target]:
    """What to adapt to. Real scans come from ``data``; ``HemaviewError`` when they are not there."""
    painter = _painter(shift)

    def made(part: int, count: int, scanner: Scanner) -> SliceSet:
        return synthetic_slices(_seed(seed, part), count, head, scanner, painter)

    yield Target(
        "scanner A (no change)",
        made(2, 1, SCANNER_A),
        made(2, 1, SCANNER_A),
        {"new heads, scanner A": made(4, amounts.test, SCANNER_A)},
        (Arm.NONE,),
    )
    if shift is Shift.PHANTOM:
        for scanner in (SCANNER_B, SCANNER_C):
            yield Target(
                f"scanner {scanner.name}",
                made(2, amounts.target, scanner),
                made(3, amounts.held_out, scanner),
                {f"new heads, scanner {scanner.name}": made(4, amounts.test, scanner)},
                (*_UNSUPERVISED, Arm.SUPERVISED),
            )
        return
    yield from _real_targets(data)


def _real_targets(data: Path | None) -> Iterator[Target]:
    if data is None or not (data / "mr_lesion").is_dir():
        raise HemaviewError("The real scans were not found; name the folder that holds mr_lesion with --data.")
    tcga, brats = data / "mr_lesion" / "tcga_du_7294_silver", data / "mr_lesion" / "deepmedic_brats2013_pat0001"
    silver, expert = tcga / "seg_mav.nii.gz", brats / "OTMultiClass.nii.gz"
    for name, scan, reference in (
        ("TCGA-DU-7294 FLAIR", tcga / "TCGA-DU-7294_fla_bet.nii.gz", silver),
        ("brats2013 FLAIR", brats / "Flair_subtrMeanDivStd.nii.gz", expert),
        ("TCGA-DU-7294 T2", tcga / "TCGA-DU-7294_t2_bet.nii.gz", silver),
    ):
        own = real_slices(scan, reference)
        arms = _UNSUPERVISED if name.endswith("T2") else (Arm.NONE, Arm.ADABN)
        yield _real_target(name, own, {"same scan": own}, arms)
    first = real_slices(tcga / "TCGA-DU-7294_t1c_bet.nii.gz", silver)
    second = real_slices(brats / "T1c_subtrMeanDivStd.nii.gz", expert)
    yield _real_target("TCGA-DU-7294 T1c", first, {"same scan": first, "other patient's T1c": second})
    yield _real_target("brats2013 T1c", second, {"same scan": second, "other patient's T1c": first})


def _real_target(
    name: str, slices: SliceSet, tests: dict[str, SliceSet], arms: tuple[Arm, ...] = _UNSUPERVISED
) -> Target:
    """Two of three slices to adapt to, the third to decide when to stop; none of their labels is read for that."""
    third = np.arange(len(slices)) % 3 == 2
    return Target(name, slices.only(~third), slices.only(third), tests, arms)


def _painter(shift: Shift) -> Painter:
    return blood if shift is Shift.PHANTOM else whole_tumour


def _seed(seed: int, part: int) -> int:
    return _SEEDS_APART * seed + part
