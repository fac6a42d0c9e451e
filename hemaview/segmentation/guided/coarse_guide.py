"""The coarse 3D network as the guide of a run: it says where in a box the lesion is."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hemaview.errors import ModelError
from hemaview.segmentation.compact.coarse import CoarseNet
from hemaview.segmentation.compact.crops import Placement3D
from hemaview.segmentation.compact.frame import Frame
from hemaview.segmentation.compact.weights import load_coarse
from hemaview.segmentation.guided.box import Box
from hemaview.segmentation.guided.coarse_answer import CoarseAnswer
from hemaview.segmentation.guided.protocols import Check
from hemaview.segmentation.guided.small_network import SmallNetwork
from hemaview.segmentation.registry import DEFAULT_ENGINE, model_records


class CoarseGuide:
    """Runs the coarse network on one thread at a time; a run can be cancelled between any two of its layers."""

    def __init__(self, net: CoarseNet, threads: int | None = None) -> None:
        self._network = SmallNetwork(net, threads)

    @classmethod
    def bundled(cls) -> CoarseGuide:
        """The guide of the model that comes with the program; ``ModelError`` when its file is missing or altered."""
        record = next((record for record in model_records() if record.name == DEFAULT_ENGINE), None)
        if record is None:
            raise ModelError("The compact model is missing from the list of models; reinstall HEMAVIEW.")
        return cls(load_coarse(record))

    def ask(
        self,
        frame: Frame,
        box: Box,
        check: Check,
        evidence: Callable[[Placement3D], torch.Tensor] | None = None,
    ) -> CoarseAnswer:
        """What the network sees in a box; ``evidence`` paints what is known onto its grid."""
        crop, placement = frame.coarse_crop(box)
        with self._network.stopped_by(check) as net, torch.inference_mode():
            if evidence is not None:
                crop = torch.cat([crop, evidence(placement)[None]])
            batch = crop[None].contiguous(memory_format=torch.channels_last_3d)
            return CoarseAnswer(net(batch)[0].contiguous(), placement, crop[0])
