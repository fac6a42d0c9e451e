"""Where the slices of a stack lie along its axis: evenly, unevenly, with gaps, or not on a line at all.

Positions decide, never SliceThickness or SpacingBetweenSlices (METHODS 4.1). The step from slice to slice is kept as it
is, so a gantry tilt becomes a slanted axis, and gaps that differ become the place of every slice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaview.imaging.reading.dicom.wording import counted, listed

# How far a slice may lie from its place in an even stack: scanners round positions, they do not move slices.
_EVEN_MM, _EVEN_SHARE = 0.06, 0.02
# Positions rounded to 0.1 mm may lie this far beside the axis; no volume depends on it.
_SIDEWAYS_MM = 0.2
_NOTE_SHARE = 0.01
_SAME_MM, _SAME_SHARE = 0.01, 0.02
_MOST_JITTER_MM, _JITTER_SHARE = 0.15, 0.04
_MOST_RUNS = 4
_LEAST_RUN = 3
"""So many equal gaps in a row are a spacing of their own, and no slices that were lost one by one."""

# A gap this much wider than the others is no spacing: what lies in it was never seen.
_HOLE_TIMES, _HOLE_MM = 10.0, 25.0
_DECIMALS = 6


@dataclass(frozen=True)
class SlicePlaces:
    """The axis of a stack in LPS mm.

    ``step`` is the mean vector from slice to slice. ``along`` is the place of every slice on that axis in mm, first 0,
    or None where they are evenly spaced. ``notes`` are sentences for the user.
    """

    step: NDArray[np.float64]
    along: tuple[float, ...] | None
    notes: tuple[str, ...]


class NotOnALine(Exception):  # noqa: N818 - carries the reason to the caller, never to the user
    """The slices share no axis; ``str()`` is a clause that follows "because", ``slice`` the one to look at."""

    def __init__(self, clause: str, at: int) -> None:
        super().__init__(clause)
        self.slice = at


def place_slices(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> SlicePlaces:
    """The axis on which slices lie, ``positions`` (n, 3) in LPS mm in the order of the unit ``normal``, n > 1.

    Raises ``NotOnALine`` for slices at one place, shifted sideways against each other or with a hole between them.
    """
    gaps = np.diff(positions @ normal)
    if (at := repeated(gaps)).any():
        raise NotOnALine("several of its pictures lie at the same position", int(np.argmax(at)))
    if gaps.max() > max(_HOLE_MM, _HOLE_TIMES * _usual(gaps)):
        hole = int(np.argmax(gaps))
        raise NotOnALine(
            f"its slices leave a hole of {gaps[hole]:.4g} mm and are else {_usual(gaps):.4g} mm apart", hole
        )
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    size = float(np.linalg.norm(step))
    tolerance = max(_EVEN_MM, _EVEN_SHARE * size)
    along = (positions - positions[0]) @ step / size
    sideways = np.linalg.norm(positions - positions[0] - along[:, None] * step / size, axis=1)
    if np.max(sideways) > max(_SIDEWAYS_MM, tolerance):
        shift, at_slice = float(np.max(sideways)), int(np.argmax(sideways))
        raise NotOnALine(f"its slices are shifted sideways against each other by up to {shift:.3g} mm", at_slice)
    error = np.abs(along - np.arange(len(along)) * size)
    if np.max(error) > tolerance:
        places = tuple(round(float(p), _DECIMALS) for p in (0.0, *along[1:]))
        return SlicePlaces(step, places, (_describe_gaps(gaps),))
    if np.max(error) > max(0.01, _NOTE_SHARE * size):
        return SlicePlaces(
            step, None, (f"Slice positions are uneven by up to {np.max(error):.2g} mm; an even step was used.",)
        )
    return SlicePlaces(step, None, ())


def repeated(gaps: NDArray[np.float64], thickness: float | None = None) -> NDArray[np.bool_]:
    """Which of the gaps in mm between sorted pictures are none: two pictures of one place, whatever the others do.

    Scanners that follow the head's movement write slightly different positions every time they come to a place, far
    nearer to each other than slices of this ``thickness`` ever lie.
    """
    apart = gaps[gaps > _SAME_MM]
    if not apart.size:
        return np.ones(gaps.shape, dtype=np.bool_)
    jitter = min(_MOST_JITTER_MM, _JITTER_SHARE * (thickness or 0.0))
    return np.asarray(gaps <= max(_SAME_MM, _SAME_SHARE * float(np.median(apart)), jitter))


def _describe_gaps(gaps: NDArray[np.float64]) -> str:
    """What is uneven, in slices counted from 1 in the order of the grid."""
    missing = _missing(gaps)
    if missing:
        at = int(np.argmax(gaps))
        return (
            f"{counted(missing, 'slice is', 'slices are')} missing: slices {at + 1} and {at + 2} lie {gaps[at]:.4g} mm "
            f"apart instead of {_usual(gaps):.4g} mm; volumes use the true distances."
        )
    runs = _runs(gaps)
    if len(runs) > _MOST_RUNS:
        return (
            f"Slices are unevenly spaced, {gaps.min():.3g} to {gaps.max():.3g} mm apart; volumes use the true "
            "distances."
        )
    parts = (f"{gaps[first:last].mean():.3g} mm from slice {first + 1} to {last + 1}" for first, last in runs)
    return f"Slices are unevenly spaced: {listed(parts)}; volumes use the true distances."


def _usual(gaps: NDArray[np.float64]) -> float:
    return float(np.sort(gaps)[(len(gaps) - 1) // 2])


def _missing(gaps: NDArray[np.float64]) -> int:
    """How many slices an otherwise even stack lacks; 0 where its gaps are uneven in another way."""
    multiples = gaps / _usual(gaps)
    whole = np.round(multiples)
    lacking = int(np.sum(whole - 1))
    even = np.all(np.abs(multiples - whole) < 0.05) and np.all(whole >= 1)
    chosen = any(last - first >= _LEAST_RUN and whole[first] > 1 for first, last in _runs(gaps))
    return lacking if even and lacking <= len(gaps) and not chosen else 0


def _runs(gaps: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Neighbouring gaps that are the same, each run as (first gap, gap behind the last)."""
    runs = [(0, 1)]
    for n in range(1, len(gaps)):
        first = runs[-1][0]
        if abs(gaps[n] - gaps[first]) <= max(0.02, 0.02 * gaps[first]):
            runs[-1] = (first, n + 1)
        else:
            runs.append((n, n + 1))
    return runs
