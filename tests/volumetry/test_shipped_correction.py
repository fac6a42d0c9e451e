"""The correction that ships with the compact model, and the boxes it was fitted with."""

import json
import math

import numpy as np
import pytest

from hemaview.adaptation.fit_correction import describe, hand_drawn_box
from hemaview.imaging import Geometry, LabelMap
from hemaview.imaging.reading import read_scan
from hemaview.resources import resource_path
from hemaview.segmentation import BoxPrompt
from hemaview.segmentation.registry import load_engine, model_records
from hemaview.volumetry import load_corrections, readings


@pytest.fixture(scope="module")
def shipped():
    return load_corrections(resource_path("models", "compact", "correction.json"))


def test_it_belongs_to_the_shipped_weights(shipped):
    (record,) = [record for record in model_records() if record.name == "compact"]
    assert {model.modality for model in shipped} == {"MR", "CT"}
    for model in shipped:
        assert model.engine == "compact"
        assert model.engine_sha256 == record.fingerprint, "the weights changed: fit the correction again"
        assert "phantom" in model.trained_on


def test_its_figures_come_from_untouched_phantoms(shipped):
    for model in shipped:
        figures = model.figures
        assert figures["cases_check"] >= 30
        assert figures["cases_calibrate"] >= 19
        assert 75 <= figures["coverage_percent"] <= 100  # 99 % binomial limits of 90 % on 38
        assert figures["improves"] == (
            "yes" if figures["mape_after_percent"] < figures["mape_before_percent"] else "no"
        )
        assert 0 < model.lowest_ml < 13 < model.highest_ml
        assert model.quantile is not None
        assert math.isfinite(model.distance_limit)
        assert "untouched phantoms" in describe(model)


@pytest.mark.parametrize("seed", range(20))
def test_a_hand_drawn_box_is_loose_but_near(seed):
    array = np.zeros((12, 60, 60), bool)
    array[3:9, 10:40, 20:50] = True
    mask = LabelMap(array, Geometry((60, 60, 12), (0.5, 0.5, 4.0), (5, 6, 7)))
    lower, upper = hand_drawn_box(mask, seed).index_bounds(mask.geometry)
    tight_lower, tight_upper = np.array([19.5, 9.5, 2.5]), np.array([49.5, 39.5, 8.5])
    side = tight_upper - tight_lower
    assert np.all(lower <= tight_lower + 0.0501 * side)
    assert np.all(lower >= tight_lower - 0.1001 * side)
    assert np.all(upper >= tight_upper - 0.0501 * side)
    assert np.all(upper <= tight_upper + 0.1001 * side)
    assert hand_drawn_box(mask, seed) == hand_drawn_box(mask, seed)


def test_the_sample_case_is_read_with_an_interval_that_holds_the_truth():
    facts = json.loads(resource_path("assets", "sample", "sample.json").read_text(encoding="utf-8"))
    volume = read_scan(resource_path("assets", "sample", facts["scan"]))
    corners = facts["box_lps"]
    made = load_engine("compact").segment(volume, BoxPrompt(tuple(corners[:3]), tuple(corners[3:])))
    direct, tada, corrected = readings(made.mask(), volume=volume, segmentation=made)
    truth = facts["true_volume_ml"]
    assert direct.value_ml == pytest.approx(truth, rel=0.15)
    assert tada.value_ml == pytest.approx(truth, rel=0.3)
    assert corrected.reason is None
    assert corrected.interval_ml[0] < truth < corrected.interval_ml[1]
    edited = readings(made.mask(), volume=volume, segmentation=made, edited=True)[2]
    assert edited.value_ml is None
