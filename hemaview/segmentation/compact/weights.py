"""Building the compact model's networks from their checked files."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hemaview.errors import ModelError
from hemaview.segmentation.adapters import Adapter
from hemaview.segmentation.compact.coarse import CoarseNet, with_evidence
from hemaview.segmentation.compact.tiny_sam import TinySam
from hemaview.segmentation.registry import ModelRecord


def load_coarse(record: ModelRecord, adapter: Adapter | None = None) -> CoarseNet:
    """The coarse network, float32, ready to infer, with ``adapter`` merged in.

    ``ModelError`` for a missing, altered or unfitting file and for an adapter that does not fit.
    """
    net = CoarseNet()
    _fill(net, record, "coarse")
    if adapter is not None:
        adapter.merge_into("coarse", net)
    net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # missing in torch's own types
    return net


def load_fine(record: ModelRecord, adapter: Adapter | None = None, *, folded: bool = True) -> TinySam:
    """The fine network with ``adapter`` merged in; ``ModelError`` as for ``load_coarse``.

    Batch norms are folded into the convolutions before them unless ``folded`` is False: whoever adapts the network
    needs it as it was trained.
    """
    net = TinySam()
    _fill(net, record, "fine")
    # Before folding: corrections and statistics belong to convolutions and batch norms as they were trained.
    if adapter is not None:
        adapter.merge_into("fine", net)
    if folded:
        _fold_batch_norms(net)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own types
    return net


def _fill(net: nn.Module, record: ModelRecord, role: str) -> None:
    content = record.read_file(role)
    try:
        tensors = {name: tensor.float() for name, tensor in load_tensors(content).items()}
        net.load_state_dict(with_evidence(tensors) if isinstance(net, CoarseNet) else tensors)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ModelError(
            f'The {role} network of the model "{record.name}" does not fit this version of HEMAVIEW; '
            "reinstall HEMAVIEW."
        ) from error
    net.eval().requires_grad_(False)


def _fold_batch_norms(net: nn.Module) -> None:
    """Merge every convolution with the batch norm that follows it in a sequence: same answer, fewer passes."""
    for module in net.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for position in range(len(module) - 1):
            first, second = module[position], module[position + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[position] = fuse_conv_bn_eval(first, second)
                module[position + 1] = nn.Identity()
