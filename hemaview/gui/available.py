"""What there is to act upon: decides which actions can be used."""

from __future__ import annotations

from hemaview.case import Case
from hemaview.gui.aligning import align_targets
from hemaview.gui.deidentifying import is_dicom
from hemaview.gui.scan_details import mask_sources
from hemaview.gui.view_state import ViewState
from hemaview.segmentation.contract import Prompt


def available(case: Case | None, state: ViewState) -> set[str]:
    """The part of ``actions.NEEDS`` that is there."""
    if case is None:
        return set()
    scan, on_display = case.active_scan, state.volume is not None
    there = {
        "case": True,
        "scan": on_display,
        "measurable": on_display and scan is not None and scan.not_measurable is None,
        "prompt": case.prompt != Prompt(),
        "mask": case.mask is not None,
        "own mask": case.mask is not None and case.carried_from is None,
        "edited": bool(case.edited_slices),
        "review": state.review is not None and bool(state.review.to_review),
        "carry": bool(mask_sources(case)),
        "align": bool(align_targets(case)),
        "aligned": scan is not None and scan.alignment is not None and not case.read_only,
        "scans": len(case.scans) > 1,
        "dicom": is_dicom(scan),
        "missing": scan is not None and scan.problem is not None and not case.read_only,
        "prepared": on_display and scan is not None and scan.prepared is not None,
    }
    return {name for name, is_there in there.items() if is_there}
