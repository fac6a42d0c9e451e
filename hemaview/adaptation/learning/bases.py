"""Which models can be fitted, and their networks as learning needs them."""

from __future__ import annotations

from torch import nn

from hemaview.adaptation.datasets.labelled import DataError
from hemaview.adaptation.learning.coarse_questions import CoarseTrainee
from hemaview.adaptation.learning.fine_questions import FineTrainee
from hemaview.adaptation.learning.questions import Trainee
from hemaview.segmentation.compact.weights import load_coarse, load_fine
from hemaview.segmentation.registry import ModelRecord, available_engines, model_records

_COMPACT = "hemaview.segmentation.compact.engine:CompactSegmenter"
_PARTS = {_COMPACT: ("fine", "coarse")}


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


def open_network(record: ModelRecord, role: str) -> tuple[nn.Module, Trainee]:
    """A model's network in its base state and how to ask it; ``DataError`` for a part that the model lacks."""
    if role not in parts_of(record):
        raise DataError(f'The model "{record.name}" has no part "{role}"; choose from {", ".join(parts_of(record))}.')
    if role == "coarse":
        return load_coarse(record), CoarseTrainee()
    return load_fine(record, folded=False), FineTrainee(load_coarse(record))
