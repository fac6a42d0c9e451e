"""What a series is called: technical facts alone, nothing of the patient and no free text of the header."""

from __future__ import annotations

from collections.abc import Sequence

from hemaview.imaging.reading.dicom.header import Instance

_TIMES = (("TR", "repetition_time_ms"), ("TE", "echo_time_ms"), ("TI", "inversion_time_ms"))


def series_label(pictures: Sequence[Instance], part: Sequence[str] = ()) -> str:
    """For example "MR series 4 (3D GR, TR 2300, TE 2.9 ms), phase" where ``part`` is ("phase",)."""
    first = pictures[0]
    words = {"CT": _ct_words, "MR": _mr_words}.get(first.modality, _no_words)(first)
    number = f" {first.series_number}" if first.series_number is not None else ""
    detail = f" ({', '.join(words)})" if words else ""
    return ", ".join((f"{first.modality or 'DICOM'} series{number}{detail}", *part))


def _ct_words(first: Instance) -> list[str]:
    kernel = [f"kernel {first.technique['kernel']}"] if "kernel" in first.technique else []
    return [*kernel, f"{first.slice_thickness:.3g} mm"] if first.slice_thickness else kernel


def _mr_words(first: Instance) -> list[str]:
    kind = " ".join(first.technique[key] for key in ("acquisition", "sequence") if key in first.technique)
    times = [
        f"{name} {float(first.technique[key]):.4g}" for name, key in _TIMES if _is_time(first.technique.get(key, ""))
    ]
    return [*([kind] if kind else []), *times]


def _no_words(first: Instance) -> list[str]:
    return []


def _is_time(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False
