"""The shipped model on real scans that were not trained on: floors well below the model card's figures."""

import numpy as np
import pytest

from hemaview.evaluation.benchmark import Mode, score_case
from hemaview.evaluation.prompts import jittered_box
from hemaview.evaluation.real_cases import REAL_CASES
from hemaview.segmentation.registry import load_engine


@pytest.fixture(scope="module")
def engine():
    return load_engine()


@pytest.fixture(scope="module", params=["phe_sich_0001 CT", "BrainLes T1c (bad skull strip)"])
def case(request, shared_data):
    chosen = next(c for c in REAL_CASES if c.name == request.param)
    if not chosen.available(shared_data):
        pytest.skip(f"{chosen.name} is not in the folder of real scans")
    return chosen.load(shared_data)


@pytest.mark.parametrize("mode", Mode)
def test_lesion_is_found_better_than_by_its_box(engine, case, mode):
    score = score_case(engine, *case, mode, 0.05, seed=1)
    assert score.dice_3d > 0.9
    assert score.margin_3d > 0.02
    assert score.volume_abs_percent < 15


def test_mask_stays_within_a_margin_of_the_box(engine, case):
    volume, reference = case
    prompt = jittered_box(reference, 0.05, np.random.default_rng(1))
    found = engine.segment(volume, prompt).mask()
    low, high = prompt.index_bounds(volume.geometry)
    bounds = found.bounds()
    assert bounds is not None
    for part, lower, upper in zip(bounds, low[::-1], high[::-1], strict=True):
        allowed = 0.121 * (upper - lower)
        assert lower - allowed - 0.5 <= part.start
        assert part.stop - 1 <= upper + allowed + 0.5
