"""The words round the three volumes; no Qt in it."""

from __future__ import annotations

from collections.abc import Sequence

from hemaview.volumetry import Reading, ReadingKind, TadaMeasurement

TITLES = {
    ReadingKind.DIRECT: "Direct",
    ReadingKind.TADA: "Tada ABC/2",
    ReadingKind.CORRECTED: "Corrected",
}
EXPLANATIONS = {
    ReadingKind.DIRECT: "Voxels of the mask times the volume of one voxel.",
    ReadingKind.TADA: "Half of the product of three diameters, as measured by hand on film.",
    ReadingKind.CORRECTED: "Direct volume, corrected for the bias of this model on its held-out phantoms.",
}

_AGREEMENT = 0.05
_VARIANTS = (
    ("abc_2_weighted", "ABC/2, weighted slices"),
    ("abc_3", "ABC/3"),
    ("ellipsoid", "Ellipsoid π/6·ABC"),
    ("two_thirds_sh", "2/3·S·H"),
)


def value_text(reading: Reading) -> str:
    """The value in mL with one decimal (two below 1 mL), or a dash."""
    if reading.value_ml is None:
        return "–"
    return f"{reading.value_ml:.2f}" if abs(reading.value_ml) < 1 else f"{reading.value_ml:.1f}"


def interval_text(reading: Reading) -> str:
    """The 90 % interval in words; empty without one."""
    if reading.interval_ml is None:
        return ""
    low, high = reading.interval_ml
    decimals = 2 if high < 1 else 1
    return f"90 % interval {low:.{decimals}f} – {high:.{decimals}f} mL"


def disagreement(readings: Sequence[Reading]) -> str:
    """One line on how far Tada and the corrected volume lie from the direct one, and why; empty without values."""
    by_kind = {reading.kind: reading.value_ml for reading in readings}
    direct, tada, corrected = (by_kind.get(kind) for kind in ReadingKind)
    if not direct:
        return ""
    parts = []
    if tada is not None:
        change = tada / direct - 1
        if abs(change) < _AGREEMENT:
            parts.append("Tada agrees with the direct volume within 5 %.")
        else:
            above = change > 0
            why = "it takes the haematoma for a full ellipsoid" if above else "it misses what bulges past A, B and C"
            size = f"{abs(tada - direct):.1f} mL ({change:+.0%}) {'above' if above else 'below'}"
            parts.append(f"Tada is {size} direct: {why}.")
    if corrected is not None and abs(corrected / direct - 1) >= _AGREEMENT:
        change = corrected / direct - 1
        size = "too small" if change > 0 else "too large"
        parts.append(f"The model is expected to draw {size} here by {abs(change):.0%}.")
    return " ".join(parts)


def shared_sentences(readings: Sequence[Reading]) -> tuple[str, ...]:
    """The reason that no reading has a value, or the warnings that all readings with a value have."""
    reasons = {reading.reason for reading in readings if reading.value_ml is None and reading.reason}
    measured = [reading for reading in readings if reading.value_ml is not None]
    if not measured:
        return tuple(reasons) if len(reasons) == 1 else ()
    first, *others = measured
    return tuple(w for w in first.warnings if others and all(w in other.warnings for other in others))


def tada_facts(tada: TadaMeasurement) -> list[tuple[str, str]]:
    """A, B, C and the variants of the formula, as names and values."""
    slices = "1 slice" if tada.slices == 1 else f"{tada.slices} slices"
    facts = [
        ("A, longest diameter", f"{tada.a_mm:.1f} mm"),
        ("B, at right angles to A", f"{tada.b_mm:.1f} mm"),
        ("C, height", f"{tada.c_mm:.1f} mm ({slices})"),
        ("Measured on", f"{tada.plane} slice {tada.slice_index + 1}"),
    ]
    facts += [(title, f"{tada.variants[name]:.1f} mL") for name, title in _VARIANTS if name in tada.variants]
    return facts


def clipboard_text(readings: Sequence[Reading]) -> str:
    """The volumes as lines for a letter or a table."""
    lines = []
    for reading in readings:
        value = "not defined" if reading.value_ml is None else f"{value_text(reading)} mL"
        extra = interval_text(reading) or reading.reason or ""
        lines.append(f"{TITLES[reading.kind]}\t{value}\t{extra}".rstrip())
    return "\n".join(lines)
