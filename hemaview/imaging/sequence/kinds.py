"""The kinds of head scan that HEMAVIEW tells apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hemaview.imaging.modality import Modality


class Sequence(StrEnum):
    """What a scan shows and how blood looks in it. The values are what the user reads and what files keep."""

    T1 = "T1"
    T1C = "T1c"
    T2 = "T2"
    FLAIR = "FLAIR"
    PD = "PD"
    T2STAR = "T2*"
    SWI = "SWI"
    DWI = "DWI"
    ADC = "ADC"
    PHASE = "phase"
    MAP = "map"
    ANGIO = "MR angiography"
    MR = "other MR"
    CT = "CT"
    CT_CONTRAST = "CT with contrast"
    UNKNOWN = "unknown"

    @property
    def modality(self) -> Modality:
        """The kind of machine that makes such scans."""
        if self is Sequence.UNKNOWN:
            return Modality.UNKNOWN
        return Modality.CT if self in (Sequence.CT, Sequence.CT_CONTRAST) else Modality.MR

    @classmethod
    def of(cls, modality: Modality) -> Sequence:
        """What is known of a scan of which only the modality is known."""
        return {Modality.MR: cls.MR, Modality.CT: cls.CT, Modality.UNKNOWN: cls.UNKNOWN}[modality]


@dataclass(frozen=True)
class SequenceGuess:
    """A sequence, what in the scan's header or name speaks for it, and whether that settles it.

    ``why`` is a clause for the user, without patient data and without free text of the header. ``certain`` is True
    only where the header states the kind in a coded field; times, names and values make a guess.
    """

    sequence: Sequence = Sequence.UNKNOWN
    why: str = "nothing in the file says what kind of scan it is"
    certain: bool = False

    @classmethod
    def of(cls, modality: Modality) -> SequenceGuess:
        """What is known of a scan of which only the modality is known."""
        if modality is Modality.UNKNOWN:
            return cls()
        return cls(Sequence.of(modality), f"it is a scan by {modality}, and nothing says more")

    @classmethod
    def chosen(cls, sequence: Sequence) -> SequenceGuess:
        """What the user says it is."""
        return cls(sequence, "chosen by the user", certain=True)
