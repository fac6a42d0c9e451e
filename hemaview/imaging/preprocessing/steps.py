"""The steps a scan can be prepared with, as records, and carrying them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hemaview.errors import ScanError
from hemaview.imaging.preprocessing.bias_field import ITERATIONS, correct_bias
from hemaview.imaging.preprocessing.brain_mask import BrainFinder, BrainMethod, brain_mask
from hemaview.imaging.preprocessing.contrast import CLIP, TILES, local_contrast
from hemaview.imaging.preprocessing.denoise import CURVATURE_ITERATIONS, DenoiseMethod, denoise
from hemaview.imaging.preprocessing.foreground import foreground
from hemaview.imaging.preprocessing.grids import Progress, part_of
from hemaview.imaging.preprocessing.normalise import NormaliseMethod, normalise
from hemaview.imaging.preprocessing.regions import Region, joined_with
from hemaview.imaging.volume import Volume

_AIR_HU = -1000.0

NOT_INSTALLED = "deepbet's networks are not installed; choose the brain mask by shape, or see the README."


@dataclass(frozen=True)
class BiasFieldStep:
    """N4: uneven brightness of an MR scan is divided out; boxes take no part in the estimate."""

    name: ClassVar[str] = "n4"
    title: ClassVar[str] = "Even out brightness (N4)"
    share: ClassVar[float] = 5.0
    for_display_only: ClassVar[bool] = False
    iterations: int = ITERATIONS

    def __post_init__(self) -> None:
        _check("iterations", self.iterations, 1, 500)


@dataclass(frozen=True)
class DenoiseStep:
    """Noise is smoothed while edges stay; ``iterations`` belong to the curvature flow."""

    name: ClassVar[str] = "denoise"
    title: ClassVar[str] = "Reduce noise"
    share: ClassVar[float] = 3.0
    for_display_only: ClassVar[bool] = False
    method: DenoiseMethod = DenoiseMethod.CURVATURE_FLOW
    iterations: int = CURVATURE_ITERATIONS

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", DenoiseMethod(self.method))
        _check("iterations", self.iterations, 1, 100)


@dataclass(frozen=True)
class BrainStep:
    """Everything outside the brain is set to background; boxes stay, because lobar clots reach the brain's edge."""

    name: ClassVar[str] = "brain"
    title: ClassVar[str] = "Remove the skull"
    share: ClassVar[float] = 8.0
    for_display_only: ClassVar[bool] = False
    method: BrainMethod = BrainMethod.SHAPE

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", BrainMethod(self.method))


@dataclass(frozen=True)
class NormaliseStep:
    """Values are counted from the centre of the brain's or head's, in units of their spread; boxes take no part."""

    name: ClassVar[str] = "normalise"
    title: ClassVar[str] = "Normalise values"
    share: ClassVar[float] = 0.5
    for_display_only: ClassVar[bool] = False
    method: NormaliseMethod = NormaliseMethod.ROBUST

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", NormaliseMethod(self.method))


@dataclass(frozen=True)
class ContrastStep:
    """Local contrast (CLAHE) for the eye alone; a model never sees it."""

    name: ClassVar[str] = "clahe"
    title: ClassVar[str] = "Local contrast (CLAHE)"
    share: ClassVar[float] = 2.0
    for_display_only: ClassVar[bool] = True
    clip: float = CLIP
    tiles: int = TILES

    def __post_init__(self) -> None:
        _check("clip", self.clip, 0.0, 1.0)
        _check("tiles", self.tiles, 1, 64)


Step = BiasFieldStep | DenoiseStep | BrainStep | NormaliseStep | ContrastStep

STEP_KINDS: tuple[type[Step], ...] = (BiasFieldStep, DenoiseStep, BrainStep, NormaliseStep, ContrastStep)
"""In the order in which they are carried out, whatever the order in which they were named."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan after its steps, on its own grid.

    ``display`` has all of them, ``model_input`` all that a model may see. ``notes`` are sentences for the user.
    """

    display: Volume
    model_input: Volume
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


