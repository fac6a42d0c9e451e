"""The corrected volume: the direct volume with the model's own systematic error taken out, where it is known."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hemaview.errors import ModelError
from hemaview.imaging import LabelMap, Modality, Volume
from hemaview.resources import resource_path
from hemaview.saving import save_atomically
from hemaview.volumetry.evidence import Evidence, ProbabilityMap
from hemaview.volumetry.reading import Reading, ReadingKind
from hemaview.volumetry.shape import irregularity_index

FEATURES = (
    "volume_ml",
    "volume_ml_two_thirds",
    "irregularity_index",
    "slices",
    "slice_spacing_mm",
    "mean_probability",
    "shell_entropy",
    "soft_excess",
    "box_fill",
)
"""All known when the mask is measured; nothing comes from a reference."""

_FORMAT = "hemaview-correction-1"


@dataclass(frozen=True)
class CorrectionModel:
    """log(true / measured volume) as a linear function of standardised features, for one model and modality.

    The corrected volume is x exp(t), t = ``intercept`` + ``coefficients`` . z, z = (features - ``centre``) /
    ``scale``. ``quantile`` is the split-conformal 90 % quantile of |t - true t|; None when too few calibration
    patients were at hand for an interval. ``lowest_ml`` to ``highest_ml`` is the range of measured volumes at
    fitting; sqrt(z' ``precision`` z) above ``distance_limit`` is outside what was fitted. ``figures`` holds
    what was measured on patients used for neither.
    """

    engine: str
    engine_sha256: str
    modality: str
    trained_on: str
    regressor: str
    features: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    intercept: float
    coefficients: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    distance_limit: float
    lowest_ml: float
    highest_ml: float
    quantile: float | None
    figures: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.features)
        if not set(self.features) <= set(FEATURES):
            raise ModelError("The volume correction needs features this version cannot measure; update HEMAVIEW.")
        lengths = {len(self.centre), len(self.scale), len(self.coefficients), len(self.precision)}
        if lengths != {count} or {len(row) for row in self.precision} != {count} or min(self.scale) <= 0:
            raise ModelError("The volume correction file is damaged; install the program again.")

    def standardise(self, features: Mapping[str, float]) -> np.ndarray:
        """z, (n,), of measured features."""
        raw = np.array([features[name] for name in self.features])
        return np.asarray((raw - np.asarray(self.centre)) / np.asarray(self.scale))

    def distance(self, features: Mapping[str, float]) -> float:
        """Mahalanobis distance of measured features from the patients of the fit."""
        z = self.standardise(features)
        return math.sqrt(float(np.maximum(z @ np.asarray(self.precision) @ z, 0.0)))  # keeps a NaN

    def refusal(self, features: Mapping[str, float]) -> str | None:
        """One sentence why these features lie outside what was fitted, or None when they do not."""
        volume = features["volume_ml"]
        if not self.lowest_ml <= volume <= self.highest_ml:
            return (
                f"The correction was fitted on {self.lowest_ml:.1f} to {self.highest_ml:.1f} mL and is not "
                f"extrapolated to {volume:.1f} mL; use the direct volume."
            )
        distance = self.distance(features)
        if not distance <= self.distance_limit:
            # Also true for a NaN among the features.
            return (
                f"This mask is unlike those the correction was fitted on (distance {distance:.1f}, "
                f"limit {self.distance_limit:.1f}); use the direct volume."
            )
        return None

    def predict(self, features: Mapping[str, float]) -> tuple[float, tuple[float, float] | None]:
        """Corrected volume in mL and its 90 % interval; does not check ``refusal``."""
        volume = features["volume_ml"]
        t = self.intercept + float(np.dot(self.coefficients, self.standardise(features)))
        if self.quantile is None:
            return volume * math.exp(t), None
        return volume * math.exp(t), (volume * math.exp(t - self.quantile), volume * math.exp(t + self.quantile))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; floats survive bit for bit."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CorrectionModel:
        """The model that ``to_json`` described; raises ``ModelError`` for anything else."""
        try:
            return cls(
                engine=str(data["engine"]),
                engine_sha256=str(data["engine_sha256"]),
                modality=str(data["modality"]),
                trained_on=str(data["trained_on"]),
                regressor=str(data["regressor"]),
                features=tuple(str(name) for name in data["features"]),
                centre=_floats(data["centre"]),
                scale=_floats(data["scale"]),
                intercept=float(data["intercept"]),
                coefficients=_floats(data["coefficients"]),
                precision=tuple(_floats(row) for row in data["precision"]),
                distance_limit=float(data["distance_limit"]),
                lowest_ml=float(data["lowest_ml"]),
                highest_ml=float(data["highest_ml"]),
                quantile=None if data["quantile"] is None else float(data["quantile"]),
                figures=dict(data["figures"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError("The volume correction file is damaged; install the program again.") from error


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def save_corrections(models: tuple[CorrectionModel, ...], path: Path | str) -> None:
    """Write correction models, one per modality, as JSON; raises ``ExportError``."""
    document = {"format": _FORMAT, "corrections": [model.to_json() for model in models]}
    save_atomically(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode(), "The correction")


def load_corrections(path: Path | str) -> tuple[CorrectionModel, ...]:
    """Read correction models; none when the file does not exist, ``ModelError`` when it is damaged."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise ModelError("The volume correction file cannot be read; install the program again.") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ModelError("The volume correction file is of another version; install the program again.")
    return tuple(CorrectionModel.from_json(entry) for entry in document.get("corrections", ()))


@lru_cache(maxsize=8)
def _shipped_corrections(engine: str) -> tuple[CorrectionModel, ...]:
    if not engine.replace("-", "").replace("_", "").isalnum():
        return ()
    return load_corrections(resource_path("models", engine, "correction.json"))


def measure_features(mask: LabelMap, evidence: Evidence) -> dict[str, float]:
    """The features of ``FEATURES`` for a non-empty mask as the model made it."""
    bounds = mask.bounds()
    if bounds is None:
        raise ValueError("an empty mask has no features")
    volume = mask.geometry.volume_ml(mask.array)
    return {
        "volume_ml": volume,
        "volume_ml_two_thirds": volume ** (2 / 3),
        "irregularity_index": irregularity_index(mask),
        "slices": float(bounds[0].stop - bounds[0].start),
        "slice_spacing_mm": float(mask.geometry.slice_extents_mm[bounds[0]].mean()),
        "mean_probability": evidence.mean_probability,
        "shell_entropy": evidence.shell_entropy,
        "soft_excess": evidence.soft_excess,
        "box_fill": evidence.box_fill,
    }


def corrected_volume(
    mask: LabelMap,
    segmentation: ProbabilityMap | Evidence | None,
    volume: Volume | None,
    edited: bool,
    corrections: tuple[CorrectionModel, ...] | None = None,
) -> Reading:
    """The corrected reading of an untouched model mask, or the reason why there is none.

    ``segmentation`` is what made the mask, or its ``Evidence``. ``corrections`` replaces those shipped
    with the model. Refuses, never extrapolates: another model or weights, an adapter, a prepared scan, more or
    less than one box as prompt, another or unknown modality, an edited mask, features outside the range of the fit.
    """

    def refuse(reason: str) -> Reading:
        return Reading(ReadingKind.CORRECTED, None, reason=reason)

    if mask.voxel_count == 0:
        return Reading(ReadingKind.CORRECTED, 0.0, warnings=("The mask is empty.",))
    if segmentation is None:
        return refuse("The mask was not made by a model, so there is no model error to correct.")
    if edited:
        return refuse("The mask was edited by hand, so the model's error no longer applies; use the direct volume.")
    evidence = segmentation if isinstance(segmentation, Evidence) else Evidence.of(segmentation)
    if corrections is None:
        try:
            corrections = _shipped_corrections(evidence.engine)
        except ModelError as error:
            return refuse(str(error))
    models = [m for m in corrections if m.engine == evidence.engine]
    if not models:
        return refuse(f"No volume correction was fitted for the model '{evidence.engine}'; use the direct volume.")
    models = [m for m in models if m.engine_sha256 == evidence.engine_sha256]
    if not models:
        return refuse("The volume correction was fitted for other weights of this model; use the direct volume.")
    if evidence.adapter:
        return refuse("The volume correction was fitted for the model without an adapter; use the direct volume.")
    if evidence.prepared:
        return refuse(
            "The model saw a prepared scan, and the volume correction was fitted on scans as they are; "
            "use the direct volume."
        )
    if not evidence.one_box:
        return refuse("The volume correction was fitted for masks from a single box alone; use the direct volume.")
    modality = Modality.UNKNOWN if volume is None else volume.modality
    if modality is Modality.UNKNOWN:
        return refuse("The scan's modality is unknown, so no volume correction is chosen; use the direct volume.")
    if volume is not None and modality is Modality.CT and not volume.is_hounsfield:
        return refuse("The volume correction was fitted for CT in HU, not for grey levels; use the direct volume.")
    model = next((m for m in models if m.modality == modality), None)
    if model is None:
        fitted = " and ".join(sorted({m.modality for m in models}))
        return refuse(f"The volume correction was fitted for {fitted}, not for {modality}; use the direct volume.")
    features = measure_features(mask, evidence)
    reason = model.refusal(features)
    if reason is not None:
        return refuse(reason)
    value, interval = model.predict(features)
    return Reading(
        ReadingKind.CORRECTED,
        value,
        interval_ml=interval,
        inputs={
            **features,
            "factor": value / features["volume_ml"],
            "distance": model.distance(features),
            "distance_limit": model.distance_limit,
            "trained_on": model.trained_on,
            "regressor": model.regressor,
        },
        notes=_notes(model),
    )


def _notes(model: CorrectionModel) -> tuple[str, ...]:
    found = [f"Fitted on {model.trained_on}."]
    if model.quantile is None:
        found.append("Too few calibration cases for a 90 % interval.")
    if not any(model.coefficients) and model.intercept == 0:
        found.append(
            "No systematic error was found there, so the value is the direct one; the interval is its scatter."
        )
    elif model.figures.get("improves") == "no":
        found.append("On untouched cases it was no closer to the truth than the direct volume.")
    return tuple(found)
