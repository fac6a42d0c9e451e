"""U-Nets for single slices: the residual one that the adapters were published on, and a plain one for comparison."""

from hemaview.segmentation.unet.plain import PlainUNet
from hemaview.segmentation.unet.residual import ADAPTED_BLOCKS, ResidualUNet

__all__ = ["ADAPTED_BLOCKS", "PlainUNet", "ResidualUNet"]
