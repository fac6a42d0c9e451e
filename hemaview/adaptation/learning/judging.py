"""Whether a model became better: the whole engine on scans it never learned from, before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from hemaview.adaptation.datasets.labelled import DataError, LabelledScan
from hemaview.case.records import fingerprint
from hemaview.evaluation.metrics import dice
from hemaview.evaluation.prompts import jittered_box
from hemaview.segmentation import Segmenter

JITTER = 0.05
"""Every side of the one box is moved by up to this share of it, the same way before and after."""
_LEAST_CHANGE = 0.005
_COLLAPSE = 0.10


class Verdict(StrEnum):
    """What the held-out scans say."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"

    @property
    def figure(self) -> float:
        """1, 0 or -1, as an adapter's card holds it."""
        return {Verdict.BETTER: 1.0, Verdict.SAME: 0.0, Verdict.WORSE: -1.0}[self]


@dataclass(frozen=True)
class CaseScore:
    """One engine on one scan from one 3D box: Dice, and volumes in mL of the truth and of the answer."""

    case: str
    patient: str
    dice: float
    volume_ml: float
    found_ml: float


@dataclass(frozen=True)
class Judgement:
    """Both engines on the same scans with the same boxes."""

    before: tuple[CaseScore, ...]
    after: tuple[CaseScore, ...]

    @property
    def mean_before(self) -> float:
        """Mean Dice of the base."""
        return float(np.mean([score.dice for score in self.before]))

    @property
    def mean_after(self) -> float:
        """Mean Dice of the fitted model."""
        return float(np.mean([score.dice for score in self.after]))

    @property
    def changes(self) -> list[float]:
        """Dice after minus before, per scan."""
        return [b.dice - a.dice for a, b in zip(self.before, self.after, strict=True)]

    @property
    def verdict(self) -> Verdict:
        """Better: mean Dice up by half a point or more, no more scans lose than gain, none loses ten points.

        Worse: mean Dice down by half a point or more, or a scan loses ten points without the mean going up.
        """
        mean, changes = float(np.mean(self.changes)), self.changes
        gained = sum(change > _LEAST_CHANGE for change in changes)
        lost = sum(change < -_LEAST_CHANGE for change in changes)
        collapsed = min(changes) <= -_COLLAPSE
        if mean >= _LEAST_CHANGE and gained >= lost and not collapsed:
            return Verdict.BETTER
        if mean <= -_LEAST_CHANGE or (collapsed and mean < _LEAST_CHANGE):
            return Verdict.WORSE
        return Verdict.SAME

    @property
    def sentence(self) -> str:
        """The verdict in words, with its figures."""
        changes = self.changes
        gained = sum(change > _LEAST_CHANGE for change in changes)
        lost = sum(change < -_LEAST_CHANGE for change in changes)
        patients = len({score.patient for score in self.before})
        return (
            f"{self.verdict.upper()}: mean Dice {self.mean_before:.3f} before, {self.mean_after:.3f} after, on "
            f"{len(changes)} scan{'s' if len(changes) > 1 else ''} of {patients} held-out "
            f"patient{'s' if patients > 1 else ''} ({gained} better, {lost} worse, "
            f"largest loss {max(0.0, -min(changes)):.3f})."
        )

    def to_json(self) -> dict[str, Any]:
        """The content of ``cases.json``."""
        cases = [
            {
                "case": a.case,
                "patient": a.patient,
                "split": "held_out",
                "dice_before": round(a.dice, 4),
                "dice_after": round(b.dice, 4),
                "volume_ml": round(a.volume_ml, 3),
                "volume_before_ml": round(a.found_ml, 3),
                "volume_after_ml": round(b.found_ml, 3),
            }
            for a, b in zip(self.before, self.after, strict=True)
        ]
        return {
            "cases": cases,
            "verdict": self.verdict.value,
            "mean_before": round(self.mean_before, 4),
            "mean_after": round(self.mean_after, 4),
            "sentence": self.sentence,
            "prompt": f"one 3D box, every side moved by up to {JITTER:.0%}",
        }


def score_cases(
    engine: Segmenter,
    scans: Sequence[LabelledScan],
    *,
    learned_from: frozenset[str] = frozenset(),
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[CaseScore, ...]:
    """Ask ``engine`` once per scan, with a box round the truth moved as a hand would; the box follows from the name.

    ``learned_from`` holds fingerprints of scans that taught the model: ``DataError`` where one of them comes back
    under another patient's name.
    """
    scores = []
    for number, scan in enumerate(scans):
        report(number, len(scans))
        volume, truth = scan.load()
        if fingerprint(volume) in learned_from:
            raise DataError(
                f"The scan {scan.case} is also among the scans of another patient, so it cannot measure anything; "
                "give both the same patient."
            )
        seed = int.from_bytes(hashlib.blake2b(scan.case.encode(), digest_size=4).digest())
        prompt = jittered_box(truth, JITTER, np.random.default_rng(seed))
        mask = engine.segment(volume, prompt).mask()
        scores.append(
            CaseScore(
                scan.case,
                scan.patient,
                dice(mask.array, truth.array),
                truth.geometry.volume_ml(truth.array),
                mask.geometry.volume_ml(mask.array),
            )
        )
    report(len(scans), len(scans))
    return tuple(scores)
