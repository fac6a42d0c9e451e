"""The corrected volume: honest intervals, an exact file, and a reason for every refusal."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from hemaview.adaptation.fit_correction import (
    MeasuredCase,
    Split,
    conformal_quantile,
    fit_correction,
    split_by_patient,
)
from hemaview.errors import ModelError
from hemaview.imaging import Geometry, LabelMap, Modality, Volume
from hemaview.segmentation import BoxPrompt, EngineInfo, FixedSlice, PointPrompt, Prompt, Segmentation
from hemaview.volumetry import Evidence, corrected_volume, load_corrections, readings, save_corrections
from hemaview.volumetry.correction import FEATURES, measure_features

ENGINE = EngineInfo("tried", "Tried model", "CPU", "ab" * 32, "nothing", "none")
FIT = {"engine": ENGINE.name, "engine_sha256": ENGINE.sha256, "modality": "MR", "trained_on": "made-up patients"}


def cohort(count, seed, bias=-0.1, noise=0.05):
    """Patients whose measured volume misses a shell of the true one; features as far as they matter."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        true = float(np.exp(rng.normal(math.log(14), 0.8)))
        hii = rng.uniform(100, 135)
        lost = bias * (14 / true) ** (1 / 3) - 0.002 * (hii - 100)
        x = true * math.exp(lost + noise * rng.normal())
        features = dict.fromkeys(FEATURES, 0.0) | {
            "volume_ml": x,
            "volume_ml_two_thirds": x ** (2 / 3),
            "irregularity_index": hii,
            "slices": float(rng.integers(5, 40)),
            "slice_spacing_mm": float(rng.choice([1.0, 3.0, 5.0])),
            "mean_probability": rng.uniform(0.85, 0.99),
            "shell_entropy": rng.uniform(0.2, 0.5),
            "soft_excess": rng.uniform(-0.03, 0.03),
            "box_fill": rng.uniform(0.3, 0.6),
        }
        cases.append(MeasuredCase(f"patient {number}", features, true))
    return cases


def fitted(count=160, seed=1, **options):
    return fit_correction(split_by_patient(cohort(count, seed, **options), seed), **FIT)


def test_a_known_bias_is_taken_out():
    figures = fitted().figures
    assert figures["improves"] == "yes"
    assert figures["mape_before_percent"] > 9
    assert figures["mape_after_percent"] < 6


def test_without_bias_the_volume_is_left_alone():
    cases = [replace(c, true_ml=c.features["volume_ml"] * math.exp(0.05 * n)) for c, n in _with_noise(cohort(160, 2))]
    model = fit_correction(split_by_patient(cases, 2), **FIT)
    assert model.regressor == "none"
    assert model.predict(cases[0].features)[0] == cases[0].features["volume_ml"]
    assert model.figures["improves"] == "no"
    assert model.figures["coverage_percent"] > 75


def test_a_correction_that_changes_nothing_says_so(scene, corrections):
    nothing = replace(corrections[0], regressor="none", intercept=0.0, coefficients=(0.0,) * len(FEATURES))
    reading = corrected_volume(scene.mask, scene.segmentation, scene.volume, False, (nothing,))
    assert reading.value_ml == scene.mask.voxel_count * scene.mask.geometry.voxel_volume_ml
    assert any("No systematic error" in line for line in reading.notes)
    worse = replace(corrections[0], figures={"improves": "no"})
    reading = corrected_volume(scene.mask, scene.segmentation, scene.volume, False, (worse,))
    assert any("no closer to the truth" in line for line in reading.notes)


def _with_noise(cases):
    return zip(cases, np.random.default_rng(5).normal(size=len(cases)), strict=True)


def test_interval_covers_nine_in_ten():
    covered, total = 0, 0
    for seed in range(40):
        model = fitted(60, seed)
        for case in cohort(25, 1000 + seed):
            low, high = model.predict(case.features)[1]
            covered += low <= case.true_ml <= high
            total += 1
    # 1000 patients in 40 correlated lots: 99 % limits from the binomial, widened for the 15 calibrators of each.
    assert 0.86 <= covered / total <= 0.96


