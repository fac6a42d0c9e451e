"""Train the bundled compact model from synthetic lesions: ``python -m hemaview.adaptation.train_compact --help``."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from hemaview.adaptation.backgrounds import load_heads
from hemaview.adaptation.batches import FineBatch, box_batch, coarse_batch, prompted_batch, with_points
from hemaview.adaptation.phantoms.samples import KINDS
from hemaview.adaptation.scoring import measure_weights, table
from hemaview.adaptation.shards import Shard, open_shards, write_shards
from hemaview.adaptation.training import Plan, coarse_loss, fine_loss, save_weights, train
from hemaview.segmentation.compact.coarse import CoarseNet, with_evidence
from hemaview.segmentation.compact.tiny_sam import Points, TinySam

_COARSE_BATCH = 4
_FINE_BATCH = 16
_REFRESH_STEPS = 400
_OWN_ANSWER_COARSE, _OWN_ANSWER_FINE = 0.3, 0.6
"""Share of batches whose points lie where the network itself is wrong, not where a made-up answer is."""
_ROUND = ("box", "coarse", "box and points", "coarse", "box", "coarse and points")
"""Prompts of the fine network's batches, in turn; "coarse" is a mask prompt."""


class _Feed:
    """Opens the shards again now and then, so that samples made meanwhile are used as well."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._calls = 0
        self._shards: tuple[Shard, ...] = ()

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Every shard there is."""
        if self._calls % _REFRESH_STEPS == 0:
            self._shards = tuple(shard for folder in self._folders for shard in open_shards(folder))
        self._calls += 1
        return self._shards


class _LatestCoarse:
    """The coarse network in its newest state: its file may still be in training elsewhere."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._calls = 0
        self._net = CoarseNet().eval()
        self._net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # missing in torch's own types

    def __call__(self, crops: Tensor) -> Tensor:
        """Logits of a batch."""
        if self._calls % _REFRESH_STEPS == 0:
            self._net.load_state_dict(_read_weights(self._path))
        self._calls += 1
        return torch.as_tensor(self._net(crops))


def train_coarse(options: argparse.Namespace) -> None:
    """Train the coarse network on the samples of ``options.folders``."""
    rng = np.random.default_rng(options.seed)
    feed, held_out = _Feed(options.folders), open_shards(options.held_out)
    net = CoarseNet()
    if options.start_from:
        net.load_state_dict(_read_weights(options.start_from))
    net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # missing in torch's own types

    def step_loss(model: nn.Module) -> Tensor:
        answer = model if rng.random() < _OWN_ANSWER_COARSE else None
        crops, targets = coarse_batch(rng, feed.shards, _COARSE_BATCH, answer)
        return coarse_loss(model(crops), targets)

    def score(model: nn.Module) -> float:
        scores = []
        for told in (0.0, 1.0):
            fixed = np.random.default_rng(0)
            with torch.inference_mode():
                pairs = [coarse_batch(fixed, held_out, 8, model, told=told) for _ in range(6)]
                scores.append(float(np.mean([_dice(model(crops), targets) for crops, targets in pairs])))
        _say(f"held out: box only {scores[0]:.4f}, with evidence {scores[1]:.4f}")
        return scores[0]

    train(net, _plan(options, "coarse"), step_loss, score, _say)


def train_fine(options: argparse.Namespace) -> None:
    """Train the fine network with boxes, mask prompts (from the coarse network where one is given) and points."""
    rng = np.random.default_rng(options.seed)
    feed, held_out = _Feed(options.folders), open_shards(options.held_out)
    net = TinySam()
    if options.start_from:
        net.load_state_dict(_read_weights(options.start_from))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own types
    coarse = _LatestCoarse(options.coarse) if options.coarse else None
    turn = itertools.cycle(_ROUND)

    def step_loss(model: nn.Module) -> Tensor:
        kind, shards = next(turn), feed.shards
        if kind.startswith("coarse"):
            batch = prompted_batch(rng, shards, _FINE_BATCH, coarse)
        else:
            batch = box_batch(rng, shards, _FINE_BATCH)
        if not kind.endswith("points"):
            logits, estimate = _ask(model, batch)
        else:
            logits, estimate, batch = _ask_again(rng, model, batch, own=rng.random() < _OWN_ANSWER_FINE)
        return fine_loss(logits, estimate, batch.targets)

    def score(model: nn.Module) -> float:
        fixed = np.random.default_rng(0)
        plain = [box_batch(fixed, held_out, _FINE_BATCH) for _ in range(6)]
        with torch.inference_mode():
            prompted = [prompted_batch(fixed, held_out, _FINE_BATCH, coarse) for _ in range(6)]
            scores = [_dice(_ask(model, batch)[0], batch.targets) for batch in (*plain, *prompted)]
            pointed = [_ask_again(fixed, model, batch, own=True) for batch in plain]
            scores += [_dice(logits, batch.targets) for logits, _, batch in pointed]
        box, mask, point = (float(np.mean(scores[start : start + 6])) for start in (0, 6, 12))
        _say(f"held out: box only {box:.4f}, with mask prompt {mask:.4f}, with points {point:.4f}")
        return box

    train(net, _plan(options, "fine"), step_loss, score, _say)


def blend(options: argparse.Namespace) -> None:
    """Write the weighted mean of several weight files of one network: steadier than any of them on other data.

    The fine network's image encoder may be mixed in other shares than what reads the prompts and draws the mask.
    """
    states = [_read_weights(path) for path in options.weights]
    net: nn.Module = CoarseNet() if options.role == "coarse" else TinySam()
    even = [1 / len(states)] * len(states)
    shares = options.shares or even
    encoder_shares = options.encoder_shares or shares
    mean = {}
    for name, first in states[0].items():
        own = encoder_shares if name.startswith("image_encoder") else shares
        parts = [share * state[name] for share, state in zip(own, states, strict=True)]
        mean[name] = torch.stack(parts).sum(dim=0) if first.is_floating_point() else first
    net.load_state_dict(mean)
    with safe_open(options.weights[-1], "pt") as last:
        metadata = dict(last.metadata())
    save_weights(net, options.out, {**metadata, "blend_of": str(len(states))})


def judge(options: argparse.Namespace) -> None:
    """Print what a pair of weights reaches on held-out samples."""
    coarse, fine = CoarseNet().eval(), TinySam().eval()
    coarse.load_state_dict(_read_weights(options.coarse))
    fine.load_state_dict(_read_weights(options.fine))
    rows, calibration = measure_weights(coarse, fine, open_shards(options.folder), limit=options.limit)
    _say(table(rows, calibration))


def _ask(model: nn.Module, batch: FineBatch) -> tuple[Tensor, Tensor]:
    logits, estimate = model(batch.crops.contiguous(memory_format=torch.channels_last), batch.boxes, batch.prompts)
    return logits, estimate


def _ask_again(
    rng: np.random.Generator, model: nn.Module, batch: FineBatch, *, own: bool
) -> tuple[Tensor, Tensor, FineBatch]:
    """The answer after points, those of ``own`` where the network itself was wrong; the picture is encoded once."""
    assert isinstance(model, TinySam)
    embedding = model.encode(batch.crops.contiguous(memory_format=torch.channels_last))

    def answer(_: Tensor, boxes: Tensor, prompt: Tensor | None, points: Points | None) -> tuple[Tensor, Tensor]:
        return model.decode(embedding.detach(), boxes, prompt, points)

    asked = with_points(rng, batch, answer if own else None)
    logits, estimate = model.decode(embedding, asked.boxes, asked.prompts, asked.points)
    return logits, estimate, asked


def _dice(logits: Tensor, targets: Tensor) -> float:
    mask, truth = logits > 0, targets > 0.5
    dims = tuple(range(1, targets.ndim))
    return float(((2 * (mask & truth).sum(dims) + 1) / (mask.sum(dims) + truth.sum(dims) + 1)).mean())


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a weight file in float32; a coarse network's older file is padded for the evidence it did not see."""
    read = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_file(path).items()}
    return with_evidence(read)


