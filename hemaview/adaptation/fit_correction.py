"""Fit the corrected volume of a shipped model on phantoms it was never trained on.

``python -m hemaview.adaptation.fit_correction --cases 160 --out models/compact/correction.json``
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hemaview.errors import HemaviewError, ModelError
from hemaview.imaging import LabelMap, Modality
from hemaview.segmentation import BoxPrompt, Segmenter
from hemaview.segmentation.registry import load_engine
from hemaview.volumetry import CorrectionModel, Evidence, save_corrections
from hemaview.volumetry.correction import FEATURES, measure_features

ALPHA = 0.1
"""One minus the coverage of the interval."""

FEWEST_FOR_LINES = 30
"""Below this many patients only the median log-ratio is fitted."""

_DISTANCE_SHARE = 0.99
_SHRINKAGE = 0.05
_SMALLEST_SCALE = 1e-3
_FOLDS = 5
_MARGIN = 0.98
_RIDGE = 1.0
_BOX_JITTER = (-0.05, 0.10)
_VOLUME_ONLY = ("volume_ml", "volume_ml_two_thirds")


@dataclass(frozen=True)
class MeasuredCase:
    """One segmented phantom: who it is, the features of the model's mask, and the exact volume in mL."""

    patient: str
    features: Mapping[str, float]
    true_ml: float

    @property
    def log_ratio(self) -> float:
        """log(true / measured volume)."""
        return math.log(self.true_ml / self.features["volume_ml"])


@dataclass(frozen=True)
class Split:
    """Three groups that share no patient: to fit on, to calibrate the interval on, and to judge both on."""

    fit: tuple[MeasuredCase, ...]
    calibrate: tuple[MeasuredCase, ...]
    check: tuple[MeasuredCase, ...]

    def __post_init__(self) -> None:
        patients = [{case.patient for case in group} for group in (self.fit, self.calibrate, self.check)]
        if patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2]:
            raise ModelError("A patient is in more than one group of the split; group the cases by patient.")
        if not self.fit:
            raise ModelError("There is no case to fit the volume correction on; make more cases.")


def split_by_patient(cases: Sequence[MeasuredCase], seed: int, shares: tuple[float, float] = (0.5, 0.25)) -> Split:
    """Deal the patients at random: ``shares`` of them to fit and to calibrate, the rest to check."""
    patients = sorted({case.patient for case in cases})
    order = np.random.default_rng(seed).permutation(len(patients))
    cuts = [round(shares[0] * len(patients)), round((shares[0] + shares[1]) * len(patients))]
    groups = [{patients[i] for i in part} for part in np.split(order, cuts)]
    fit, calibrate, check = (tuple(c for c in cases if c.patient in group) for group in groups)
    return Split(fit, calibrate, check)


def fit_correction(
    split: Split, *, engine: str, engine_sha256: str, modality: str, trained_on: str, seed: int = 0
) -> CorrectionModel:
    """The correction whose regressor has the smallest cross-validated error on the fit group.

    Candidates, simplest first: no change, the median log-ratio, a Huber line on volume, a Huber line on all
    features (the last two from 30 patients on). A more complex one must be at least 2 % better. The
    interval is split-conformal on the calibration group; the figures come from the check group alone.
    """
    candidates: list[tuple[str, tuple[str, ...]]] = [("none", ()), ("median", ())]
    if len({case.patient for case in split.fit}) >= FEWEST_FOR_LINES:
        candidates += [("huber", _VOLUME_ONLY), ("huber", FEATURES)]
    best, best_error = candidates[0], math.inf
    for candidate in candidates:
        error = _cross_validated_error(split.fit, candidate, seed)
        if error < _MARGIN * best_error:
            best, best_error = candidate, error
    intercept, slopes = _regress(split.fit, *best)
    centre, scale = _standard(split.fit)
    coefficients = [slopes.get(name, 0.0) for name in FEATURES]
    z = (_matrix(split.fit, FEATURES) - centre) / scale
    precision = np.linalg.inv((1 - _SHRINKAGE) * (z.T @ z) / len(z) + _SHRINKAGE * np.eye(len(FEATURES)))
    distances = np.sqrt(np.einsum("ij,jk,ik->i", z, precision, z))
    volumes = [case.features["volume_ml"] for case in split.fit]
    model = CorrectionModel(
        engine=engine,
        engine_sha256=engine_sha256,
        modality=modality,
        trained_on=trained_on,
        regressor=best[0] + (f" on {', '.join(best[1])}" if best[1] else ""),
        features=FEATURES,
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        intercept=intercept,
        coefficients=tuple(coefficients),
        precision=tuple(tuple(row) for row in precision.tolist()),
        distance_limit=float(np.quantile(distances, _DISTANCE_SHARE)),
        lowest_ml=min(volumes),
        highest_ml=max(volumes),
        quantile=None,
    )
    scores = [abs(case.log_ratio - predicted_log_ratio(model, case)) for case in split.calibrate]
    model = replace(model, quantile=conformal_quantile(scores, ALPHA))
    return replace(model, figures=measured_figures(model, split))


