"""The kind of scan that a name gives away: a protocol's, a series', a vendor's sequence or a file's."""

from __future__ import annotations

import re

from hemaview.imaging.sequence.kinds import Sequence

# The first that fits decides, so what is special comes before what it is a special form of: "t2_flair" before "t2".
_NAMES: tuple[tuple[Sequence, str], ...] = (
    (Sequence.MAP, r"(?:gre_)?field[ _-]?map\w*|b0[ _-]?map|t[12][ _-]?map\w*|cbf|cbv|mtt|ttp|t ?max|perf(?:usion)?"),
    (Sequence.MAP, r"asl|pcasl|fa[ _-]?map|colfa|fractional[ _-]aniso\w*"),
    (Sequence.ADC, r"d?adc(?:[ _-]?map)?|apparent[ _-]diffusion\w*"),
    (Sequence.PHASE, r"pha|phase|phs"),
    (Sequence.SWI, r"swi\w*|swan\w*|venobold|susceptib\w*|minip|mnip|mip_images\(sw\)"),
    (Sequence.ANGIO, r"tof\w*|mra|angio\w*|mip"),
    (Sequence.DWI, r"dwi\w*|diff|diffusion\w*|dti\w*|tracew?|ep_b\d+|b[ _-]?(?:500|800|1000|1500|2000|3000)s?"),
    (Sequence.T1, r"t1[ _-]?(?:flair|tirm)\w*"),
    (Sequence.FLAIR, r"(?:t2w?_?)?flair\w*|fla|t2f|dark[ _-]?fluid\w*|da-?fl"),
    (Sequence.T2STAR, r"t2(?:[ _-]?\*|[ _-]?star\w*|s|[ _-]stern)|t2w?[ _-]?(?:gre|ffe|fl2d|fl3d)\w*|medic|ha?emo|gre"),
    (Sequence.T1C, r"t1[wn]?[ _-]?(?:\+ ?c|c\+?|ce|gd|gad\w*|km|post\w*|contrast\w*)"),
    (Sequence.T1, r"t1\w*|mp2?rage\w*|mpr|bravo|tfl3d\w*|f?spgr\w*"),
    (Sequence.T2, r"t2\w*|ciss|fiesta\w*|tse2d\w*|frfse\w*|haste|stir\w*"),
    (Sequence.PD, r"pdw?|proton[ _-]density"),
    (Sequence.CT_CONTRAST, r"ce[ _-]?ct|cta|ct[ _-]?angio\w*"),
    (Sequence.CT, r"n[ce]{1,2}ct|ct"),
)
_START, _END = r"(?<![a-z0-9])(?:", r")(?![a-z0-9])"
_KINDS = tuple((sequence, re.compile(_START + names + _END)) for sequence, names in _NAMES)
_CONTRAST = re.compile(_START + r"\+ ?c|c\+|ce|gd|gad\w*|km|post|contrast\w*|kontrast\w*" + _END)


def sequence_in_name(*texts: str) -> Sequence | None:
    """The most special kind that any of ``texts`` names, or None. The texts themselves are not kept.

    ``texts`` are what protocols, series, pulse sequences or files are called, in English, German or as vendors do.
    """
    lowered = [text.lower() for text in texts]
    for sequence, pattern in _KINDS:
        if any(pattern.search(text) for text in lowered):
            if sequence is Sequence.T1 and any(_CONTRAST.search(text) for text in lowered):
                return Sequence.T1C
            if sequence is Sequence.CT and any(_CONTRAST.search(text) for text in lowered):
                return Sequence.CT_CONTRAST
            return sequence
    return None
