"""``hemaview train`` from a table to a judged adapter, with the model that comes with the program."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK

from hemaview.adaptation.datasets import DataError, table_scans
from hemaview.adaptation.learning.judging import score_cases
from hemaview.adaptation.learning.methods import METHODS
from hemaview.case.records import fingerprint
from hemaview.cli import main
from hemaview.segmentation.adapters import read_card
from hemaview.segmentation.registry import load_engine


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Five small scans with an ellipsoid each."""
    folder = tmp_path_factory.mktemp("cohort")
    lines = ["image,mask,patient,sequence"]
    k, j, i = np.mgrid[:8, :36, :36]
    for number in range(5):
        rng = np.random.default_rng(number)
        centre, radius = rng.uniform(14, 21, 2), rng.uniform(6, 9, 2)
        mask = ((i - centre[0]) / radius[0]) ** 2 + ((j - centre[1]) / radius[1]) ** 2 + ((k - 3.5) / 3) ** 2 < 1
        values = rng.normal(300, 40, mask.shape) + 130 * mask
        for name, array in (
            (f"{number}.nii.gz", values.astype(np.int16)),
            (f"{number}m.nii.gz", mask.astype(np.uint8)),
        ):
            image = SimpleITK.GetImageFromArray(array)
            image.SetSpacing((1.0, 1.0, 4.0))
            SimpleITK.WriteImage(image, str(folder / f"{name}.nii.gz"))
        lines.append(f"{number}.nii.gz,{number}m.nii.gz,patient {number},t2")
    path = folder / "cohort.csv"
    path.write_text("\n".join(lines))
    return path


def test_help_names_every_method(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    for name in METHODS:
        assert f"\n  {name} " in text
    assert "torchrun" in text


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--table", "none.csv"], "There is no table none.csv"),
        (["--brats", "nowhere"], "There is no folder nowhere"),
        (["--synthetic", "2"], "scans of 2 patients, which is too few"),
        (["--synthetic", "9", "--base", "nothing"], 'no model called "nothing"'),
        (["--synthetic", "9", "--part", "middle"], 'no part "middle"'),
        (["--synthetic", "9", "--part", "coarse"], 'method "lora" has no place in the coarse network'),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(tmp_path, monkeypatch, capsys, given, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *given, "--out", "run"]) != 0
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert "\n" not in said


def test_a_scan_that_taught_the_model_measures_nothing(cohort):
    scans = table_scans(cohort)
    known = frozenset({fingerprint(scans[1].load()[0])})
    with pytest.raises(DataError, match="also among the scans of another patient"):
        score_cases(None, scans[1:2], learned_from=known)


@pytest.mark.slow
def test_a_run_leaves_a_judged_adapter_that_the_program_can_use(cohort, tmp_path, capsys):
    out = tmp_path / "run"
    given = ["train", "--table", str(cohort), "--method", "lora+conv_lora", "--out", str(out), "--progress-json"]
    given += ["--steps", "4", "--batch", "4", "--check-every", "2", "--rank", "2", "--title", "Tiny"]
    assert main(given) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert next(event["stage"] for event in events if event["stage"] != "reading") == "before"
    assert all({"stage", "done", "total", "loss", "dice"} <= event.keys() for event in events)
    training = [event for event in events if event["stage"] == "training"]
    assert len(training) == 4
    assert events[-1]["verdict"] in ("better", "same", "worse")
    assert {path.name for path in out.iterdir()} == {
        "adapter.safetensors",
        "before.json",
        "cases.json",
        "checkpoint-fine.pt",
        "config.json",
        "curves.png",
        "metrics.csv",
        "splits.json",
    }
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len((out / "metrics.csv").read_text().splitlines()) == 4
    judged = json.loads((out / "cases.json").read_text())
    split = json.loads((out / "splits.json").read_text())
    assert {case["patient"] for case in judged["cases"]} == set(split["patients"]["held_out"])
    card = read_card(out / "adapter.safetensors")
    assert card.title == "Tiny"
    assert card.figures["dice_after"] == pytest.approx(judged["mean_after"], abs=1e-4)
    assert card.figures["verdict"] == {"better": 1, "same": 0, "worse": -1}[judged["verdict"]]
    held_out = [scan for scan in table_scans(cohort) if scan.patient in split["patients"]["held_out"]]
    again = score_cases(load_engine("compact", adapter=out / "adapter.safetensors"), held_out)
    assert again[0].dice == pytest.approx(judged["cases"][0]["dice_after"], abs=1e-4)
    # Asked once more, the finished run only answers; asked for something else, it refuses.
    assert main(given) == 0
    repeated = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert not [event for event in repeated if event["stage"] == "training"]
    assert repeated[-1] == events[-1]
    assert main([*given, "--seed", "4"]) != 0
    assert "other settings" in capsys.readouterr().err


@pytest.mark.slow
def test_every_weight_can_be_trained_into_a_model_of_its_own(cohort, tmp_path):
    out = tmp_path / "run"
    given = ["train", "--table", str(cohort), "--method", "full", "--out", str(out), "--quiet"]
    assert main([*given, "--steps", "2", "--batch", "2", "--check-every", "2"]) == 0
    assert not (out / "adapter.safetensors").exists()
    judged = json.loads((out / "cases.json").read_text())
    engine = load_engine("compact-full", registry=out / "model" / "registry.toml")
    split = json.loads((out / "splits.json").read_text())
    held_out = [scan for scan in table_scans(cohort) if scan.patient in split["patients"]["held_out"]]
    assert score_cases(engine, held_out)[0].dice == pytest.approx(judged["cases"][0]["dice_after"], abs=1e-4)


@pytest.mark.slow
def test_one_scan_under_two_names_is_noticed(cohort, tmp_path, capsys):
    for path in cohort.parent.iterdir():
        shutil.copy(path, tmp_path)
    for number in range(1, 5):
        shutil.copy(tmp_path / "0.nii.gz", tmp_path / f"{number}.nii.gz")
    given = ["train", "--table", str(tmp_path / "cohort.csv"), "--out", str(tmp_path / "run"), "--quiet"]
    assert main([*given, "--steps", "1"]) != 0
    said = capsys.readouterr().err
    assert "have the same scan" in said
    assert "\n" not in said.strip()


def test_a_folder_that_cannot_be_made_is_one_sentence(cohort, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["train", "--table", str(cohort), "--out", str(tmp_path / "file" / "run")]) != 0
    said = capsys.readouterr().err.strip()
    assert "cannot be made" in said
    assert "\n" not in said
