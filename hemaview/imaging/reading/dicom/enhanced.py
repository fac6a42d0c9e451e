"""Frames of enhanced CT and MR objects: each with its own functional groups (PS3.3 C.7.6.16), or the shared ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from hemaview.imaging.reading.dicom.elements import decimal, first_item, floats, is_no_number, items, text, texts
from hemaview.imaging.reading.dicom.header import SCALE_TAGS, Instance

ENHANCED_TAGS = (
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "EchoPulseSequence",
    "EchoPlanarPulseSequence",
)
"""What ``enhanced_frames`` needs of a header."""

_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence")
_CONVERTED = ("UnassignedPerFrameConvertedAttributesSequence", "UnassignedSharedConvertedAttributesSequence")
_PHILIPS_STACK, _PHILIPS_SCALE_SLOPE = (0x2005, 0x140F), (0x2005, 0x100E)
_NOTHING = Dataset()
_PULSES = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}
_COMPONENTS = ("MAGNITUDE", "PHASE", "REAL", "IMAGINARY")


@dataclass(frozen=True)
class _Groups:
    """The functional groups that hold for one frame: its own before the shared ones."""

    own: Dataset
    shared: Dataset

    def find(self, *names: str | tuple[int, int]) -> Dataset:
        """The item of the first group among ``names`` that is there, else an empty one."""
        for name in names:
            for groups in (self.own, self.shared):
                found = first_item(groups, name)
                if found is not None:
                    return found
        return _NOTHING


def enhanced_frames(instance: Instance, dataset: Dataset) -> tuple[Instance, ...]:
    """One Instance per item of the per-frame functional groups, in the order of the frames; none without them.

    Where no group gives a value, the one in the file's own header stays: some scanners, and programs that convert
    single images, write it there.
    """
    shared = first_item(dataset, "SharedFunctionalGroupsSequence") or _NOTHING
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
    sequence = _pulse_sequence(dataset)
    if sequence and "sequence" not in instance.technique:
        instance = replace(instance, technique={**instance.technique, "sequence": sequence})
    if len(per_frame) == 1:
        return (_picture(instance, _Groups(per_frame[0], shared), 0),)
    unplaced = replace(instance, position=None)
    return tuple(
        _picture(replace(unplaced, instance_number=index + 1), _Groups(own, shared), index)
        for index, own in enumerate(per_frame)
    )


def _pulse_sequence(dataset: Dataset) -> str:
    """The sequence in the words that single images use for it (Scanning Sequence): "SE/EP"."""
    planar = ("EP",) if text(dataset, "EchoPlanarPulseSequence").upper() == "YES" else ()
    return "/".join((*_PULSES.get(text(dataset, "EchoPulseSequence").upper(), ()), *planar))


def _picture(instance: Instance, groups: _Groups, index: int) -> Instance:
    measures = groups.find("PixelMeasuresSequence")
    place, direction = groups.find("PlanePositionSequence"), groups.find("PlaneOrientationSequence")
    thickness = decimal(measures, "SliceThickness")
    scale = decimal(groups.find(_PHILIPS_STACK), _PHILIPS_SCALE_SLOPE)
    picture = replace(
        instance,
        frame=index,
        image_type=_image_type(groups) or instance.image_type,
        position=floats(place, "ImagePositionPatient", 3) or instance.position,
        orientation=floats(direction, "ImageOrientationPatient", 6) or instance.orientation,
        pixel_spacing=floats(measures, "PixelSpacing", 2) or instance.pixel_spacing,
        slice_thickness=instance.slice_thickness if thickness is None else thickness,
        scale_slope=instance.scale_slope if scale is None else scale,
        moments={**instance.moments, **_moments(groups)},
        technique=_technique(instance, groups),
    )
    return _rescaled(picture, groups)


def _image_type(groups: _Groups) -> tuple[str, ...]:
    """FrameType, and the component of a complex picture where it is named only elsewhere."""
    frame_type = groups.find(*_FRAME_TYPES)
    words = tuple(word.upper() for word in texts(frame_type, "FrameType"))
    component = text(frame_type, "ComplexImageComponent").upper()
    return (*words, component) if words and component in _COMPONENTS and component not in words else words


def _rescaled(picture: Instance, groups: _Groups) -> Instance:
    """The picture with the frame's way from stored to meaningful values: the modality's, else the real-world one."""
    transformation = groups.find("PixelValueTransformationSequence")
    if any(is_no_number(transformation, key) for key in SCALE_TAGS):
        return replace(picture, is_scale_damaged=True)
    slope, intercept = decimal(transformation, "RescaleSlope"), decimal(transformation, "RescaleIntercept")
    if slope is not None or intercept is not None:
        rescale_type = text(transformation, "RescaleType").upper()
        return replace(picture, slope=slope, intercept=intercept, rescale_type=rescale_type or picture.rescale_type)
    if picture.slope is not None or picture.intercept is not None:
        return picture
    mapping = groups.find("RealWorldValueMappingSequence")
    return replace(
        picture,
        slope=decimal(mapping, "RealWorldValueSlope"),
        intercept=decimal(mapping, "RealWorldValueIntercept"),
    )


def _moments(groups: _Groups) -> dict[str, str]:
    """What tells frames at one place apart; only what is known."""
    diffusion = groups.find("MRDiffusionSequence")
    gradient = first_item(diffusion, "DiffusionGradientDirectionSequence") or _NOTHING
    converted = groups.find(*_CONVERTED)
    content, echo = groups.find("FrameContentSequence"), groups.find("MREchoSequence")
    sought = {
        "stack": text(content, "StackID"),
        "time": text(content, "TemporalPositionIndex")
        or text(groups.find("TemporalPositionSequence"), "TemporalPositionTimeOffset")
        or text(converted, "TemporalPositionIdentifier"),
        "acquisition": text(content, "FrameAcquisitionNumber") or text(converted, "AcquisitionNumber"),
        "clock": text(content, "FrameAcquisitionDateTime") or text(converted, "AcquisitionTime"),
        "trigger": text(groups.find("CardiacSynchronizationSequence"), "NominalCardiacTriggerDelayTime")
        or text(converted, "TriggerTime"),
        "echo": text(echo, "EffectiveEchoTime") or text(converted, "EchoTime"),
        "b-value": text(diffusion, "DiffusionBValue") or text(converted, "DiffusionBValue"),
        "direction": "/".join(texts(gradient, "DiffusionGradientOrientation"))
        or text(diffusion, "DiffusionDirectionality").upper(),
        "label": text(groups.find("MRArterialSpinLabelingSequence"), "ASLContext").upper(),
    }
    return {name: found for name, found in sought.items() if found}


def _technique(instance: Instance, groups: _Groups) -> dict[str, str]:
    """What the guess of the sequence and the series' label need, where the frame knows it better than the file."""
    timing, modifier = groups.find("MRTimingAndRelatedParametersSequence"), groups.find("MRModifierSequence")
    frame_type = groups.find(*_FRAME_TYPES)
    sequence = instance.technique.get("sequence", "")
    is_recovery = text(modifier, "InversionRecovery").upper() == "YES" and "IR" not in sequence.split("/")
    sought = {
        "image_type": "/".join(texts(frame_type, "FrameType")).upper(),
        "component": text(frame_type, "ComplexImageComponent").upper(),
        "contrast": text(frame_type, "AcquisitionContrast").upper(),
        "sequence": "/".join(filter(None, (sequence, "IR" if is_recovery else ""))),
        "repetition_time_ms": text(timing, "RepetitionTime"),
        "flip_degrees": text(timing, "FlipAngle"),
        "echo_time_ms": text(groups.find("MREchoSequence"), "EffectiveEchoTime"),
        "inversion_time_ms": text(modifier, "InversionTimes") or text(modifier, "InversionTime"),
        "b_value": text(groups.find("MRDiffusionSequence"), "DiffusionBValue"),
        "kernel": text(groups.find("CTReconstructionSequence"), "ConvolutionKernel"),
        "kv": text(groups.find("CTXRayDetailsSequence"), "KVP"),
    }
    return {**instance.technique, **{name: found for name, found in sought.items() if found}}
