"""Synthetic lesions on healthy templates; every phantom is named by its seed and has an exact answer."""

from hemaview.adaptation.phantoms.held_out import held_out_case
from hemaview.adaptation.phantoms.samples import SAMPLE_SHAPE, Sample, box_fill, training_sample

__all__ = ["SAMPLE_SHAPE", "Sample", "box_fill", "held_out_case", "training_sample"]
