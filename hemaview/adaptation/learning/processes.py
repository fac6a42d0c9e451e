"""One process on the CPU, one on a graphics card, or many started by ``torchrun``: the same code for all."""

from __future__ import annotations

import os
import warnings

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from hemaview.adaptation.datasets.labelled import DataError


def make_fabric(accelerator: str = "auto") -> Fabric:
    """A launched ``Fabric`` for this process.

    Under ``torchrun`` it joins the other processes, on one machine or many; gradients are averaged over all of them.
    Mixed precision (bfloat16) is used on cards that have it and nowhere else: on a CPU it is slower than float32.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise DataError("There is no graphics card that can be used here; leave --accelerator out.")
    card = torch.cuda.is_available() if accelerator == "auto" else accelerator == "gpu"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fabric = Fabric(
            accelerator="gpu" if card else "cpu",
            devices=local,
            num_nodes=max(1, world // local),
            # Not every part of a network is asked by every batch.
            strategy=DDPStrategy(find_unused_parameters=True) if world > 1 else "auto",
            precision="bf16-mixed" if card and torch.cuda.is_bf16_supported() else "32-true",
        )
        fabric.launch()
    return fabric


def even_batch(batch: int, processes: int) -> int:
    """The smallest batch of at least ``batch`` that all processes can share evenly."""
    return -(-batch // processes) * processes
