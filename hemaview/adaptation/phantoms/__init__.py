"""Synthetic lesions on healthy templates; every phantom is named by its seed and has an exact answer."""

from hemaview.adaptation.phantoms.samples import SAMPLE_SHAPE, Sample, box_fill, training_sample

__all__ = ["SAMPLE_SHAPE", "Sample", "box_fill", "training_sample"]
