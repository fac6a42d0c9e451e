"""The ways to fit a network: what each one changes, and how fast it may learn."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hemaview.adaptation.datasets.labelled import DataError
from hemaview.segmentation.adapters import AdapterConfig, ConvLoraConfig, LoraConfig
from hemaview.segmentation.adapters.config import DECODER_ATTENTION, FUSED_QKV


@dataclass(frozen=True)
class Method:
    """``config`` is None for "full", which changes the whole network and therefore makes no adapter."""

    name: str
    summary: str
    config: AdapterConfig | None
    learning_rate: float


_LORA = LoraConfig(rank=8, alpha=8.0, targets=FUSED_QKV + DECODER_ATTENTION)
_CONV = ConvLoraConfig()
_RATE = 2e-3

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("lora", "low-rank corrections of the attention layers", AdapterConfig(lora=_LORA), _RATE),
        Method(
            "conv_lora", "low-rank corrections of the convolutions", AdapterConfig(lora=None, conv_lora=_CONV), _RATE
        ),
        Method(
            "lora+conv_lora",
            "low-rank corrections of attention and convolutions",
            AdapterConfig(lora=_LORA, conv_lora=_CONV),
            _RATE,
        ),
        Method(
            "conv_lora+adabn",
            "conv_lora after the statistics were fitted",
            AdapterConfig(lora=None, conv_lora=_CONV, adabn=True),
            _RATE,
        ),
        Method("adabn", "batch statistics of the new scans, no masks used", AdapterConfig(lora=None, adabn=True), 0.0),
        Method("decoder", "the whole mask decoder", AdapterConfig(lora=None, decoder=True), 3e-4),
        Method("refinement", "a small new layer behind the decoder", AdapterConfig(lora=None, refinement=True), 2e-3),
        Method("full", "every weight; writes a new model instead of an adapter", None, 1e-4),
    )
}


def method_called(name: str, *, rank: int | None = None) -> Method:
    """The method of that name, its low-rank corrections of another ``rank``; ``DataError`` for an unknown name."""
    method = METHODS.get(name)
    if method is None:
        raise DataError(f'There is no method "{name}"; choose one of: {", ".join(METHODS)}.')
    if rank is None:
        return method
    config = method.config
    if config is None or (config.lora is None and config.conv_lora is None):
        raise DataError(f'The method "{name}" has no rank; leave the rank out.')
    lora = None if config.lora is None else replace(config.lora, rank=rank, alpha=float(rank))
    conv = None if config.conv_lora is None else replace(config.conv_lora, rank=rank, alpha=float(rank))
    return replace(method, config=replace(config, lora=lora, conv_lora=conv))
