"""Which slices need a second look, and the line that says what to do next."""

import pytest

from hemaview.gui.aim import Aim, BoxAim, ItemKind, PromptItem
from hemaview.gui.hints import hint
from hemaview.gui.slice_review import SliceReview, SliceState, state_of
from hemaview.gui.view_state import Tool
from hemaview.segmentation.contract import BoxPrompt, PointPrompt, Prompt

BOX = BoxPrompt((0, 0, 0), (10, 10, 10))


@pytest.mark.parametrize(
    ("confidence", "state"),
    [(1.0, SliceState.SURE), (0.85, SliceState.SURE), (0.84, SliceState.FAIR), (0.69, SliceState.UNSURE)],
)
def test_confidence_falls_into_three_states(confidence, state):
    assert state_of(confidence) is state


def test_unsure_slices_go_before_fair_ones_and_the_way_goes_round():
    none, fair, unsure = SliceState.NONE, SliceState.FAIR, SliceState.UNSURE
    review = SliceReview((none, fair, unsure, SliceState.SURE, unsure, SliceState.HAND))
    assert review.to_review == (2, 4)
    assert [review.next_to_review(k) for k in (0, 2, 4, 5)] == [2, 4, 2, 2]
    assert [review.next_to_review(k, -1) for k in (5, 4, 2)] == [4, 2, 4]
    fair_only = SliceReview((none, fair, SliceState.SURE))
    assert fair_only.to_review == (1,)
    assert SliceReview((none, SliceState.SURE)).next_to_review(0) is None
    assert SliceReview.of(4, None, (2,)).states == (none, none, SliceState.HAND, none)


def test_the_hint_follows_tool_prompt_and_what_is_under_the_mouse():
    aim = Aim()
    boxed = Prompt(boxes=(BOX,))
    assert "rectangle round" in hint(Tool.BOX, Prompt(), aim, 0, None)
    assert "Ctrl" in hint(Tool.BOX, boxed, aim, 0, None)
    aim.set_box(BoxAim.ADD)
    assert "another piece" in hint(Tool.BOX, boxed, aim, 0, None)
    assert "one is enough" in hint(Tool.POINTS, Prompt(), aim, 0, None)
    assert "one is enough" not in hint(Tool.POINTS, Prompt(points=(PointPrompt((0, 0, 0)),)), aim, 0, None)
    aim.set_positive(False)
    assert hint(Tool.POINTS, boxed, aim, 0, None).startswith("Click: point outside")
    aim.set_hovered(PromptItem(ItemKind.POINT, 0))
    assert "removes" in hint(Tool.POINTS, boxed, aim, 0, None)
    assert "Ctrl+F" in hint(Tool.BRUSH, boxed, aim, 2, None)
    assert "Ctrl+F" not in hint(Tool.BRUSH, boxed, aim, 0, None)
    assert "2 slices to check" in hint(
        Tool.CROSSHAIR, boxed, aim, 0, SliceReview((SliceState.UNSURE, SliceState.UNSURE))
    )
