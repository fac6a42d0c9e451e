"""The weighting that echo, repetition and inversion time make, for MR scans that do not name it."""

from __future__ import annotations

from collections.abc import Mapping

from hemaview.imaging.sequence.kinds import Sequence, SequenceGuess

_LONG_TE, _SHORT_TE = 60.0, 25.0
_LONG_TR, _SHORT_TR = 1800.0, 1100.0
_FLUID_NULLED_TI = (1400.0, 3000.0)
_FAT_NULLED_TI = 260.0
_SUSCEPTIBLE_TE, _SWI_TE = 12.0, 18.0


def sequence_of_times(facts: Mapping[str, str]) -> SequenceGuess | None:
    """The weighting of a spin or gradient echo with these times in ms, or None where they do not settle it.

    Limits are those of textbooks on cranial MR at 1.5 and 3 T: T1 has short TE and TR (or an inversion pulse), T2 long
    ones, FLAIR nulls fluid with a TI of 1.4 to 3 s, and gradient echoes show susceptibility from a TE of 12 ms on.
    """
    echo, repetition = positive(facts, "echo_time_ms"), positive(facts, "repetition_time_ms")
    inversion = positive(facts, "inversion_time_ms")
    kinds = {kind.strip().upper() for kind in facts.get("sequence", "").split("/")}
    if echo is None or repetition is None:
        return None
    times = f"TR {repetition:g}, TE {echo:g}" + (f", TI {inversion:g} ms" if inversion else " ms")
    found = _inversion_weighted(echo, inversion) if inversion is not None else None
    if found is None:
        found = _gradient_echo(echo, repetition, facts) if "GR" in kinds else _spin_echo(echo, repetition, kinds)
    if found is None:
        return None
    return SequenceGuess(found, f"{times} suggest it")


def _inversion_weighted(echo: float, inversion: float) -> Sequence | None:
    if _FLUID_NULLED_TI[0] <= inversion <= _FLUID_NULLED_TI[1] and echo >= _LONG_TE:
        return Sequence.FLAIR
    if inversion > _FAT_NULLED_TI and echo <= _SHORT_TE:
        return Sequence.T1
    return None


def _gradient_echo(echo: float, repetition: float, facts: Mapping[str, str]) -> Sequence | None:
    """Flow-compensated thin 3D slices with a long echo are what SWI is made from."""
    if echo >= _SWI_TE and facts.get("acquisition", "").upper() == "3D" and repetition < 100:
        return Sequence.SWI
    if echo >= _SUSCEPTIBLE_TE:
        return Sequence.T2STAR
    steady = "SS" in facts.get("variant", "").upper().split("/") and "SP" not in facts.get("variant", "").upper()
    return None if steady else Sequence.T1


def _spin_echo(echo: float, repetition: float, kinds: set[str]) -> Sequence | None:
    if "EP" in kinds and "SE" not in kinds:
        return Sequence.T2STAR
    if echo >= _LONG_TE and repetition >= _LONG_TR:
        # A spin-echo planar picture without b-value is one of a diffusion series.
        return Sequence.DWI if "EP" in kinds else Sequence.T2
    if echo <= _SHORT_TE:
        if repetition <= _SHORT_TR:
            return Sequence.T1
        return Sequence.PD if repetition >= _LONG_TR else None
    return None


def positive(facts: Mapping[str, str], name: str) -> float | None:
    """The first number of a fact where it is above zero; DICOM writes 0 for "none"."""
    try:
        value = float(facts.get(name, "").split("/")[0])
    except ValueError:
        return None
    return value if value > 0 else None
