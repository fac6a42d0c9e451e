"""A made-up head, so that the tests need no template."""

import numpy as np
import pytest
import torch

from hemaview.adaptation.backgrounds import Head


@pytest.fixture(scope="session")
def head():
    z, y, x = np.meshgrid(np.arange(120), np.arange(150), np.arange(130), indexing="ij")
    radius = np.sqrt(((z - 60) / 50) ** 2 + ((y - 75) / 65) ** 2 + ((x - 65) / 55) ** 2)
    distance = (radius - 1) * 55
    brain = radius < 1
    fluid = np.sqrt(((z - 60) / 12) ** 2 + ((y - 75) / 22) ** 2 + ((x - 65) / 8) ** 2) < 1
    white = brain & (radius < 0.8) & ~fluid
    grey = brain & ~white & ~fluid
    intensity = 0.5 * grey + 0.7 * white + 0.2 * fluid
    maps = torch.from_numpy(np.stack([intensity, grey, white, distance]).astype(np.float32))
    return Head("ball", "t1", maps, 1.0, np.argwhere(distance[::4, ::4, ::4] < -3) * 4, ())