def predicted_log_ratio(model: CorrectionModel, case: MeasuredCase) -> float:
    """log(corrected / measured volume) of a case."""
    return math.log(model.predict(case.features)[0] / case.features["volume_ml"])


def conformal_quantile(scores: Sequence[float], alpha: float) -> float | None:
    """The ceil((n + 1)(1 - alpha))-th smallest score; None when n is too small for a finite interval."""
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)
    return sorted(scores)[rank - 1] if rank <= len(scores) else None


def measured_figures(model: CorrectionModel, split: Split) -> dict[str, float | str]:
    """What the correction does to the check group: error before and after, coverage, share refused."""
    accepted = [case for case in split.check if model.refusal(case.features) is None]
    figures: dict[str, float | str] = {
        "cases_fit": float(len(split.fit)),
        "cases_calibrate": float(len(split.calibrate)),
        "cases_check": float(len(split.check)),
        "cases_check_accepted": float(len(accepted)),
    }
    if not accepted:
        return figures | {"improves": "no"}
    before = np.array([abs(case.features["volume_ml"] / case.true_ml - 1) for case in accepted])
    after, covered, width = [], [], []
    for case in accepted:
        value, interval = model.predict(case.features)
        after.append(abs(value / case.true_ml - 1))
        if interval is not None:
            covered.append(interval[0] <= case.true_ml <= interval[1])
            width.append((interval[1] - interval[0]) / value)
    figures |= {
        "mape_before_percent": 100 * float(before.mean()),
        "mape_after_percent": 100 * float(np.mean(after)),
        "median_error_before_percent": 100 * float(np.median(before)),
        "median_error_after_percent": 100 * float(np.median(after)),
        "improves": "yes" if float(np.mean(after)) < float(before.mean()) else "no",
    }
    if covered:
        figures["coverage_percent"] = 100 * float(np.mean(covered))
        figures["median_interval_width_percent"] = 100 * float(np.median(width))
    return figures


def _matrix(cases: Sequence[MeasuredCase], names: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[case.features[name] for name in names] for case in cases])


