"""The verdict, from the figures of held-out scans."""

import json

import pytest

from hemaview.adaptation.learning.judging import CaseScore, Judgement, Verdict


def _judged(before, after):
    scores = [
        tuple(CaseScore(f"c{n}", f"p{n // 2}", dice, 10.0, 11.0) for n, dice in enumerate(line))
        for line in (before, after)
    ]
    return Judgement(*scores)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((0.80, 0.80, 0.80), (0.85, 0.85, 0.80), Verdict.BETTER),
        ((0.80, 0.80, 0.80), (0.80, 0.80, 0.80), Verdict.SAME),
        ((0.80, 0.80, 0.80), (0.802, 0.803, 0.80), Verdict.SAME),
        ((0.80, 0.80, 0.80), (0.75, 0.78, 0.82), Verdict.WORSE),
        # A gain that most scans pay for, or one of them dearly, is none.
        ((0.80, 0.80, 0.50), (0.78, 0.79, 0.80), Verdict.SAME),
        ((0.80, 0.80, 0.50), (0.65, 0.95, 0.95), Verdict.SAME),
        ((0.80, 0.80, 0.80), (0.69, 0.86, 0.86), Verdict.WORSE),
    ],
)
def test_the_verdict(before, after, verdict):
    judged = _judged(before, after)
    assert judged.verdict is verdict
    assert judged.sentence.startswith(verdict.upper())
    content = json.loads(json.dumps(judged.to_json()))
    assert content["verdict"] == verdict.value
    assert content["mean_after"] - content["mean_before"] == pytest.approx(sum(judged.changes) / 3, abs=2e-4)
    assert set(content["cases"][0]) == {
        "case",
        "patient",
        "split",
        "dice_before",
        "dice_after",
        "volume_ml",
        "volume_before_ml",
        "volume_after_ml",
    }