def _plan(options: argparse.Namespace, role: str) -> Plan:
    weights: Path = options.out
    metadata = {
        "format": "hemaview-compact-1",
        "role": role,
        "data": "synthetic lesions on healthy templates",
        "seed": str(options.seed),
        "licence": "Apache-2.0",
    }
    return Plan(
        minutes=options.minutes,
        learning_rate=options.rate,
        checkpoint=options.checkpoint or weights.with_suffix(".checkpoint.pt"),
        weights=weights,
        metadata=metadata,
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hemaview.adaptation.train_compact", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    generate = commands.add_parser("generate", help="make training samples")
    generate.add_argument("folder", type=Path)
    generate.add_argument("--seed", type=int, required=True)
    generate.add_argument("--shards", type=int, default=1000)
    generate.add_argument("--minutes", type=float)
    generate.add_argument("--kinds", nargs="+", default=(), choices=list(KINDS), help="only these kinds of lesion")
    generate.add_argument("--templates", type=Path, help="folder with further templates (colin27, CT)")
    for role in ("coarse", "fine"):
        command = commands.add_parser(role, help=f"train the {role} network")
        command.add_argument("folders", type=Path, nargs="+", help="folders with training samples")
        command.add_argument("--held-out", type=Path, required=True, help="folder with samples of other seeds")
        command.add_argument("--out", type=Path, required=True, help="weights file to write (.safetensors)")
        command.add_argument("--checkpoint", type=Path, help="state to resume from; default beside the weights")
        command.add_argument("--start-from", type=Path, help="weights to start from")
        command.add_argument("--minutes", type=float, required=True)
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
        if role == "fine":
            command.add_argument("--coarse", type=Path, help="coarse weights whose answers become mask prompts")
    mix = commands.add_parser("blend", help="average several weight files of one network")
    mix.add_argument("role", choices=("coarse", "fine"))
    mix.add_argument("weights", type=Path, nargs="+")
    mix.add_argument("--out", type=Path, required=True)
    mix.add_argument("--shares", type=float, nargs="+", help="share of each file; default even")
    mix.add_argument("--encoder-shares", type=float, nargs="+", help="share of each file in the image encoder")
    measure = commands.add_parser("score", help="measure a pair of weights on held-out samples")
    measure.add_argument("folder", type=Path)
    measure.add_argument("--coarse", type=Path, required=True)
    measure.add_argument("--fine", type=Path, required=True)
    measure.add_argument("--limit", type=int, default=200, help="samples to ask about (default: %(default)s)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    if options.command == "generate":
        heads = load_heads(options.templates)
        write_shards(
            options.folder,
            options.seed,
            heads,
            shards=options.shards,
            minutes=options.minutes,
            kinds=options.kinds,
            report=_say,
        )
        return 0
    if options.command in ("blend", "score"):
        (blend if options.command == "blend" else judge)(options)
        return 0
    torch.manual_seed(options.seed)
    (train_coarse if options.command == "coarse" else train_fine)(options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
