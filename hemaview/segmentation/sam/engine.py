"""The MedSAM engine: the guided run with a Segment Anything ViT-B as the model that draws each slice.

The bundled coarse network finds where the lesion begins and ends and puts a rectangle on every slice, which MedSAM
takes as its box. That an answer keeps to its box, is empty outside it and not empty inside is the run's affair.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from hemaview.imaging import Volume
from hemaview.segmentation.adapters import read_adapter
from hemaview.segmentation.contract import BoxPrompt, CancelToken, EngineInfo, OnSlice, Prompt, Segmentation
from hemaview.segmentation.device import choose_device
from hemaview.segmentation.guided.coarse_guide import CoarseGuide
from hemaview.segmentation.guided.engine import GuidedSegmenter
from hemaview.segmentation.registry import ModelRecord
from hemaview.segmentation.sam.checkpoint import SAM_VIT_B_SHA256, load_sam
from hemaview.segmentation.sam.embedding_cache import EmbeddingCache
from hemaview.segmentation.sam.embedding_store import EmbeddingStore
from hemaview.segmentation.sam.network import SamNetwork
from hemaview.segmentation.sam.session import SamModel

ROLE = "sam"


class MedSamSegmenter(GuidedSegmenter):
    """MedSAM or SAM ViT-B; build it with ``load_engine("medsam")`` or the name of a checkpoint that was added."""

    def __init__(self, info: EngineInfo, guide: CoarseGuide, model: SamModel) -> None:
        super().__init__(info, guide, model)
        self._sam = model

    @classmethod
    def from_record(
        cls, record: ModelRecord, *, adapter: Path | None = None, guide: CoarseGuide | None = None
    ) -> MedSamSegmenter:
        """Load the checkpoint of a registry entry, merge an adapter in, and move it to the fastest device there is.

        ``guide`` defaults to the bundled coarse network. Raises ``ModelError`` for a file that is missing, altered or
        no SAM ViT-B, for an adapter of another model, and for a setting that names no device.
        """
        device = choose_device()
        merged = None if adapter is None else read_adapter(adapter)
        net = load_sam(record.checked_path(ROLE))
        fingerprint = record.fingerprint
        if merged is not None:
            merged.check_base(fingerprint, (ROLE,))
            merged.merge_into(ROLE, net)
        network = SamNetwork(net, device, photo_values=fingerprint == SAM_VIT_B_SHA256)
        cache = EmbeddingCache(store=EmbeddingStore.from_environment())
        model = SamModel(network, fingerprint if merged is None else f"{fingerprint} {merged.sha256}", cache)
        info = EngineInfo(
            name=record.name,
            title=record.title,
            device=network.device_title,
            sha256=fingerprint,
            trained_on=record.trained_on,
            licence=record.licence,
            adapter="" if merged is None else merged.label,
        )
        if not device.is_cpu:
            # The first pass through a graphics card pays for its own preparations. A CPU has none worth a slice's time.
            network.encode([network.start(torch.rand(network.size, network.size).numpy())])
        return cls(info, guide or CoarseGuide.bundled(), model)

    @property
    def info(self) -> EngineInfo:
        """Name, hash and origin of the model, and the device it runs on now: full memory can change that."""
        return replace(self._info, device=self._sam.network.device_title)

    def segment(
        self,
        volume: Volume,
        prompt: BoxPrompt | Prompt,
        *,
        focus: int | None = None,
        on_slice: OnSlice | None = None,
        cancel: CancelToken | None = None,
    ) -> Segmentation:
        """Segment what the prompt shows; see ``Segmenter.segment``. What was being computed ahead stops at once."""
        found = super().segment(volume, prompt, focus=focus, on_slice=on_slice, cancel=cancel)
        return replace(found, engine=self.info)

    def prefetch(self, volume: Volume, k: int, reach: int = 2) -> None:
        """Compute the embeddings of slice ``k`` and its neighbours in the background, so that a box on them is quick.

        Returns at once; a call of ``segment`` or another ``prefetch`` takes precedence. To be called from the thread
        that calls ``segment``. A negative ``reach`` stops what runs in the background.
        """
        near = sorted(range(k - reach, k + reach + 1), key=lambda other: abs(other - k))
        self._open(volume).session.prefetch(near)
