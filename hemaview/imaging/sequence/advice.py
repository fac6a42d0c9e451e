"""What each kind of scan does to a measurement, in sentences for the user."""

from __future__ import annotations

from hemaview.imaging.sequence.kinds import Sequence

_BLOOMING = (
    "Blood looks larger than it is on {sequence} (blooming), so its volume comes out too large; "
    "measure on CT, T1, T2 or FLAIR where there is one."
)
_NOT_A_PICTURE = "A scan of the kind '{sequence}' does not show blood as it lies, so do not measure a haematoma on it."
_ENHANCEMENT = "After contrast medium, what enhances looks like blood; compare with a scan without contrast."

_ADVICE = {
    Sequence.T2STAR: _BLOOMING,
    Sequence.SWI: _BLOOMING,
    Sequence.ADC: _NOT_A_PICTURE,
    Sequence.PHASE: _NOT_A_PICTURE,
    Sequence.MAP: _NOT_A_PICTURE,
    Sequence.ANGIO: _NOT_A_PICTURE,
    Sequence.DWI: "Diffusion pictures are distorted, most of all beside blood and bone, so shape and volume are rough.",
    Sequence.T1C: _ENHANCEMENT,
    Sequence.CT_CONTRAST: _ENHANCEMENT,
}


def measuring_advice(sequence: Sequence) -> tuple[str, ...]:
    """What has to be known beside every number measured on such a scan; mostly nothing."""
    found = _ADVICE.get(sequence)
    return () if found is None else (found.format(sequence=sequence),)
