"""LoRA layers: exact at the start, gradients only where they belong, the formula, merging and back."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hemaview.segmentation.adapters.lora import LoraLinear, LoraQkv, lora_scale
from hemaview.segmentation.compact.encoder import AttentionBlock
from hemaview.segmentation.sam_modeling import ImageEncoderViT


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def trained(layer):
    """The same layer with B away from zero, as after training."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("b") and name != "bias":
                parameter.normal_()
    return layer


def test_the_scale_is_alpha_over_rank_or_its_root():
    assert lora_scale(64, 128, False) == 2
    assert lora_scale(64, 128, True) == 16
    assert lora_scale(4, 4, False) == 1


@pytest.mark.parametrize("bias", [True, False])
def test_step_zero_is_exactly_the_base(bias):
    base = nn.Linear(24, 72, bias=bias)
    x = torch.randn(5, 7, 24)
    assert torch.equal(LoraLinear(base, 4, 1.0)(x), base(x))
    assert torch.equal(LoraQkv(base, 4, 1.0)(x), base(x))


def test_the_correction_is_the_papers_formula():
    base = nn.Linear(24, 10)
    layer = trained(LoraLinear(base, 3, lora_scale(3, 6, True)))
    x = torch.randn(8, 24)
    by_hand = torch.empty(8, 10)
    for row in range(8):
        by_hand[row] = base.weight @ x[row] + base.bias + 6 / math.sqrt(3) * (layer.b @ (layer.a @ x[row]))
    torch.testing.assert_close(layer(x), by_hand)


def test_fused_projection_changes_queries_and_values_and_never_keys():
    base = nn.Linear(16, 48)
    layer = trained(LoraQkv(base, 2, 0.5))
    x = torch.randn(9, 16)
    query, key, value = layer(x).split(16, dim=-1)
    base_query, base_key, base_value = base(x).split(16, dim=-1)
    torch.testing.assert_close(query, base_query + 0.5 * x @ layer.a_q.T @ layer.b_q.T)
    torch.testing.assert_close(value, base_value + 0.5 * x @ layer.a_v.T @ layer.b_v.T)
    assert torch.equal(key, base_key)
    assert not torch.allclose(query, base_query)


@pytest.mark.parametrize("kind", [LoraLinear, LoraQkv])
def test_merging_answers_the_same_and_unmerging_gives_every_bit_back(kind):
    base = nn.Linear(64, 96)
    before = base.weight.detach().clone()
    layer = trained(kind(base, 8, 1.0)).eval()
    x = torch.randn(10, 64) / 8
    apart = layer(x)
    layer.merge()
    layer.merge()
    assert layer.merged
    torch.testing.assert_close(layer(x), apart, rtol=0, atol=2e-5)
    torch.testing.assert_close(base(x), apart, rtol=0, atol=2e-5)
    assert not torch.equal(base.weight, before)
    layer.unmerge()
    layer.unmerge()
    assert torch.equal(base.weight, before)
    assert torch.equal(layer(x), apart)


def test_the_rank_of_the_correction_is_the_rank():
    layer = trained(LoraLinear(nn.Linear(40, 30), 5, 1.0))
    assert torch.linalg.matrix_rank(layer.delta()) == 5


def test_dropout_falls_on_the_correction_alone_and_only_in_training():
    base = nn.Linear(32, 32)
    layer = trained(LoraLinear(base, 4, 1.0, dropout=0.5))
    x = torch.randn(4, 32)
    assert torch.equal(layer.eval()(x), layer(x))
    layer.train()
    assert not torch.equal(layer(x), layer(x))
    with torch.no_grad():
        layer.b.zero_()
    assert torch.equal(layer(x), base(x))


def test_a_starts_kaiming_uniform_and_b_at_zero():
    layer = LoraQkv(nn.Linear(768, 2304), 4, 1.0)
    bound = 1 / math.sqrt(768)  # Kaiming-uniform with a = sqrt(5)
    for a in (layer.a_q, layer.a_v):
        assert a.abs().max() <= bound
        assert a.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not layer.b_q.any()
    assert not layer.b_v.any()
    assert not torch.equal(layer.a_q, layer.a_v)


def test_gradients_reach_a_and_b_through_attention():
    """The fused output is not written to in place: backward runs through softmax attention."""
    block = AttentionBlock(32)
    block.requires_grad_(False)
    block.qkv = trained(LoraQkv(block.qkv, 4, 1.0))
    block(torch.randn(2, 6, 32)).square().sum().backward()
    with_gradient = {name for name, p in block.named_parameters() if p.grad is not None and p.grad.any()}
    assert with_gradient == {"qkv.a_q", "qkv.b_q", "qkv.a_v", "qkv.b_v"}


def test_segment_anythings_encoder_answers_as_before_at_step_zero():
    encoder = ImageEncoderViT(
        img_size=64, patch_size=16, embed_dim=32, depth=2, num_heads=4, out_chans=16, use_rel_pos=True, window_size=3,
        global_attn_indexes=(1,),
    ).eval()  # fmt: skip
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = encoder(image)
        for block in encoder.blocks:
            block.attn.qkv = LoraQkv(block.attn.qkv, 4, 1.0)
        assert torch.equal(encoder(image), before)
        trained(encoder.blocks[0].attn.qkv)
        assert not torch.allclose(encoder(image), before)


def test_autocast_answers_nearly_the_same():
    layer = trained(LoraLinear(nn.Linear(16, 16), 2, 1.0))
    x = torch.randn(3, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = layer(x)
    torch.testing.assert_close(
        coarse.float(), F.linear(x, layer.weight + layer.delta(), layer.bias), rtol=0.1, atol=0.2
    )
