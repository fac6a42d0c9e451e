"""A Segment Anything model of random numbers, small enough to run in milliseconds, and a scan for it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hemaview.imaging import Geometry, Volume
from hemaview.segmentation.sam.architecture import build_sam

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny_checkpoint import TINY_SAM


@pytest.fixture(scope="session")
def tiny():
    """The sizes of the model the tests run: 64 px, two blocks, one of them with windows that need padding."""
    return TINY_SAM


@pytest.fixture(scope="session")
def make_sam():
    """A network of random numbers; its position tables are filled too, whose zeros would hide a wrong one."""

    def make(architecture=TINY_SAM, seed=0):
        torch.manual_seed(seed)
        net = build_sam(architecture)
        for name, parameter in net.named_parameters():
            if "rel_pos" in name or "pos_embed" in name:
                torch.nn.init.normal_(parameter, std=0.5)
        return net.requires_grad_(False)

    return make


@pytest.fixture
def checkpoint(tmp_path, make_sam):
    """The tiny model as a plain state dict, the form MedSAM is published in."""
    path = tmp_path / "tiny_sam.pth"
    torch.save(make_sam().state_dict(), path)
    return path


@pytest.fixture
def scan():
    """Noise with a brighter ball: 40 columns, 30 rows, 7 slices of anisotropic voxels."""
    k, j, i = np.ogrid[:7, :30, :40]
    ball = ((k - 3) / 3) ** 2 + ((j - 14) / 7) ** 2 + ((i - 21) / 8) ** 2 <= 1
    noise = np.random.default_rng(0).normal(100, 8, ball.shape)
    return Volume((noise + 60 * ball).astype(np.float32), Geometry((40, 30, 7), (0.9, 1.1, 5.0)))
