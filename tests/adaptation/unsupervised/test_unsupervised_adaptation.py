"""A whole adaptation on a tiny made-up change of contrast, and what the command leaves on disk."""

import copy
import json

import numpy as np
import pytest
import torch

from hemaview.adaptation.unsupervised import experiment
from hemaview.adaptation.unsupervised.adapting import AdaptationPlan, adapt
from hemaview.adaptation.unsupervised.arms import Arm
from hemaview.adaptation.unsupervised.experiment import Settings
from hemaview.adaptation.unsupervised.scanners import SCANNER_A
from hemaview.adaptation.unsupervised.scoring import score
from hemaview.adaptation.unsupervised.shifts import Amounts
from hemaview.adaptation.unsupervised.slices import SliceSet, synthetic_slices, whole_tumour
from hemaview.adaptation.unsupervised.source import new_headed, new_net, train_head, train_source
from hemaview.adaptation.unsupervised.tables import markdown
from hemaview.errors import HemaviewError


def _quiet(message):
    pass


def _flat(slices):
    """The same slices with contrast pressed together, as by another stored range."""
    images = slices.images.clone()
    images[:, :1] = torch.where(images[:, :1] > 0, 0.35 + 0.35 * images[:, :1], 0.0)
    return SliceSet(images, slices.truths, slices.scans, slices.step_mm)


@pytest.mark.parametrize("arm", [arm for arm in Arm if arm is not Arm.SUPERVISED])
def test_adapting_reads_no_label_and_leaves_the_source_as_it_was(head, arm):
    slices = synthetic_slices(1, 1, head, SCANNER_A, whole_tumour)
    other = SliceSet(slices.images, ~slices.truths, slices.scans, slices.step_mm)
    torch.manual_seed(0)
    source = new_headed(new_net(4), 3).requires_grad_(False).eval()
    before = copy.deepcopy(source.state_dict())
    plan = AdaptationPlan(steps=2, batch=4, check_every=2)
    fitted = [adapt(source, arm, found, found, plan, 0, _quiet) for found in (slices, other)]
    assert all(torch.equal(value, before[name]) for name, value in source.state_dict().items())
    first, second = (model.model.state_dict() for model in fitted)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_only_adabn_changes_statistics(head):
    slices = synthetic_slices(1, 1, head, SCANNER_A, whole_tumour)
    source = new_headed(new_net(4), 3).requires_grad_(False).eval()
    plan = AdaptationPlan(steps=2, batch=4, check_every=2)
    for arm in (Arm.LORA, Arm.CONV_LORA, Arm.ADABN, Arm.CONV_LORA_ADABN):
        fitted = adapt(source, arm, slices, slices, plan, 0, _quiet).model
        same = torch.equal(fitted.net.down1[0].running_mean, source.net.down1[0].running_mean)
        assert same is not arm.replaces_statistics
        assert torch.equal(fitted.net.down1[0].weight, source.net.down1[0].weight)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_conv_lora_with_adabn_regains_surface_dice_after_a_change_of_contrast(head, seed):
    train, unseen, test = (
        synthetic_slices(10 * seed + part, scans, head, SCANNER_A, whole_tumour)
        for part, scans in ((0, 24), (1, 8), (2, 6))
    )
    net = train_source(seed, train, filters=4, steps=120, batch=12, report=_quiet)
    source = train_head(seed, net, train, level=3, steps=30, batch=12)
    target, test = _flat(unseen), _flat(test)
    plan = AdaptationPlan(steps=20, batch=8, check_every=10)
    found = {
        arm: score(adapt(source, arm, target, target, plan, seed, _quiet).model, test).surface_dice_2mm
        for arm in (Arm.NONE, Arm.CONV_LORA_ADABN)
    }
    assert found[Arm.CONV_LORA_ADABN] > found[Arm.NONE] + 0.05


@pytest.fixture
def tiny(head, monkeypatch):
    monkeypatch.setattr(experiment, "load_heads", lambda: [head])
    plan = AdaptationPlan(steps=1, supervised_steps=2, batch=2, check_every=1)
    return Settings("phantom", 2, 2, 3, 1, 2, Amounts(1, 1, 1, 1), plan)


def test_the_command_goes_on_where_it_was_stopped(tiny, tmp_path):
    found = experiment.run(tiny, [0], tmp_path)
    assert [f["arm"] for f in found].count("no adaptation") == 3
    assert {f["arm"] for f in found} == {arm.value for arm in Arm}
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert table == markdown(found)
    redone = next((tmp_path / "results").glob("*scanner B ConvLoRA.json"))
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "results").glob("*.json") if p != redone}
    source = (tmp_path / "source_seed0.safetensors").read_bytes()
    content = json.loads(redone.read_text(encoding="utf-8"))
    redone.unlink()
    experiment.run(tiny, [0], tmp_path)
    again = json.loads(redone.read_text(encoding="utf-8"))
    assert again["scores"] == content["scores"]
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert (tmp_path / "source_seed0.safetensors").read_bytes() == source


def test_a_folder_of_other_settings_is_refused(tiny, tmp_path):
    (tmp_path / "settings.json").write_text("{}", encoding="utf-8")
    with pytest.raises(HemaviewError, match="other settings"):
        experiment.run(tiny, [0], tmp_path)


def test_real_shift_without_scans_says_what_to_do(tmp_path, capsys, head, monkeypatch):
    monkeypatch.setattr(experiment, "load_heads", lambda: [head])
    monkeypatch.setattr(experiment, "train_source", lambda *a, **k: new_net(k["filters"]).eval())
    arguments = ["--shift", "flair-to-t1c", "--out", str(tmp_path / "out"), "--data", str(tmp_path), "--filters", "2"]
    monkeypatch.setattr(Amounts, "__init__", lambda self: self.__dict__.update(source=1, target=1, held_out=1, test=1))
    assert experiment.main(arguments) == 1
    assert "--data" in capsys.readouterr().out


def test_table_gives_mean_and_spread_over_seeds():
    rows = [
        {
            "seed": seed,
            "target": "scanner B",
            "arm": "AdaBN",
            "trained_parameters": 0,
            "processor_minutes": 0.1,
            "scores": {"new heads": {"dice": dice, "surface_dice_1mm": 0.5, "surface_dice_2mm": 0.7}},
        }
        for seed, dice in enumerate((0.6, 0.7, 0.8))
    ]
    line = markdown(rows).splitlines()[-1]
    spread = float(np.std([0.6, 0.7, 0.8], ddof=1))
    assert line == (
        f"| scanner B | new heads | AdaBN | 0 | 0.700 ± {spread:.3f} | 0.500 ± 0.000 | 0.700 ± 0.000 | 0.10 | 3 |"
    )
