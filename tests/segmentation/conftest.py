"""A registry with untrained weights, for tests of everything that does not depend on what the nets learned."""

import hashlib

import pytest
import torch
from safetensors.torch import save

from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.compact.tiny_sam import TinySam

_ENTRY = """[[model]]
name = "compact"
title = "Test compact"
engine = "hemaview.segmentation.compact.engine:CompactSegmenter"
licence = "Apache-2.0"
origin = "random numbers"
trained_on = "nothing"
card = "compact/MODEL_CARD.md"

"""


def _write_registry(folder):
    """Write random weights and their registry below ``folder``; returns the registry's path."""
    torch.manual_seed(0)
    text = _ENTRY
    (folder / "compact").mkdir()
    for role, net in (("coarse", CoarseNet()), ("fine", TinySam())):
        tensors = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
        content = save({k: v.contiguous() for k, v in tensors.items()})
        path = f"compact/{role}.safetensors"
        (folder / path).write_bytes(content)
        text += (
            f'[[model.file]]\nrole = "{role}"\npath = "{path}"\n'
            f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nbytes = {len(content)}\n\n'
        )
    registry = folder / "registry.toml"
    registry.write_text(text)
    return registry


@pytest.fixture(scope="session")
def untrained_registry(tmp_path_factory):
    """A registry that the tests share and must not change."""
    return _write_registry(tmp_path_factory.mktemp("models"))


@pytest.fixture
def own_registry(tmp_path):
    """A registry that the test may damage."""
    return _write_registry(tmp_path)