def test_conformal_rank():
    assert conformal_quantile(list(range(1, 20)), 0.1) == 18
    assert conformal_quantile(list(range(1, 10)), 0.1) == 9
    assert conformal_quantile(list(range(1, 9)), 0.1) is None


def test_few_patients_get_the_median_and_no_interval():
    model = fitted(32)
    assert model.regressor in ("median", "none")
    assert model.quantile is None
    assert model.predict(cohort(1, 3)[0].features)[1] is None


def test_a_patient_in_two_groups_is_an_error():
    cases = tuple(cohort(10, 0))
    with pytest.raises(ModelError, match="more than one group"):
        Split(cases[:6], cases[5:8], cases[8:])
    twice = [*cases, *cases]
    split = split_by_patient(twice, 0)
    assert len(split.fit) + len(split.calibrate) + len(split.check) == 20


def test_the_file_keeps_every_bit(tmp_path):
    model = fitted()
    save_corrections((model,), tmp_path / "correction.json")
    (again,) = load_corrections(tmp_path / "correction.json")
    assert again == model
    for case in cohort(20, 9):
        assert again.predict(case.features) == model.predict(case.features)
        assert again.distance(case.features) == model.distance(case.features)
    assert load_corrections(tmp_path / "missing.json") == ()
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load_corrections(tmp_path / "bad.json")
    (tmp_path / "old.json").write_text('{"format": "other"}')
    with pytest.raises(ModelError, match="another version"):
        load_corrections(tmp_path / "old.json")
    (tmp_path / "cut.json").write_text('{"format": "hemaview-correction-1", "corrections": [{}]}')
    with pytest.raises(ModelError, match="damaged"):
        load_corrections(tmp_path / "cut.json")


@dataclass(frozen=True)
class Scene:
    volume: Volume
    segmentation: Segmentation

    @property
    def mask(self):
        return self.segmentation.mask()


@pytest.fixture(scope="module")
def scene():
    geometry = Geometry((64, 64, 40), (1, 1, 1))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    radius = np.sqrt((k - 20.0) ** 2 + (j - 32.0) ** 2 + (i - 30.0) ** 2)
    probability = (1 / (1 + np.exp(radius - 14))).astype(np.float32)
    region = (slice(4, 37), slice(15, 50), slice(12, 48))
    whole = LabelMap(probability > 0.5, geometry)
    segmentation = Segmentation(
        probability[region],
        region,
        geometry,
        Prompt.of(BoxPrompt.around(whole)),
        ENGINE,
        np.ones(33, np.float32),
        0.1,
        0.2,
    )
    volume = Volume(np.zeros(geometry.shape, np.float32), geometry, Modality.MR)
    return Scene(volume, segmentation)


@pytest.fixture(scope="module")
def corrections(scene):
    """A correction fitted on patients round the scene's own features."""
    base = measure_features(scene.mask, Evidence.of(scene.segmentation))
    rng = np.random.default_rng(4)
    cases = []
    for number in range(120):
        factor = math.exp(rng.normal(0, 0.4))
        features = {name: value * (1 + 0.1 * rng.normal()) for name, value in base.items()}
        features |= {"volume_ml": base["volume_ml"] * factor}
        features["volume_ml_two_thirds"] = features["volume_ml"] ** (2 / 3)
        cases.append(MeasuredCase(str(number), features, features["volume_ml"] * 1.1))
    return (fit_correction(split_by_patient(cases, 0), **FIT),)


