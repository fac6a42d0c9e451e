"""ConvLoRA layers: one convolution with W', counts of the paper, groups, transposed kernels, merging and back."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hemaview.errors import ModelError
from hemaview.segmentation.adapters.conv_lora import ConvLoRA2d, ConvLoRA3d, ConvLoRATranspose2d, conv_lora

BASES = {
    "3x3": lambda: nn.Conv2d(6, 8, 3, padding=1),
    "1x1 no bias": lambda: nn.Conv2d(6, 8, 1, bias=False),
    "strided, dilated, reflected": lambda: nn.Conv2d(6, 8, 3, 2, 2, 2, padding_mode="reflect"),
    "two groups": lambda: nn.Conv2d(6, 8, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(6, 6, 5, padding=2, groups=6),
    "transposed": lambda: nn.ConvTranspose2d(6, 8, 2, 2),
    "transposed, padded": lambda: nn.ConvTranspose2d(6, 8, 3, 2, 1, output_padding=1),
    "transposed, two groups": lambda: nn.ConvTranspose2d(6, 8, 2, 2, groups=2),
    "3D": lambda: nn.Conv3d(6, 8, 3, padding=1),
    "3D 1x1x1": lambda: nn.Conv3d(6, 8, 1),
    "3D two groups": lambda: nn.Conv3d(6, 8, 3, padding=1, groups=2, bias=False),
}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(params=BASES.values(), ids=BASES.keys())
def base(request):
    return request.param()


def trained(layer):
    """The same layer with B away from zero, as after training."""
    with torch.no_grad():
        layer.b.normal_()
    return layer


def picture(base):
    return torch.randn(2, 6, *([9] * len(base.kernel_size)))


def added(layer):
    return layer.a.numel() + layer.b.numel()


def test_step_zero_is_exactly_the_base(base):
    x = picture(base)
    assert torch.equal(conv_lora(base)(x), base(x))


def test_the_answer_is_the_base_layers_with_the_corrected_kernel(base):
    """A copy of the base whose weight is W0 + view(B A): also what a dense transposed convolution with W' gives."""
    x = picture(base)
    layer = trained(conv_lora(base, rank=2, alpha=3.0))
    answer = layer(x)
    with torch.no_grad():
        base.weight += 1.5 * (layer.b @ layer.a).reshape(base.weight.shape)
    torch.testing.assert_close(answer, base(x), rtol=1e-5, atol=1e-5)


def test_only_a_and_b_learn(base):
    base.requires_grad_(False)
    layer = trained(conv_lora(base))
    layer(picture(base)).square().sum().backward()
    assert {name for name, p in layer.named_parameters() if p.grad is not None} == {"a", "b"}
    assert layer.a.grad.any()
    assert layer.b.grad.any()


def test_merging_answers_the_same_and_unmerging_gives_every_bit_back(base):
    x = picture(base)
    before = base.weight.detach().clone()
    plain = base(x)
    layer = trained(conv_lora(base))
    apart = layer(x)
    layer.merge()
    assert torch.equal(layer(x), apart)
    assert torch.equal(base(x), apart)
    assert not torch.allclose(base(x), plain)
    layer.unmerge()
    assert torch.equal(base.weight, before)
    assert torch.equal(base(x), plain)


def test_the_rank_of_the_correction_is_bounded(base):
    layer = trained(conv_lora(base, rank=1))
    delta = layer.delta().flatten(1)
    assert torch.linalg.matrix_rank(delta) <= layer.kernel_size[0] ** 2
    assert delta.any()


def test_the_rank_reaches_its_bound_and_no_more():
    layer = trained(ConvLoRA2d(nn.Conv2d(64, 64, 3), rank=2))
    assert torch.linalg.matrix_rank(layer.delta().flatten(1)) == 2 * 3**2


@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "rank", "count"),
    [
        (768, 256, 1, 2, 2_048),  # the first convolution of Segment Anything's neck
        (256, 256, 3, 2, 9_216),  # the second
        (3, 768, 16, 2, 394_752),  # its patch embedding, which is why that one is left out
        (16, 32, 3, 2, 864),
        (16, 16, 3, 4, 1_152),
    ],
)
def test_counts_of_convolutions(inputs, outputs, size, rank, count):
    layer = ConvLoRA2d(nn.Conv2d(inputs, outputs, size, device="meta"), rank)
    assert added(layer) == count == rank * size**2 * (inputs + outputs)


@pytest.mark.parametrize(("inputs", "outputs", "count"), [(256, 64, 2_560), (64, 32, 768)])
def test_counts_of_transposed_convolutions(inputs, outputs, count):
    layer = ConvLoRATranspose2d(nn.ConvTranspose2d(inputs, outputs, 2, 2, device="meta"), 2)
    assert added(layer) == count == 2 * 2**2 * (inputs + outputs)
    assert layer.a.shape == (2 * 2, outputs * 2)
    assert layer.b.shape == (inputs * 2, 2 * 2)


def test_counts_of_grouped_and_3d_convolutions():
    assert added(ConvLoRA2d(nn.Conv2d(32, 32, 3, groups=32), 2)) == 2 * 9 * (1 + 32)
    assert added(ConvLoRA3d(nn.Conv3d(24, 48, 3), 2)) == 2 * 9 * (3 * 24 + 48)
    assert added(ConvLoRA3d(nn.Conv3d(24, 4, 1), 2)) == 2 * (24 + 4)


def test_a_transposed_convolution_equals_the_dense_matrix_of_its_kernel():
    """Every output pixel by hand: with kernel and stride 2 each input pixel paints its own 2 x 2 block."""
    layer = trained(ConvLoRATranspose2d(nn.ConvTranspose2d(5, 3, 2, 2), 2, 2.0))
    kernel = layer.weight + (layer.b @ layer.a).view(5, 3, 2, 2)
    x = torch.randn(1, 5, 4, 6)
    by_hand = torch.zeros(1, 3, 8, 12)
    for row in range(4):
        for column in range(6):
            block = torch.einsum("c,cohw->ohw", x[0, :, row, column], kernel)
            by_hand[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = block + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x), by_hand)


def test_a_transposed_convolution_still_takes_an_output_size():
    base = nn.ConvTranspose2d(6, 8, 3, 2, 1)
    x = torch.randn(1, 6, 5, 5)
    assert torch.equal(conv_lora(base)(x, output_size=[10, 10]), base(x, output_size=[10, 10]))


@pytest.mark.parametrize(
    "base", [nn.Conv2d(4, 4, (3, 5)), nn.ConvTranspose2d(4, 4, (1, 2)), nn.Conv3d(4, 4, (1, 3, 3))]
)
def test_kernels_that_are_not_square_are_refused(base):
    with pytest.raises(ModelError, match="as wide as it is high"):
        conv_lora(base)


def test_the_kernel_is_read_as_one_piece_of_memory():
    """The paper's reshape: row c k + u of B A holds row u of the kernels of output channel c."""
    layer = trained(ConvLoRA2d(nn.Conv2d(2, 3, 3), rank=2, alpha=2.0))
    product = (layer.b @ layer.a).detach().flatten()
    delta = layer.delta().detach()
    assert delta[1, 0, 2, 1] == product[1 * 18 + 0 * 9 + 2 * 3 + 1]
    expected = F.conv2d(torch.ones(1, 2, 3, 3), delta)
    torch.testing.assert_close(expected.flatten(), product.view(3, 18).sum(1))
