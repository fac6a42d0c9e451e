"""The verdict on pictures that belong together: the grid they form, what can be done with it, and why not more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.stack import NotAStack, Stack, form_pile, form_stack
from hemaview.imaging.reading.dicom.verdicts import damage, look_only, refusal
from hemaview.imaging.reading.dicom.wording import counted, file_names
from hemaview.imaging.reading.summary import Verdict


@dataclass(frozen=True)
class Judgement:
    """``stack`` is None where there is nothing to see, ``reason`` None where everything can be measured."""

    stack: Stack | None
    reason: str | None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """What can be done."""
        if self.stack is None:
            return Verdict.REFUSED
        return Verdict.MEASURABLE if self.reason is None else Verdict.VIEWABLE


def judge(pictures: Sequence[Instance], broken: Collection[Instance] = ()) -> Judgement:
    """The judgement on the pictures of one part of a series; ``broken`` ones turned out not to be readable."""
    reasons = [refusal(picture) for picture in pictures]
    if all(reasons):
        return Judgement(None, reasons[0])
    is_left_out = [
        bool(why or damage(picture) or any(picture is other for other in broken))
        for picture, why in zip(pictures, reasons, strict=True)
    ]
    left_out = [picture for picture, is_out in zip(pictures, is_left_out, strict=True) if is_out]
    intact = [picture for picture, is_out in zip(pictures, is_left_out, strict=True) if not is_out]
    if not intact:
        why = damage(left_out[0]) or "cannot be read"
        return Judgement(None, f"{file_names(left_out[:1])} {why}; copy it again")
    stack, reason = _stacked(intact)
    return Judgement(stack, reason, (*stack.notes, *([_left_out(left_out)] if left_out else [])))


def _stacked(pictures: Sequence[Instance]) -> tuple[Stack, str | None]:
    """The stack of pictures, and why nothing may be measured on it."""
    reason = next((why for picture in pictures if (why := look_only(picture))), _unlike_scales(pictures))
    if reason is None:
        try:
            return form_stack(pictures), None
        except NotAStack as problem:
            reason = str(problem)
    return form_pile(pictures), reason


def _unlike_scales(pictures: Sequence[Instance]) -> str | None:
    """Why the values of pictures cannot be compared: some are rescaled, and others do not say how they should be."""
    for stated, neutral in (([p.slope for p in pictures], 1), ([p.intercept for p in pictures], 0)):
        silent = [picture for picture, number in zip(pictures, stated, strict=True) if number is None]
        if silent and any(number not in (None, neutral) for number in stated):
            return f"it does not say how the values of {file_names(silent)} are rescaled, unlike those of the others"
    return None


def _left_out(pictures: Sequence[Instance]) -> str:
    damaged = counted(len(pictures), "damaged picture was", "damaged pictures were")
    return f"{damaged} left out ({file_names(pictures)}); copy the series again to see the whole of it."
