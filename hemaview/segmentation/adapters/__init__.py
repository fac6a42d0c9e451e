"""Small files that fit a model to other scans: low-rank corrections, statistics, and a refining layer.

Nothing here loads torch; ``inject`` and the layers themselves are in modules of their own that do.
"""

from hemaview.segmentation.adapters.adapter_file import Adapter, read_adapter, save_adapter
from hemaview.segmentation.adapters.card import AdapterCard, read_card
from hemaview.segmentation.adapters.config import AdapterConfig, ConvLoraConfig, LoraConfig

__all__ = [
    "Adapter",
    "AdapterCard",
    "AdapterConfig",
    "ConvLoraConfig",
    "LoraConfig",
    "read_adapter",
    "read_card",
    "save_adapter",
]
