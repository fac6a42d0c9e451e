"""Steps together: order, records, what a model sees, and what never changes."""

import json

import numpy as np
import pytest

from hemaview.errors import Cancelled, ScanError
from hemaview.imaging.preprocessing import (
    STEP_KINDS,
    BiasFieldStep,
    BrainMask,
    BrainMethod,
    BrainStep,
    ContrastStep,
    DenoiseMethod,
    DenoiseStep,
    NormaliseMethod,
    NormaliseStep,
    apply_steps,
    step_from_json,
    step_to_json,
)

STEPS = [
    BiasFieldStep(iterations=20),
    DenoiseStep(DenoiseMethod.NON_LOCAL_MEANS, 3),
    BrainStep(BrainMethod.DEEPBET),
    NormaliseStep(NormaliseMethod.Z_SCORE),
    ContrastStep(clip=0.02, tiles=6),
]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_survives_json(step):
    assert step_from_json(json.loads(json.dumps(step_to_json(step)))) == step


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": "sharpen"},
        {},
        {"step": "n4", "iterations": 0},
        {"step": "clahe", "tiles": "many"},
        {"step": "denoise", "method": "magic"},
        {"step": "n4", "speed": 3},
    ],
)
def test_an_unknown_step_or_setting_is_one_sentence(wrong):
    with pytest.raises(ScanError, match="no s"):
        step_from_json(wrong)


def test_every_kind_of_step_can_be_named():
    assert [kind.name for kind in STEP_KINDS] == ["n4", "denoise", "brain", "normalise", "clahe"]
    assert [step_from_json({"step": kind.name}) for kind in STEP_KINDS] == [kind() for kind in STEP_KINDS]


def test_the_scan_itself_never_changes(head):
    scan = head("T1", noise=10)
    before = scan.volume.array.copy()
    prepared = apply_steps(scan.volume, [DenoiseStep(), NormaliseStep(), ContrastStep()], [scan.box])
    assert np.array_equal(scan.volume.array, before)
    assert scan.volume.prepared == ()
    for volume in (prepared.display, prepared.model_input):
        assert volume.geometry == scan.volume.geometry
        assert volume.modality is scan.volume.modality
        assert volume.name == scan.volume.name


def test_a_model_never_sees_local_contrast(head):
    scan = head("T1", noise=10)
    prepared = apply_steps(scan.volume, [ContrastStep(), DenoiseStep()])
    alone = apply_steps(scan.volume, [DenoiseStep()])
    assert prepared.display.prepared == ("denoise", "clahe")
    assert prepared.model_input.prepared == ("denoise",)
    assert np.array_equal(prepared.model_input.array, alone.model_input.array)
    assert not np.array_equal(prepared.display.array, prepared.model_input.array)
    assert apply_steps(scan.volume, [ContrastStep()]).model_input.array is scan.volume.array


def test_the_order_of_naming_does_not_matter(head):
    scan = head("CT", noise=4)
    one = apply_steps(scan.volume, [BrainStep(), DenoiseStep()])
    other = apply_steps(scan.volume, [DenoiseStep(), BrainStep()])
    assert one.steps == other.steps == (DenoiseStep(), BrainStep())
    assert np.array_equal(one.display.array, other.display.array)


def test_a_step_named_twice_is_refused(head):
    with pytest.raises(ScanError, match="twice"):
        apply_steps(head("CT").volume, [DenoiseStep(), DenoiseStep(iterations=2)])


def test_blood_in_the_box_is_never_cut_away(head):
    scan = head("CT", noise=4, clot_at=np.array([58.0, -6.0, 8.0]))
    miss = lambda volume, progress: BrainMask(scan.brain & ~scan.clot, "test")  # noqa: E731
    prepared = apply_steps(scan.volume, [BrainStep()], [scan.box], find_brain={BrainMethod.SHAPE: miss})
    assert np.array_equal(prepared.model_input.array[scan.clot], scan.volume.array[scan.clot])
    outside = ~scan.brain
    outside[scan.box] = False
    assert np.all(prepared.model_input.array[outside] == -1000)


def test_normalising_a_brain_leaves_its_surroundings_dark(head):
    scan = head("T1", noise=10)
    prepared = apply_steps(scan.volume, [BrainStep(), NormaliseStep()])
    values = prepared.model_input.array
    assert values[0, 0, 0] == values.min()
    assert np.median(values[scan.brain]) == pytest.approx(0, abs=0.2)


def test_networks_that_are_not_there_are_refused(head):
    with pytest.raises(ScanError, match="deepbet"):
        apply_steps(head("T1").volume, [BrainStep(BrainMethod.DEEPBET)])


def test_progress_rises_to_one_and_can_cancel(head):
    seen: list[float] = []
    apply_steps(head("CT").volume, [DenoiseStep(), BrainStep(), ContrastStep()], progress=seen.append)
    assert np.all(np.diff(seen) > -1e-9)
    assert seen[-1] == pytest.approx(1)

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        apply_steps(head("CT").volume, [DenoiseStep(), BrainStep(), ContrastStep()], progress=stop)
