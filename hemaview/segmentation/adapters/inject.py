"""Putting an adapter's parts into a network, and taking them out without a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hemaview.errors import ModelError
from hemaview.segmentation.adapters import adabn
from hemaview.segmentation.adapters.config import AdapterConfig
from hemaview.segmentation.adapters.conv_lora import conv_lora
from hemaview.segmentation.adapters.lora import LoraLinear, LoraQkv, lora_scale
from hemaview.segmentation.adapters.low_rank import LowRank
from hemaview.segmentation.adapters.refinement import RefinementHead, attach_refinement
from hemaview.segmentation.contract import CancelToken
from hemaview.segmentation.sam_modeling import MaskDecoder

_PARTS = ("lora", "conv_lora", "refinement", "decoder", "adabn")
_SHARES_WITH_BASE = ("weight", "bias")
_NOT_HERE = {
    "lora": "This network has no linear layer of the chosen names, so LoRA adds nothing to it.",
    "conv_lora": "This network has no convolution of the chosen names, so ConvLoRA adds nothing to it.",
    "adabn": "This network has no batch norm, so AdaBN has nothing to adapt in it.",
    "refinement": "This network has no mask decoder, so the refining layer has no place in it.",
    "decoder": "This network has no mask decoder that could be trained.",
}


class AdaptedNet:
    """A network with an adapter's parts in it; make one with ``inject``.

    ``net`` is the network itself, changed in place: the base is frozen and only the parts learn. ``skipped`` says in
    one sentence each which parts of the config have no place in this network. Use ``train`` and ``eval`` of this
    object rather than the network's own: the base's batch norms and dropout must stay in inference.
    """

    def __init__(self, net: nn.Module, config: AdapterConfig) -> None:
        if any(isinstance(module, LowRank | RefinementHead) for module in net.modules()):
            raise ModelError("This network already carries an adapter; remove that one first.")
        self.net = net
        self.config = config
        self._base_size = sum(parameter.numel() for parameter in net.parameters())
        self._flags = {name: parameter.requires_grad for name, parameter in net.named_parameters()}
        self._statistics = adabn.read_statistics(net)
        self._bases: dict[str, nn.Module] = {}
        self._layers: dict[str, nn.Module] = {}
        self._decoder = _decoder_of(net)
        self._decoder_before: dict[str, Tensor] = {}
        self._head: RefinementHead | None = None
        self._detach: Callable[[], None] | None = None
        self._removed = False
        self._inject()
        wanted = {part for part in _PARTS if getattr(config, part)}
        self.skipped = {part: _NOT_HERE[part] for part in _PARTS if part in wanted - set(self._parts())}

    def _inject(self) -> None:
        modules = {name: module for name, module in self.net.named_modules() if name}
        for name, module in modules.items():
            layer = self._layer_for(name, module)
            if layer is not None:
                layer.train(module.training)
                self._bases[name], self._layers[name] = module, layer
        self.net.requires_grad_(False)
        self._put(self._layers)
        if self._decoder is None:
            return
        if self.config.decoder:
            self._decoder.requires_grad_(True)
            # Parameters of this size are copied so that the base can come back exactly.
            self._decoder_before = {name: p.detach().clone() for name, p in self._decoder.named_parameters()}
        if self.config.refinement:
            self._head, self._detach = attach_refinement(self._decoder)

    def _layer_for(self, name: str, module: nn.Module) -> nn.Module | None:
        lora, conv = self.config.lora, self.config.conv_lora
        if self.config.decoder and name.startswith("mask_decoder."):
            return None
        if isinstance(module, nn.Linear) and lora is not None and lora.hits(name):
            scale = lora_scale(lora.rank, lora.alpha, lora.rank_stabilised)
            fused = name.endswith("qkv") and module.out_features % 3 == 0
            return (LoraQkv if fused else LoraLinear)(module, lora.rank, scale, lora.dropout)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d) and conv is not None and conv.hits(name):
            return conv_lora(module, conv.rank, conv.alpha)
        return None

    def _put(self, modules: Mapping[str, nn.Module]) -> None:
        for name, module in modules.items():
            parent, _, child = name.rpartition(".")
            setattr(self.net.get_submodule(parent), child, module)

    def _parts(self) -> dict[str, dict[str, Tensor]]:
        """Every tensor of the adapter by part and name, the live ones."""
        parts: dict[str, dict[str, Tensor]] = {}
        for name, layer in self._layers.items():
            part = parts.setdefault("lora" if isinstance(layer, nn.Linear) else "conv_lora", {})
            part.update({f"{name}.{n}": p for n, p in layer.named_parameters() if n not in _SHARES_WITH_BASE})
        if self._head is not None:
            parts["refinement"] = dict(self._head.named_parameters())
        if self._decoder_before and self._decoder is not None:
            decoder = dict(self._decoder.named_parameters())
            parts["decoder"] = {name: decoder[name] for name in self._decoder_before}
        norms = adabn.batch_norms(self.net) if self.config.adabn else {}
        if norms:
            names = [f"{name}.{kind}" for name in norms for kind in ("running_mean", "running_var")]
            parts["adabn"] = {name: self.net.get_buffer(name) for name in names}
        return parts

    def _live(self) -> dict[str, Tensor]:
        return {f"{part}.{name}": t for part, tensors in self._parts().items() for name, t in tensors.items()}

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What learns, named as in the adapter's file."""
        for name, tensor in self._live().items():
            if isinstance(tensor, nn.Parameter):
                yield name, tensor

    def parameters(self) -> Iterator[nn.Parameter]:
        """What learns: give this to the optimiser."""
        for _, parameter in self.named_parameters():
            yield parameter

    def counts(self) -> dict[str, int]:
        """Numbers held by each part that is there; those of "adabn" are statistics and do not learn."""
        return {part: sum(t.numel() for t in tensors.values()) for part, tensors in self._parts().items()}

    @property
    def trainable(self) -> int:
        """How many numbers learn."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def base_size(self) -> int:
        """How many parameters the base has."""
        return self._base_size

    @property
    def merged(self) -> bool:
        """Whether the low-rank corrections are part of the base's weights at the moment."""
        return any(layer.merged for layer in self._layers.values() if isinstance(layer, LowRank))

    def train(self, mode: bool = True) -> AdaptedNet:
        """Set the parts to training; the base stays in inference, so that its batch statistics do not drift."""
        self.net.eval()
        for layer in self._layers.values():
            layer.train(mode)
        return self

    def eval(self) -> AdaptedNet:
        """Set everything to inference."""
        return self.train(False)

    def merge(self) -> None:
        """Add the low-rank corrections to the base's weights: the base's own layers answer, at no cost.

        The refining head stays behind the decoder. Merging twice is merging once. Inference only: merged parts cannot
        learn.
        """
        for layer in self._layers.values():
            _low_rank(layer).merge()
        self._put(self._bases)

    def unmerge(self) -> None:
        """Undo ``merge``; every weight of the base has its old bits again."""
        for layer in self._layers.values():
            _low_rank(layer).unmerge()
        if not self._removed:
            self._put(self._layers)

    def remove(self) -> None:
        """Take the adapter off: the network is the base again, bit by bit. This object is of no more use then."""
        if self._removed:
            return
        self.unmerge()
        self._removed = True
        self._put(self._bases)
        if self._detach is not None:
            self._detach()
        with torch.no_grad():
            for name, before in self._decoder_before.items():
                assert self._decoder is not None
                self._decoder.get_parameter(name).copy_(before)
        adabn.write_statistics(self.net, self._statistics)
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(self._flags[name])

    def adapt_batch_norm(
        self,
        batches: Iterable[Any],
        *,
        forward: Callable[[Any], object] | None = None,
        cancel: CancelToken | None = None,
    ) -> adabn.AdaBnResult | adabn.NotApplicable:
        """Batch statistics of the target scans, kept with the adapter; see ``adabn.adapt_batch_norm``."""
        if not self.config.adabn:
            raise ModelError("This adapter was made without AdaBN; switch it on before adapting batch statistics.")
        return adabn.adapt_batch_norm(self.net, batches, forward=forward, cancel=cancel)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of all the adapter's tensors: float32, on the CPU, named "part.layer.tensor"."""
        return {
            name: tensor.detach().to("cpu", torch.float32, copy=True).contiguous()
            for name, tensor in self._live().items()
        }

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what ``tensors`` gave; ``ModelError`` when names or shapes are not this network's."""
        live = self._live()
        missing, extra = sorted(live.keys() - tensors.keys()), sorted(tensors.keys() - live.keys())
        shapes = sorted(name for name in live.keys() & tensors.keys() if live[name].shape != tensors[name].shape)
        for words, names in (("lacks", missing), ("has too much:", extra), ("has the wrong size of", shapes)):
            if names:
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                raise ModelError(
                    f"The adapter does not fit this model, it {words} {names[0][:120]}{more}; "
                    "choose one that was made for it."
                )
        if self.merged:
            raise ModelError("The adapter is merged; take it apart before other values are loaded.")
        with torch.no_grad():
            for name, tensor in live.items():
                tensor.copy_(tensors[name])


def inject(net: nn.Module, config: AdapterConfig) -> AdaptedNet:
    """Freeze ``net`` and put the parts of ``config`` into it, in place; its answers are exactly the same at first.

    ``net`` is float32 (autocast may shorten what passes through it). Random numbers come from torch's global generator.
    Raises ``ModelError`` for a network that has an adapter already and for a target whose kernel is not square.
    """
    return AdaptedNet(net, config)


def _decoder_of(net: nn.Module) -> nn.Module | None:
    decoder = getattr(net, "mask_decoder", None)
    return decoder if isinstance(decoder, MaskDecoder) else None


def _low_rank(layer: nn.Module) -> LowRank:
    assert isinstance(layer, LowRank)
    return layer
