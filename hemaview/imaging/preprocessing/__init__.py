"""Preparing a scan for the eye or for a model: optional, on the same grid, never for measuring."""

from hemaview.imaging.preprocessing.brain_mask import BrainMask, BrainMethod, brain_mask
from hemaview.imaging.preprocessing.denoise import DenoiseMethod
from hemaview.imaging.preprocessing.normalise import NormaliseMethod
from hemaview.imaging.preprocessing.registration import RigidMove, aligned, register_rigid, registration_settings
from hemaview.imaging.preprocessing.steps import (
    STEP_KINDS,
    BiasFieldStep,
    BrainStep,
    ContrastStep,
    DenoiseStep,
    NormaliseStep,
    Prepared,
    Step,
    apply_steps,
    step_from_json,
    step_to_json,
)

__all__ = [
    "STEP_KINDS",
    "BiasFieldStep",
    "BrainMask",
    "BrainMethod",
    "BrainStep",
    "ContrastStep",
    "DenoiseMethod",
    "DenoiseStep",
    "NormaliseMethod",
    "NormaliseStep",
    "Prepared",
    "RigidMove",
    "Step",
    "aligned",
    "apply_steps",
    "brain_mask",
    "register_rigid",
    "registration_settings",
    "step_from_json",
    "step_to_json",
]