def test_an_untouched_mask_is_corrected(scene, corrections):
    reading = corrected_volume(scene.mask, scene.segmentation, scene.volume, False, corrections)
    direct = scene.mask.voxel_count / 1000
    assert reading.value_ml == pytest.approx(1.1 * direct, rel=0.01)
    assert reading.interval_ml[0] <= reading.value_ml <= reading.interval_ml[1]
    assert reading.inputs["trained_on"] == "made-up patients"
    same = corrected_volume(scene.mask, Evidence.of(scene.segmentation), scene.volume, False, corrections)
    assert same == reading


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"edited": True}, "edited by hand"),
        ({"evidence": {"adapter": "Site B (0123456789ab)"}}, "without an adapter"),
        ({"evidence": {"one_box": False}}, "single box alone"),
        ({"evidence": {"prepared": True}}, "saw a prepared scan"),
        ({"segmentation": None}, "not made by a model"),
        ({"volume": None}, "modality is unknown"),
        ({"modality": Modality.UNKNOWN}, "modality is unknown"),
        ({"modality": Modality.CT}, "fitted for MR, not for CT"),
        ({"engine": "other"}, "No volume correction was fitted for the model 'other'"),
        ({"sha256": "cd" * 32}, "other weights"),
        ({"corrections": ()}, "No volume correction"),
        ({"spacing": 3.0}, "not extrapolated"),
        ({"evidence": {"shell_entropy": 3.0}}, "unlike those"),
        ({"evidence": {"box_fill": math.nan}}, "unlike those"),
    ],
)
def test_every_refusal_has_its_reason(scene, corrections, change, said):
    mask, evidence, volume = scene.mask, Evidence.of(scene.segmentation), scene.volume
    if "spacing" in change:
        mask = LabelMap(mask.array, Geometry(mask.geometry.size, (change["spacing"],) * 3))
    evidence = replace(evidence, **change.get("evidence", {}))
    evidence = replace(
        evidence, engine=change.get("engine", ENGINE.name), engine_sha256=change.get("sha256", ENGINE.sha256)
    )
    volume = change.get("volume", replace(volume, modality=change.get("modality", Modality.MR)))
    segmentation = change.get("segmentation", evidence)
    corrections = change.get("corrections", corrections)
    reading = corrected_volume(mask, segmentation, volume, change.get("edited", False), corrections)
    assert reading.value_ml is None
    assert reading.interval_ml is None
    assert said in reading.reason
    assert reading.reason.endswith(".")


def test_a_mask_from_more_than_one_box_is_not_corrected(scene, corrections):
    made = scene.segmentation
    box, other = made.prompt.boxes[0], BoxPrompt((0.0, 0.0, 0.0), (5.0, 5.0, 5.0))
    slice_mask = np.zeros(scene.mask.array.shape[1:], np.bool_)
    asked = (
        Prompt(boxes=(box,), points=(PointPrompt((30.0, 32.0, 20.0)),)),
        Prompt(boxes=(box, other)),
        Prompt(boxes=(box,), slice_boxes=(other,)),
        Prompt(boxes=(box,), fixed=(FixedSlice(5, slice_mask),)),
        Prompt(points=(PointPrompt((30.0, 32.0, 20.0)),)),
    )
    for prompt in asked:
        reading = corrected_volume(scene.mask, replace(made, prompt=prompt), scene.volume, False, corrections)
        assert reading.value_ml is None
        assert "single box alone" in reading.reason


def test_empty_mask_is_zero_with_a_word(scene, corrections):
    empty = LabelMap.empty(scene.mask.geometry)
    reading = corrected_volume(empty, scene.segmentation, scene.volume, False, corrections)
    assert reading.value_ml == 0
    assert reading.warnings == ("The mask is empty.",)


def test_evidence_is_the_same_after_a_case_kept_eight_bits(scene):
    original = scene.segmentation
    inside = original.probability > 0.5
    levels = np.rint(original.probability * np.float32(255))
    kept = (np.where(inside, np.maximum(levels, 128), np.minimum(levels, 127)) / 255).astype(np.float32)
    assert Evidence.of(replace(original, probability=kept)) == Evidence.of(original)


def test_evidence_of_a_sure_and_an_unsure_model(scene):
    evidence = Evidence.of(scene.segmentation)
    assert evidence.box_fill == pytest.approx(4 / 3 * math.pi * 14**3 / 27**3, rel=0.01)
    sure = replace(scene.segmentation, probability=(scene.segmentation.probability > 0.5).astype(np.float32))
    assert Evidence.of(sure).mean_probability == 1
    assert Evidence.of(sure).soft_excess == 0
    assert Evidence.of(sure).shell_entropy < 1e-4 < evidence.shell_entropy
    nothing = replace(scene.segmentation, probability=np.zeros((33, 35, 36), np.float32))
    assert math.isnan(Evidence.of(nothing).mean_probability)


def test_three_readings_in_their_order(scene):
    kinds = [str(reading.kind) for reading in readings(scene.mask, volume=scene.volume)]
    assert kinds == ["direct", "tada", "corrected"]
