"""Which models can be fitted, and their networks as learning needs them."""

from __future__ import annotations

import torch
from torch import nn

from hemaview.adaptation.datasets.labelled import DataError
from hemaview.adaptation.learning.coarse_questions import CoarseTrainee
from hemaview.adaptation.learning.fine_questions import FineTrainee
from hemaview.adaptation.learning.methods import Method
from hemaview.adaptation.learning.questions import Trainee
from hemaview.segmentation.compact.weights import load_coarse, load_fine
from hemaview.segmentation.registry import ModelRecord, available_engines, model_records

_COMPACT = "hemaview.segmentation.compact.engine:CompactSegmenter"
_SAM = "hemaview.segmentation.sam.engine:MedSamSegmenter"
_PARTS = {_COMPACT: ("fine", "coarse"), _SAM: ("sam",)}
_LARGEST_ON_CPU = 512
"""Side of the picture in pixels above which an image encoder is not trained on a processor."""


def base_record(name: str) -> ModelRecord:
    """The registry's entry of a model; ``DataError`` for one that is unknown or cannot be fitted."""
    record = next((record for record in model_records() if record.name == name), None)
    if record is None:
        raise DataError(f'There is no model called "{name}"; choose one of: {", ".join(available_engines())}.')
    if record.engine not in _PARTS:
        fitting = ", ".join(record.name for record in model_records() if record.engine in _PARTS)
        raise DataError(f'The model "{name}" cannot be fitted to own scans; choose one of: {fitting}.')
    return record


def parts_of(record: ModelRecord) -> tuple[str, ...]:
    """The networks of a model, the one that is fitted by default first."""
    return _PARTS[record.engine]


def open_network(
    record: ModelRecord, role: str, method: Method, device: torch.device | None = None
) -> tuple[nn.Module, Trainee]:
    """A model's network in its base state on ``device`` (default: the CPU), and how to ask it.

    ``DataError`` for a part that the model lacks, for a method that is not possible with it, and for training a large
    image encoder on a CPU. ``ModelError`` when the model's files are missing or altered.
    """
    if role not in parts_of(record):
        raise DataError(f'The model "{record.name}" has no part "{role}"; choose from {", ".join(parts_of(record))}.')
    device = device or torch.device("cpu")
    if role == "coarse":
        return load_coarse(record).to(device), CoarseTrainee()
    if role == "fine":
        return load_fine(record, folded=False).to(device), FineTrainee(load_coarse(record))
    return _open_sam(record, method, device)


def _open_sam(record: ModelRecord, method: Method, device: torch.device) -> tuple[nn.Module, Trainee]:
    # Loaded here, because nobody who fits the compact model needs it.
    from hemaview.adaptation.learning.sam_questions import SamTrainee
    from hemaview.segmentation.sam.checkpoint import SAM_VIT_B_SHA256, load_sam

    if method.config is None:
        raise DataError(f"{record.title} is too large to be trained as a whole here; choose lora or decoder.")
    net = load_sam(record.checked_path("sam"))
    behind_encoder = method.config.lora is None and method.config.conv_lora is None
    size = int(net.image_encoder.img_size)
    if not behind_encoder and device.type == "cpu" and size > _LARGEST_ON_CPU:
        raise DataError(
            f"The method {method.name} trains {record.title}'s image encoder, which takes some 47 seconds a step on a "
            "processor; use --method decoder or refinement, or a graphics card."
        )
    photo_values = record.fingerprint == SAM_VIT_B_SHA256
    return net.to(device), SamTrainee(net, encode_once=behind_encoder, photo_values=photo_values)
