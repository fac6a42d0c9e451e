"""What changes of a mask are as entries of the journal: which voxels flip and which slices a hand has drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hemaview.case.patches import MaskPatch, Region, hull, region_shape
from hemaview.case.records import prompt_to_json
from hemaview.case.state import Work
from hemaview.imaging import LabelMap
from hemaview.segmentation import FixedSlice, Prompt


def patch_to(work: Work, region: Region, values: NDArray[np.bool_]) -> MaskPatch | None:
    """The patch after which the mask is ``values`` in ``region`` and empty elsewhere; None when nothing changes."""
    whole = hull(work.extent, region) or region
    after = np.zeros(region_shape(whole), dtype=np.bool_)
    inner = tuple(slice(r.start - w.start, r.stop - w.start) for r, w in zip(region, whole, strict=True))
    after[inner] = values
    return MaskPatch.between(None if work.mask is None else work.mask.array[whole], after, whole)


def changed_slices(patch: MaskPatch) -> tuple[int, ...]:
    """The slices k in which a voxel flips."""
    first = patch.region[0].start
    return tuple(int(k) + first for k in np.flatnonzero(patch.flips().any(axis=(1, 2))))


def drawn_by_hand(work: Work, patch: MaskPatch) -> dict[str, Any]:
    """The marks after an edit by hand: the slices it touched join those drawn before."""
    slices = sorted({*work.marks.edited_slices, *changed_slices(patch)})
    return {"edited": True, "edited_slices": slices, "has_mask": True}


def answered(prompt: Prompt, made: dict[str, Any], fixed: tuple[int, ...]) -> dict[str, Any]:
    """The marks after an engine's answer: slices that were fixed for it stay the hand's."""
    return {
        "prompt": prompt_to_json(prompt),
        "segmentation": made,
        "edited": bool(fixed),
        "edited_slices": list(fixed),
        "has_mask": True,
    }


def fixed_slices(mask: LabelMap | None, slices: tuple[int, ...]) -> tuple[FixedSlice, ...]:
    """The slices as a hand left them, for an engine to keep."""
    return () if mask is None else tuple(FixedSlice(k, mask.array[k].copy()) for k in slices)
