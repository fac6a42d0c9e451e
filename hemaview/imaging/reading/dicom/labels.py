"""What a series is called: technical facts alone, nothing of the patient and no free text of the header."""

from __future__ import annotations

from collections.abc import Sequence

from hemaview.imaging.reading.dicom.header import Instance

_TIMES = (("TR", "repetition_time_ms"), ("TE", "echo_time_ms"), ("TI", "inversion_time_ms"))


def series_label(pictures: Sequence[Instance], part: Sequence[str] = ()) -> str:
    """For example "MR series 4 (3D GR, TR 2300, TE 2.9 ms), phase" where ``part`` is ("phase",)."""
    first = pictures[0]
    words = {"CT": _ct_words, "MR": _mr_words}.get(first.modality, _no_words)(pictures)
    number = f" {first.series_number}" if first.series_number is not None else ""
    detail = f" ({', '.join(words)})" if words else ""
    return ", ".join((f"{first.modality or 'DICOM'} series{number}{detail}", *part))


def _ct_words(pictures: Sequence[Instance]) -> list[str]:
    first = pictures[0]
    kernel = [f"kernel {first.technique['kernel']}"] if "kernel" in first.technique else []
    thick = sorted({picture.slice_thickness for picture in pictures if picture.slice_thickness})
    if not thick:
        return kernel
    return [*kernel, f"{thick[0]:.3g} mm" if len(thick) == 1 else f"{thick[0]:.3g} to {thick[-1]:.3g} mm"]


def _mr_words(pictures: Sequence[Instance]) -> list[str]:
    known = pictures[0].technique
    kind = " ".join(known[key] for key in ("acquisition", "sequence") if key in known)
    times = [f"{name} {float(known[key]):.4g}" for name, key in _TIMES if _is_time(known.get(key, ""))]
    return [*([kind] if kind else []), *times]


def _no_words(pictures: Sequence[Instance]) -> list[str]:
    return []


def _is_time(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
