"""The U-Nets: published parameter counts, sizes, and what their levels hold."""

import pytest
import torch
from torch import nn

from hemaview.segmentation.adapters.conv_lora import conv_lora
from hemaview.segmentation.unet import ADAPTED_BLOCKS, PlainUNet, ResidualUNet


def _count(net):
    return sum(p.numel() for p in net.parameters())


def test_residual_unet_has_the_published_number_of_parameters():
    assert _count(ResidualUNet()) == 2_434_771


def test_plain_unet_has_about_two_million_parameters_and_the_full_one_thirty_one():
    assert _count(PlainUNet()) == 1_942_289
    assert _count(PlainUNet(widths=(64, 128, 256, 512, 1024))) == pytest.approx(31.03e6, rel=0.001)


@pytest.mark.parametrize(
    ("blocks", "published"), [("init_path", 3_762), ("to_down1", 11_058), ("to_down2", 25_650), ("with_up", 74_034)]
)
def test_conv_lora_of_rank_two_has_the_published_counts(blocks, published):
    net = ResidualUNet()
    sites = net.convolutions(ADAPTED_BLOCKS[blocks])
    layers = [conv_lora(net.get_submodule(name), rank=2) for name in sites]
    assert sum(layer.a.numel() + layer.b.numel() for layer in layers) == published


def test_the_first_block_has_192_affine_values_of_batch_norm():
    norms = [m for m in ResidualUNet().init_path.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(n.weight.numel() + n.bias.numel() for n in norms) == 192


@pytest.mark.parametrize("make", [ResidualUNet, PlainUNet])
@pytest.mark.parametrize("size", [(48, 48), (37, 51)])
def test_logits_have_the_size_of_the_slice(make, size):
    net = make(inputs=2).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 2, *size)).shape == (1, 1, *size)


def test_levels_halve_the_slice_and_double_the_channels():
    with torch.no_grad():
        features = ResidualUNet().eval().encode(torch.randn(1, 1, 32, 48))
    assert [tuple(f.shape[1:]) for f in features] == [(16, 32, 48), (32, 16, 24), (64, 8, 12), (128, 4, 6)]


@pytest.mark.parametrize("make", [ResidualUNet, PlainUNet])
def test_every_parameter_takes_part(make):
    net = make()
    net(torch.randn(2, 1, 32, 32)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
