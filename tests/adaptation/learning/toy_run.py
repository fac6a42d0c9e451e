"""A process that trains a toy network: ``toy_run.py OUT STEPS [--full] [--pause SECONDS]``, alone or under torchrun."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hemaview.adaptation.learning.loop import Loop, Plan
from hemaview.adaptation.learning.methods import METHODS
from hemaview.adaptation.learning.pool import Pool
from hemaview.adaptation.learning.processes import make_fabric
from hemaview.adaptation.learning.questions import dice_of
from hemaview.adaptation.learning.student import Student


class ToyTrainee:
    """Bright blobs on noise: small enough to learn in a second."""

    role = "toy"

    def varied(self, question, rng):
        noise = torch.from_numpy(rng.standard_normal(question["crop"].shape, dtype=np.float32))
        return {**question, "crop": question["crop"] + 0.05 * noise}

    def loss(self, net, batch):
        return nn.functional.binary_cross_entropy_with_logits(net(batch["crop"]), batch["target"])

    def dice(self, net, batch):
        return dice_of(net(batch["crop"]), batch["target"])


def toy_net():
    torch.manual_seed(11)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)
    ).eval()


def toy_pool(seed, count=24):
    rng = np.random.default_rng(seed)
    target = np.zeros((count, 1, 8, 8), dtype=np.float32)
    for number in range(count):
        i, j = rng.integers(0, 5, 2)
        target[number, 0, i : i + 3, j : j + 3] = 1
    crop = target + 0.3 * rng.standard_normal(target.shape).astype(np.float32)
    return Pool({"crop": torch.from_numpy(crop), "target": torch.from_numpy(target)}, torch.zeros(count))


def toy_loop(folder, plan, method="conv_lora", fabric=None, digest="toy", **callbacks):
    student = Student(toy_net(), "toy", METHODS[method], 5)
    pools = (toy_pool(1), toy_pool(2, 12))
    fabric = fabric or make_fabric("cpu")
    return student, Loop(fabric, student, ToyTrainee(), pools, plan, folder / "state.pt", digest, **callbacks)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("steps", type=int)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--pause", type=float, default=0.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    fabric = make_fabric("cpu")

    def report(now):
        print(now.step, flush=True)
        time.sleep(options.pause)

    plan = Plan(0.02, steps=options.steps, batch=8, check_every=5, patience=1000, clip=0.0 if options.full else 1.0)
    student, loop = toy_loop(options.out, plan, "full" if options.full else "conv_lora", fabric, report=report)
    loop.run()
    torch.save(student.state(), options.out / f"final-{fabric.global_rank}-of-{fabric.world_size}.pt")


if __name__ == "__main__":
    sys.exit(main())