def _standard(cases: Sequence[MeasuredCase]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and spread of every feature; one that never varied gets a spread so small that change is refused."""
    raw = _matrix(cases, FEATURES)
    centre = raw.mean(axis=0)
    return centre, np.maximum(raw.std(axis=0), _SMALLEST_SCALE * (np.abs(centre) + _SMALLEST_SCALE))


def _regress(cases: Sequence[MeasuredCase], kind: str, names: tuple[str, ...]) -> tuple[float, dict[str, float]]:
    """Intercept and slope per standardised feature."""
    target = np.array([case.log_ratio for case in cases])
    if kind == "none":
        return 0.0, {}
    if kind == "median":
        return float(np.median(target)), {}
    from sklearn.linear_model import HuberRegressor

    centre, scale = _standard(cases)
    columns = [FEATURES.index(name) for name in names]
    z = (_matrix(cases, names) - centre[columns]) / scale[columns]
    # The target's own spread is the unit, so that epsilon and the ridge mean the same for every model.
    unit = max(float(np.median(np.abs(target - np.median(target)))), 1e-6)
    fitted = HuberRegressor(epsilon=1.35, alpha=_RIDGE, max_iter=2000).fit(z, target / unit)
    slopes = (fitted.coef_ * unit).tolist()
    return float(fitted.intercept_) * unit, dict(zip(names, slopes, strict=True))


def _cross_validated_error(cases: Sequence[MeasuredCase], candidate: tuple[str, tuple[str, ...]], seed: int) -> float:
    """Mean |predicted - true log-ratio| of patients left out; scaling is learnt inside each fold."""
    patients = sorted({case.patient for case in cases})
    order = np.random.default_rng(seed).permutation(len(patients))
    errors: list[float] = []
    for part in np.array_split(order, min(_FOLDS, len(patients))):
        held = {patients[i] for i in part}
        kept = [case for case in cases if case.patient not in held] or list(cases)
        intercept, slopes = _regress(kept, *candidate)
        centre, scale = _standard(kept)
        for case in (case for case in cases if case.patient in held):
            z = dict(zip(FEATURES, (_matrix([case], FEATURES)[0] - centre) / scale, strict=True))
            predicted = intercept + sum(slope * z[name] for name, slope in slopes.items())
            errors.append(abs(case.log_ratio - predicted))
    return float(np.mean(errors))


def measure_phantoms(
    engine: Segmenter, modality: Modality, seeds: Sequence[int], on_case: Callable[[], None] = lambda: None
) -> list[MeasuredCase]:
    """Segment the held-out phantoms of ``seeds`` from a box as a hand draws it, and measure what came out.

    Every face of the tight box is moved by -5 to +10 % of its side. A phantom in which nothing is found
    has no ratio to learn from and is left out; its seed is its patient.
    """
    from hemaview.adaptation.phantoms import held_out_case

    cases = []
    for seed in seeds:
        volume, truth = held_out_case(seed, modality)
        segmentation = engine.segment(volume, hand_drawn_box(truth, seed))
        mask = segmentation.mask()
        if mask.voxel_count:
            true_ml = truth.geometry.volume_ml(truth.array)
            features = measure_features(mask, Evidence.of(segmentation))
            cases.append(MeasuredCase(f"{modality} {seed}", features, true_ml))
        on_case()
    return cases


def hand_drawn_box(truth: LabelMap, seed: int) -> BoxPrompt:
    """The tight box with every face moved by -5 to +10 % of its side, kept in the scan; the same for a seed."""
    geometry = truth.geometry
    lower, upper = BoxPrompt.around(truth).index_bounds(geometry)
    side = upper - lower
    rng = np.random.default_rng((seed, 7))
    lower = np.maximum(lower - side * rng.uniform(*_BOX_JITTER, 3), -0.5)
    upper = np.minimum(upper + side * rng.uniform(*_BOX_JITTER, 3), np.asarray(geometry.size) - 0.5)
    return BoxPrompt.from_index_bounds(geometry, lower, upper)


def describe(model: CorrectionModel) -> str:
    """What was fitted and what it does to patients it never saw, in a few words."""
    f = model.figures
    if "mape_after_percent" not in f:
        return f"{model.modality}: {model.regressor}; none of the untouched phantoms lies within the range of the fit."
    cover = f"{f['coverage_percent']:.0f} %" if "coverage_percent" in f else "no interval"
    return (
        f"{model.modality}: {model.regressor}; on {f['cases_check_accepted']:.0f} of {f['cases_check']:.0f} untouched "
        f"phantoms mean error {f['mape_before_percent']:.1f} % before, {f['mape_after_percent']:.1f} % after "
        f"(median {f['median_error_before_percent']:.1f} and {f['median_error_after_percent']:.1f} %); "
        f"the 90 % interval covers {cover}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: fit one correction per modality and write them."""
    parser = argparse.ArgumentParser(prog="python -m hemaview.adaptation.fit_correction", description=__doc__)
    parser.add_argument("--engine", default="compact", help="the model to correct (default: %(default)s)")
    parser.add_argument("--cases", type=int, default=160, help="phantoms per modality (default: %(default)s)")
    parser.add_argument("--first", type=int, default=50_000, help="seed of the first phantom (default: %(default)s)")
    parser.add_argument("--modalities", nargs="+", choices=["MR", "CT"], default=["MR", "CT"])
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    chosen = parser.parse_args(arguments)
    try:
        import torch

        torch.set_num_threads(1)
        engine = load_engine(chosen.engine)
        models = []
        for name in chosen.modalities:
            seeds = range(chosen.first, chosen.first + chosen.cases)
            with tqdm(total=len(seeds), desc=name) as bar:
                cases = measure_phantoms(engine, Modality(name), seeds, bar.update)
            model = fit_correction(
                split_by_patient(cases, chosen.first),
                engine=engine.info.name,
                engine_sha256=engine.info.sha256,
                modality=name,
                trained_on=f"{chosen.cases} synthetic {name} haematoma phantoms",
            )
            model = replace(model, figures={"cases_nothing_found": float(chosen.cases - len(cases)), **model.figures})
            print(describe(model))
            models.append(model)
        save_corrections(tuple(models), chosen.out)
    except HemaviewError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
