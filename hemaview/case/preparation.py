"""How a scan of a case was prepared for the eye or for the model; what is measured stays the scan itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hemaview.case.patches import Region, region_from_json, region_to_json
from hemaview.errors import CaseError, HemaviewError
from hemaview.imaging import Geometry, Volume
from hemaview.imaging.preprocessing import BrainMethod, Prepared, Step, apply_steps, step_from_json, step_to_json
from hemaview.imaging.preprocessing.grids import Progress
from hemaview.segmentation import Prompt
from hemaview.segmentation.deepbet import deepbet_brain_mask, is_installed


@dataclass(frozen=True)
class Preparation:
    """Steps, and what their result is used for.

    ``boxes`` are the voxels ``(k, j, i)`` that were left out of what the steps estimate: those of the user's boxes
    when the scan was prepared, so that the same values come out again whenever it is reopened.
    """

    steps: tuple[Step, ...]
    boxes: tuple[Region, ...] = ()
    for_display: bool = True
    for_model: bool = False

    @property
    def text(self) -> str:
        """The steps' names, for a line of text."""
        return ", ".join(step.name for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "steps": [step_to_json(step) for step in self.steps],
            "boxes": [region_to_json(box) for box in self.boxes],
            "display": self.for_display,
            "model": self.for_model,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], geometry: Geometry) -> Preparation:
        """Inverse of ``to_json``; ``CaseError`` for steps that this program does not know."""
        try:
            return cls(
                steps=tuple(step_from_json(step) for step in data["steps"]),
                boxes=tuple(region_from_json(box, geometry.shape) for box in data["boxes"]),
                for_display=bool(data["display"]),
                for_model=bool(data["model"]),
            )
        except HemaviewError as error:
            raise CaseError(
                "The case's record of a scan's preparation is damaged or newer than this program."
            ) from error


def boxes_of(prompt: Prompt, geometry: Geometry) -> tuple[Region, ...]:
    """The voxels of a prompt's boxes, as a preparation leaves them out."""
    return tuple(box.voxel_slices(geometry) for box in prompt.boxes)


def prepare(volume: Volume, preparation: Preparation, progress: Progress | None = None) -> Prepared:
    """Carry out a preparation; the same values on every run. Raises ``ScanError`` and what ``progress`` raises."""
    finders = {BrainMethod.DEEPBET: deepbet_brain_mask} if is_installed() else {}
    return apply_steps(volume, preparation.steps, preparation.boxes, find_brain=finders, progress=progress)
