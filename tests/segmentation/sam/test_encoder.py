"""The fast encoder answers as segment-anything's own, with the same weights."""

import copy
from dataclasses import replace

import pytest
import torch

from hemaview.errors import Cancelled
from hemaview.segmentation.sam import encoder as fast
from hemaview.segmentation.sam.encoder import FastBlock, speed_up
from hemaview.segmentation.sam.stopping import stoppable
from hemaview.segmentation.sam_modeling import Block

ALIKE = 1e-5


@pytest.fixture(
    params=[
        {},
        {"image_size": 160, "depth": 3, "window": 4},
        {"window": 4, "global_blocks": ()},
        {"image_size": 96, "heads": 4, "global_blocks": (0, 1), "window": 0},
    ],
    ids=["padded", "larger", "windows only", "global only"],
)
def pair(request, tiny, make_sam):
    """The stock encoder, the fast one with the same weights, and the side of their pictures."""
    architecture = replace(tiny, **request.param)
    stock = make_sam(architecture).image_encoder
    quick = copy.deepcopy(stock)
    speed_up(quick)
    return stock, quick, architecture.image_size


@pytest.mark.parametrize("chunks", [(512 * 1024, 1024), (700, 5)], ids=["whole", "small chunks"])
def test_inference_equals_the_original(pair, chunks, monkeypatch):
    stock, quick, size = pair
    scores, tokens = chunks
    monkeypatch.setattr(fast, "_SCORES_AT_ONCE", scores)
    monkeypatch.setattr(fast, "_TOKENS_AT_ONCE", tokens)
    pictures = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = stock(pictures), quick(pictures)
    assert expected.std() > 0.1
    assert (expected - found).abs().max() <= ALIKE


def test_training_equals_the_original_with_its_gradients(pair):
    stock, quick, size = pair
    pictures = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    answers = []
    for net in (stock, quick):
        net.requires_grad_(True)
        answer = net(pictures)
        answer.square().mean().backward()
        answers.append(answer.detach())
    assert (answers[0] - answers[1]).abs().max() <= ALIKE
    for (name, one), (_, other) in zip(stock.named_parameters(), quick.named_parameters(), strict=True):
        scale = one.grad.abs().max().clamp_min(1e-3)
        assert ((one.grad - other.grad).abs().max() / scale) <= 1e-3, name


def test_fused_attention_in_parts_equals_the_original(pair, monkeypatch):
    stock, quick, size = pair
    monkeypatch.setattr(fast, "_FUSED_SCORES_AT_ONCE", 1)
    pictures = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = stock(pictures)
        # What a graphics card runs: the original block with the fused attention.
        for block in quick.blocks:
            block.__class__ = Block
        found = quick(pictures)
    assert (expected - found).abs().max() <= ALIKE


def test_weights_and_names_are_not_touched(pair):
    stock, quick, _ = pair
    assert list(stock.state_dict()) == list(quick.state_dict())
    for name, tensor in stock.state_dict().items():
        assert torch.equal(tensor, quick.state_dict()[name])
    assert all(isinstance(block, FastBlock) for block in quick.blocks)


def test_the_input_is_not_changed(pair):
    _, quick, size = pair
    pictures = torch.rand(1, 3, size, size)
    before = pictures.clone()
    with torch.inference_mode():
        quick(pictures)
    assert torch.equal(pictures, before)


def test_a_stop_is_seen_between_any_two_chunks(pair):
    _, quick, size = pair
    calls = []

    def count():
        calls.append(1)

    pictures = torch.rand(1, 3, size, size)
    with torch.inference_mode(), stoppable(count):
        quick(pictures)
    total = len(calls)
    for stop_at in (1, total // 2, total):
        calls.clear()

        def stop(stop_at=stop_at):
            calls.append(1)
            if len(calls) == stop_at:
                raise Cancelled

        with pytest.raises(Cancelled), torch.inference_mode(), stoppable(stop):
            quick(pictures)
        assert len(calls) == stop_at