def apply_steps(
    volume: Volume,
    steps: Sequence[Step],
    boxes: Sequence[Region] = (),
    *,
    find_brain: Mapping[BrainMethod, BrainFinder] | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Carry out ``steps`` on a scan; grid, name and modality stay, only values change.

    ``boxes`` are where the user says the haematoma is: left out of what is estimated and never cut away.
    ``find_brain`` holds further ways to find the brain. ``progress`` may raise ``Cancelled``. Raises ``ScanError``
    for a step that does not fit the scan, for one that is named twice, and for a way that is not there.
    """
    ordered = in_order(steps)
    total = sum(step.share for step in ordered) or 1.0
    finders = {BrainMethod.SHAPE: brain_mask, **(find_brain or {})}
    shown = model_input = volume
    brain: NDArray[np.bool_] | None = None
    notes: list[str] = []
    done = 0.0
    for step in ordered:
        part = part_of(progress, done / total, (done + step.share) / total)
        part(0.0)
        match step:
            case BiasFieldStep():
                shown = correct_bias(shown, boxes, iterations=step.iterations, progress=part)
            case DenoiseStep():
                shown = denoise(shown, step.method, iterations=step.iterations, progress=part)
            case BrainStep():
                if step.method not in finders:
                    raise ScanError(NOT_INSTALLED)
                # Looked for on the scan as it is: what was found must not depend on the other steps.
                found = finders[step.method](volume, part)
                brain = joined_with(found.array, boxes)
                notes += found.notes
                shown = _outside_removed(shown, brain)
            case NormaliseStep():
                shown = normalise(shown, foreground(volume) if brain is None else brain, boxes, step.method)
                if brain is not None:
                    shown = _outside_removed(shown, brain)
            case ContrastStep():
                shown = local_contrast(shown, clip=step.clip, tiles=step.tiles, progress=part)
        done += step.share
        part(1.0)
        if not step.for_display_only:
            model_input = shown
    for_model = tuple(step.name for step in ordered if not step.for_display_only)
    return Prepared(
        display=replace(shown, prepared=tuple(step.name for step in ordered)),
        model_input=replace(model_input, prepared=for_model),
        steps=ordered,
        notes=tuple(notes),
    )


def in_order(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps in the order in which they are carried out; ``ScanError`` when one is there twice."""
    kinds = [type(step) for step in steps]
    if len(set(kinds)) < len(kinds):
        raise ScanError("A step of the preparation is named twice; name each one once.")
    return tuple(sorted(steps, key=lambda step: STEP_KINDS.index(type(step))))


def step_to_json(step: Step) -> dict[str, Any]:
    """The step's name and settings in plain JSON types."""
    return {"step": step.name, **{key: _plain(value) for key, value in asdict(step).items()}}


def step_from_json(data: Mapping[str, Any]) -> Step:
    """Inverse of ``step_to_json``; ``ScanError`` for a step or setting that this program does not know."""
    settings = {key: value for key, value in data.items() if key != "step"}
    kind = next((kind for kind in STEP_KINDS if kind.name == data.get("step")), None)
    if kind is None:
        raise ScanError(f"There is no step '{data.get('step')}'; steps are {', '.join(k.name for k in STEP_KINDS)}.")
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        said = ", ".join(f"{key}={value}" for key, value in settings.items())
        raise ScanError(f"The step '{kind.name}' has no setting {said}; see 'hemaview prepare --help'.") from error


def _outside_removed(volume: Volume, brain: NDArray[np.bool_]) -> Volume:
    """The scan with everything outside the brain set to air's HU, or where values have no unit to the lowest inside."""
    lowest = _AIR_HU if volume.is_hounsfield else float(volume.array[brain].min())
    # Zero is what other programs expect round a brain that was cut out.
    background = lowest if volume.is_hounsfield or lowest < 0 else 0.0
    return replace(volume, array=np.where(brain, volume.array, np.asarray(background, volume.array.dtype)))


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} must lie between {least:g} and {most:g}")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value
