"""The kind of scan that header and name speak for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hemaview.imaging.modality import Modality
from hemaview.imaging.sequence.kinds import Sequence, SequenceGuess
from hemaview.imaging.sequence.names import sequence_in_name
from hemaview.imaging.sequence.timing import positive, sequence_of_times

_NOTHING: Mapping[str, str] = MappingProxyType({})
_DIFFUSION_WEIGHTED = 50.0

_IMAGE_TYPES = (
    (Sequence.ADC, {"ADC", "EADC", "ADC_UNSPECIFIED"}),
    (Sequence.PHASE, {"P", "PHASE", "PHASE MAP", "PHASE_MAP", "REAL", "R", "IMAGINARY", "I"}),
    (Sequence.MAP, {"B0", "B0 MAP", "FIELD_MAP", "FA", "T1 MAP", "T2 MAP", "T2_STAR MAP", "CBF", "CBV", "MTT", "TTP"}),
    (Sequence.SWI, {"SWI", "SUSCEPTIBILITY", "MINIP", "MIN IP", "MNIP"}),
    (Sequence.ANGIO, {"TOF", "MIP", "MAX_IP", "ANGIO", "VELOCITY", "FLOW_ENCODED"}),
    (Sequence.DWI, {"DIFFUSION", "TRACEW", "TRACE", "ISOTROPIC", "DWI"}),
)
_CONTRASTS = {
    "T1": Sequence.T1,
    "T2": Sequence.T2,
    "T2_STAR": Sequence.T2STAR,
    "PROTON_DENSITY": Sequence.PD,
    "DIFFUSION": Sequence.DWI,
    "FLUID_ATTENUATED": Sequence.FLAIR,
    "FLOW_ENCODED": Sequence.ANGIO,
    "PERFUSION": Sequence.MAP,
    "TIME_OF_FLIGHT": Sequence.ANGIO,
}
_SPECIAL_FORMS = {
    (Sequence.T1, Sequence.T1C),
    (Sequence.T1, Sequence.ANGIO),
    (Sequence.T2, Sequence.FLAIR),
    (Sequence.T2STAR, Sequence.SWI),
}


def guess_sequence(modality: str, facts: Mapping[str, str] = _NOTHING) -> SequenceGuess:
    """What kind of scan a header describes; ``modality`` is DICOM's code ("MR", "CT", ...) or empty.

    ``facts`` has any of these, as text; values of the same tag are joined by "/":
    ``image_type`` (0008,0008), ``component`` (0008,9208), ``contrast`` (0008,9209), ``sequence`` (0018,0020),
    ``variant`` (0018,0021), ``acquisition`` (0018,0023), ``repetition_time_ms``, ``echo_time_ms``,
    ``inversion_time_ms``, ``flip_degrees``, ``b_value`` (s/mm2), ``contrast_agent`` ("yes" or absent) and ``named``,
    which is ``sequence_in_name`` of the header's names.
    """
    if modality == "CT":
        return _ct(facts)
    if modality not in ("", "MR"):
        return SequenceGuess(why=f"the file calls itself {modality}, which is neither CT nor MR")
    guess = _coded(facts) or _told_by_times_and_name(facts)
    if guess is not None:
        return _with_contrast(guess, facts)
    if modality == "MR":
        return SequenceGuess(Sequence.MR, "the header says MR but nothing about the kind of sequence")
    return SequenceGuess()


def guess_from_name(file_name: str, modality: Modality) -> SequenceGuess:
    """What kind of scan a file without such a header holds; ``modality`` is what its values look like."""
    named = sequence_in_name(file_name)
    if modality is Modality.CT:
        found = named if named is Sequence.CT_CONTRAST else Sequence.CT
        return SequenceGuess(found, "the values look like HU")
    if named is not None:
        return SequenceGuess(named, "the file is named after it")
    if modality is Modality.MR:
        return SequenceGuess(Sequence.MR, "the values look like MR and the name says no more")
    return SequenceGuess()


def _ct(facts: Mapping[str, str]) -> SequenceGuess:
    if facts.get("contrast_agent") == "yes":
        return SequenceGuess(Sequence.CT_CONTRAST, "the header says CT and names a contrast agent", certain=True)
    if facts.get("named") == Sequence.CT_CONTRAST:
        return SequenceGuess(Sequence.CT_CONTRAST, "the header says CT and the protocol is named after contrast")
    return SequenceGuess(Sequence.CT, "the header says CT and names no contrast agent", certain=True)


def _coded(facts: Mapping[str, str]) -> SequenceGuess | None:
    """What the coded fields say that leave no doubt."""
    image_type = {part.strip().upper() for part in facts.get("image_type", "").split("/")}
    component = facts.get("component", "").upper()
    if component in ("PHASE", "REAL", "IMAGINARY"):
        return SequenceGuess(Sequence.PHASE, f"the header says {component.lower()} picture", certain=True)
    # Philips writes what a picture is inside longer words, SW_M_FFE for the magnitude of SWI.
    image_type |= {"SWI" for part in image_type if part.startswith("SW_M")}
    for sequence, words in _IMAGE_TYPES:
        found = sorted(image_type & words)
        if found:
            return SequenceGuess(sequence, f"the header's image type says {found[0]}", certain=True)
    b_value = positive(facts, "b_value")
    if b_value is not None and b_value >= _DIFFUSION_WEIGHTED:
        return SequenceGuess(Sequence.DWI, f"the header gives a diffusion weight of b {b_value:g}", certain=True)
    return _coded_contrast(facts)


def _coded_contrast(facts: Mapping[str, str]) -> SequenceGuess | None:
    """Enhanced MR codes its weighting; what name or times make more special stays a guess."""
    contrast = facts.get("contrast", "").upper()
    if contrast not in _CONTRASTS:
        return None
    coded = _CONTRASTS[contrast]
    other = _told_by_times_and_name(facts)
    if other is not None and (coded, other.sequence) in _SPECIAL_FORMS:
        return other
    return SequenceGuess(coded, f"the header's contrast says {contrast}", certain=True)


def _told_by_times_and_name(facts: Mapping[str, str]) -> SequenceGuess | None:
    named = _named(facts.get("named", ""))
    timed = sequence_of_times(facts)
    if named is None:
        return timed
    if timed is not None and timed.sequence is named:
        return SequenceGuess(named, f"the protocol is named after it and {timed.why}")
    return SequenceGuess(named, "the protocol or series is named after it")


def _with_contrast(guess: SequenceGuess, facts: Mapping[str, str]) -> SequenceGuess:
    if guess.sequence is not Sequence.T1 or facts.get("contrast_agent") != "yes":
        return guess
    return SequenceGuess(Sequence.T1C, f"{guess.why}, and the header names a contrast agent", guess.certain)


def _named(value: str) -> Sequence | None:
    """The sequence that ``named`` holds; a name that speaks of CT says nothing about an MR scan."""
    try:
        found = Sequence(value)
    except ValueError:
        return None
    return found if found.modality is Modality.MR else None
