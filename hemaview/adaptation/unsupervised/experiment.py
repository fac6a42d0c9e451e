"""Unsupervised adaptation measured: ``python -m hemaview.adaptation.unsupervised.experiment --help``.

Per seed a source model is trained on labelled synthetic slices of one scanner, then every arm fits a copy of it to the
target's images. Each finished piece is a file, so a run that was stopped goes on where it was. At the end (and at
every stage before) ``table.md`` and ``results.json`` in the output folder hold all that is there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn

from hemaview.adaptation.backgrounds import Head, load_heads
from hemaview.adaptation.unsupervised.adapting import AdaptationPlan, adapt
from hemaview.adaptation.unsupervised.arms import Arm
from hemaview.adaptation.unsupervised.head import DEFAULT_LEVEL, HeadedUNet
from hemaview.adaptation.unsupervised.scoring import score
from hemaview.adaptation.unsupervised.shifts import Amounts, Shift, Target, source_slices, targets
from hemaview.adaptation.unsupervised.slices import SliceSet
from hemaview.adaptation.unsupervised.source import new_headed, new_net, train_head, train_source
from hemaview.adaptation.unsupervised.tables import markdown
from hemaview.errors import HemaviewError


@dataclass(frozen=True)
class Settings:
    """Everything that decides the figures; a folder made with other settings is not gone on with."""

    shift: str
    filters: int = 8
    source_steps: int = 450
    level: int = DEFAULT_LEVEL
    head_steps: int = 40
    batch: int = 16
    amounts: Amounts = field(default_factory=Amounts)
    adaptation: AdaptationPlan = field(default_factory=AdaptationPlan)


def run(settings: Settings, seeds: Sequence[int], out: Path, data: Path | None = None) -> list[dict[str, Any]]:
    """Do what is not done yet and return every result; ``HemaviewError`` for a folder of other settings."""
    results = out / "results"
    results.mkdir(parents=True, exist_ok=True)
    _claim(out / "settings.json", settings)
    head = load_heads()[0]
    shift = Shift(settings.shift)
    for seed in seeds:
        model = _source(settings, seed, out, head)
        for target in targets(shift, seed, settings.amounts, head, data):
            for arm in target.arms:
                path = results / f"seed{seed} {target.name} {arm.value}.json"
                if not path.exists():
                    _write_json(path, _one(settings, seed, target, arm, model))
                    _summarise(results, out)
    return _summarise(results, out)


def _source(settings: Settings, seed: int, out: Path, head: Head) -> HeadedUNet:
    """The source model of a seed, from the folder or trained and put there."""
    shift = Shift(settings.shift)
    made: list[SliceSet] = []

    def slices() -> SliceSet:
        if not made:
            made.append(source_slices(shift, seed, settings.amounts, head))
        return made[0]

    path = out / f"source_seed{seed}.safetensors"
    net = new_net(settings.filters).requires_grad_(False).eval()
    if path.exists():
        net.load_state_dict(load_file(path))
    else:
        _say(f"seed {seed}: {len(slices())} synthetic slices to learn from")
        started = time.process_time()
        steps, filters = settings.source_steps, settings.filters
        net = train_source(seed, slices(), filters=filters, steps=steps, batch=settings.batch, report=_say)
        _store(path, net)
        _say(f"seed {seed}: source model after {(time.process_time() - started) / 60:.1f} processor minutes")
    path = out / f"head_seed{seed}.safetensors"
    if not path.exists():
        steps, batch = settings.head_steps, settings.batch
        trained = train_head(seed, net, slices(), level=settings.level, steps=steps, batch=batch)
        _store(path, trained.head)
    model = new_headed(net, settings.level)
    model.head.load_state_dict(load_file(path))
    return model.requires_grad_(False).eval()


def _store(path: Path, net: nn.Module) -> None:
    half_made = path.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, half_made)
    half_made.replace(path)


def _one(settings: Settings, seed: int, target: Target, arm: Arm, source: HeadedUNet) -> dict[str, Any]:
    fitted = adapt(source, arm, target.images, target.held_out, settings.adaptation, seed, _say)
    scores = {name: score(fitted.model, slices).as_dict() for name, slices in target.tests.items()}
    _say(f"seed {seed}, {target.name}, {arm.value}: {scores}")
    return {
        "shift": settings.shift,
        "seed": seed,
        "target": target.name,
        "arm": arm.value,
        "trained_parameters": fitted.trained,
        "processor_minutes": round(fitted.seconds / 60, 3),
        "kept_step": fitted.kept_step,
        "consistency": [round(value, 4) for value in fitted.consistency],
        "scores": scores,
    }


def _summarise(results: Path, out: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]
    _write_json(out / "results.json", found)
    (out / "table.md").write_text(markdown(found), encoding="utf-8")
    return found


def _claim(path: Path, settings: Settings) -> None:
    wanted = asdict(settings)
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != wanted:
        raise HemaviewError(f"{path.parent} holds a run with other settings; choose an empty folder.")
    _write_json(path, wanted)


def _write_json(path: Path, content: Any) -> None:
    half_made = path.with_suffix(".part")
    half_made.write_text(json.dumps(content, indent=1), encoding="utf-8")
    half_made.replace(path)


def _say(message: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {message}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m hemaview.adaptation.unsupervised.experiment", description=__doc__)
    parser.add_argument("--shift", required=True, choices=[shift.value for shift in Shift])
    parser.add_argument("--out", required=True, type=Path, help="folder for models, results and the table")
    parser.add_argument("--data", type=Path, help="folder of the real scans (holds mr_lesion)")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 0 on (default 3)")
    parser.add_argument("--filters", type=int, default=Settings.filters, help="width of the net; the published one: 16")
    parser.add_argument("--level", type=int, default=DEFAULT_LEVEL, choices=range(4), help="where the early head reads")
    parser.add_argument("--source-steps", type=int, default=Settings.source_steps)
    parser.add_argument("--steps", type=int, default=AdaptationPlan.steps, help="most steps of an adaptation")
    options = parser.parse_args(arguments)
    plan = AdaptationPlan(steps=options.steps)
    settings = Settings(options.shift, options.filters, options.source_steps, options.level, adaptation=plan)
    try:
        found = run(settings, range(options.seeds), options.out, options.data)
    except HemaviewError as error:
        print(error)
        return 1
    print(markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
