"""Networks that carry adapters in the tests: the compact model's, Segment Anything's, and a plain U-Net."""

from functools import partial

import pytest
import torch
from torch import nn

from hemaview.segmentation.adapters.inject import AdaptedNet
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.compact.tiny_sam import TinySam
from hemaview.segmentation.sam.architecture import VIT_B, SamArchitecture, build_sam
from hemaview.segmentation.sam_modeling import Sam


class TinyUNet(nn.Module):
    """(B, 1, H, W) to (B, 1, H, W) with batch norms, one level and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.bottom = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.up = nn.ConvTranspose2d(8, 6, 2, 2)
        self.out = nn.Conv2d(12, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = self.down(x)
        return self.out(torch.cat([skip, self.up(self.bottom(skip))], dim=1))


TINY = SamArchitecture(
    image_size=64, width=32, depth=2, heads=4, window=3, global_blocks=(1,), prompt_width=32, decoder_mlp=64
)
"""Segment Anything with every kind of layer, small enough to run in milliseconds."""


@pytest.fixture
def vit_b():
    """The real ViT-B, without memory for its weights: names and shapes are enough to count."""
    with torch.device("meta"):
        return build_sam(VIT_B)


def _fine(net: TinySam) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    crops = torch.randn(2, 1, 48, 48, generator=generator)
    return net(crops, torch.tensor([[10.0, 10, 35, 35], [5, 15, 30, 40]]))[0]


def _coarse(net: CoarseNet) -> torch.Tensor:
    channels = net.down[0][0].in_channels // 4
    return net(torch.randn(1, channels, 16, 32, 32, generator=torch.Generator().manual_seed(5)))


def _sam(net: Sam) -> torch.Tensor:
    embedding = net.image_encoder(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(5)))
    sparse, dense = net.prompt_encoder(points=None, boxes=torch.tensor([[10.0, 12, 50, 40]]), masks=None)
    return net.mask_decoder(embedding, net.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output=False)[0]


def _unet(net: TinyUNet) -> torch.Tensor:
    return net(torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(5)))


# The compact networks with fewer channels and on smaller crops than the shipped ones.
NETS = {
    "compact fine": (partial(TinySam, 48, 32), _fine),
    "compact coarse": (partial(CoarseNet, (6, 8, 10, 10)), _coarse),
    "sam": (partial(build_sam, TINY), _sam),
    "unet": (TinyUNet, _unet),
}


@pytest.fixture(params=NETS)
def kind(request):
    return request.param


@pytest.fixture
def build():
    """Builds the network of a kind, always with the same weights, and says how to ask it."""

    def make(kind):
        torch.manual_seed(7)
        net, ask = NETS[kind]
        return net().eval(), ask

    return make


@pytest.fixture
def train():
    """Moves everything that learns away from where it started, as training would."""

    def move(adapted: AdaptedNet) -> AdaptedNet:
        torch.manual_seed(11)
        with torch.no_grad():
            for parameter in adapted.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        return adapted

    return move
