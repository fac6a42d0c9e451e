"""What pictures of one series can differ in, how each difference is named, and which of them part a series.

A trait gives every picture of a series a value as text; pictures whose values differ may belong to different stacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hemaview.imaging.reading.dicom.header import Instance
from hemaview.imaging.reading.dicom.verdicts import kind_of
from hemaview.imaging.reading.dicom.wording import natural_order

_SAME_ORIENTATION = 2e-3
_SAME_SPACING = 1e-3
_SAME_ECHO = 0.01
_LEAST_STACK = 4
_PLANES = ("sagittal", "coronal", "axial")
_MOST_PLANES = 6
_COMPONENTS = {
    "phase": {"P", "PHASE", "PHASE MAP", "PHASE_MAP"},
    "real": {"R", "REAL"},
    "imaginary": {"I", "IMAGINARY"},
}
# Philips writes the component into a longer word: M_FFE, SW_P_FFE, R_SE, I_IR.
_PHILIPS_COMPONENT = re.compile(r"(?:^|_)([MPRI])_(?:FFE|SE|IR|TSE|GRE|B0|B1|PCA)$")
_MADE_OF_OTHERS = {"ADC", "EADC", "FA", "TRACEW", "MPR", "SUBTRACTION", "T1 MAP", "T2 MAP", "T2_STAR MAP", "B0 MAP"}

Values = Callable[[Sequence[Instance]], Sequence[str]]


@dataclass(frozen=True)
class Trait:
    """One difference. ``key`` and ``word`` take the value: "te-{}" for uids, "TE {} ms" for the user's eyes.

    ``without`` stands for both where a picture has no value.
    """

    values: Values
    key: str
    word: str
    without: str

    def key_of(self, value: str) -> str:
        """A part of a uid: letters, digits, dots and dashes."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", self.key.format(value) if value else self.without).strip("-")

    def word_of(self, value: str) -> str:
        """What the user reads."""
        return self.word.format(value) if value else self.without


def _each(value: Callable[[Instance], str]) -> Values:
    return lambda pictures: [value(picture) for picture in pictures]


def _moment(name: str, digits: str = "") -> Values:
    return _each(lambda picture: _shortened(picture.moments.get(name, ""), digits))


def _technique(name: str, digits: str = "") -> Values:
    return _each(lambda picture: _shortened(picture.technique.get(name, ""), digits))


def _shortened(text: str, digits: str) -> str:
    if not digits or not text:
        return text
    try:
        return format(float(text), digits)
    except ValueError:
        return text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def component_of(picture: Instance) -> str:
    """ "phase", "real" or "imaginary"; empty for magnitude and for everything that is not said to be complex."""
    words = {*picture.image_type[2:], picture.technique.get("component", "").upper()}
    words |= {match[1] for word in words if (match := _PHILIPS_COMPONENT.search(word))}
    return next((name for name, known in _COMPONENTS.items() if words & known), "")


def _size(picture: Instance) -> str:
    return f"{picture.columns}x{picture.rows}"


def _colour(picture: Instance) -> str:
    return "colour" if picture.samples > 1 else picture.photometric.lower()


def _studies(pictures: Sequence[Instance]) -> list[str]:
    """Patient and study where a uid is shared by several."""
    patients = _where_several([p.study.patient for p in pictures])
    studies = _where_several([p.study.study for p in pictures])
    return [patient + study for patient, study in zip(patients, studies, strict=True)]


def _where_several(digests: list[str]) -> list[str]:
    """Shortened digests, or nothing where only one is met: files from which it was removed belong to it.

    Nothing, too, where every slice has its own, which some programs that remove names leave behind.
    """
    met = {*digests} - {""}
    is_each_its_own = len(met) == len(digests) and len(digests) >= _LEAST_STACK
    several = len(met) > 1 and not is_each_its_own
    return [digest[:4] if several else "" for digest in digests]


def _placements(pictures: Sequence[Instance]) -> list[str]:
    """Which of several frames of reference a picture's position is meant in, counted in the order of the pictures.

    One for nearly every picture is what some programs that remove names leave behind, and says nothing.
    """
    frames = [picture.moments.get("placement", "") for picture in pictures]
    met = list(dict.fromkeys(frame for frame in frames if frame))
    if not 1 < len(met) <= len(pictures) // 2:
        return [""] * len(pictures)
    return [str(met.index(frame) + 1) if frame else "" for frame in frames]


def made_of_others(picture: Instance) -> str:
    """The name of the map or reformat that a picture is, computed from others; empty for what a scanner acquired."""
    return next(iter(sorted(_MADE_OF_OTHERS.intersection(picture.image_type))), "").lower()


def _unplaced(picture: Instance) -> str:
    return "" if picture.position and picture.orientation else "without position"


def _planes(pictures: Sequence[Instance]) -> list[str]:
    """The plane of every picture, numbered where one plane is met at several angles."""
    groups = _clusters([p.orientation for p in pictures], lambda known, new: np.abs(known - new) <= _SAME_ORIENTATION)
    # Projections that turn around the head look in many directions and are no set of stacks.
    if len(set(groups)) > max(_MOST_PLANES, len(pictures) // 2):
        return [""] * len(pictures)
    names: dict[int, str] = {}
    for group, picture in sorted(zip(groups, pictures, strict=True), key=lambda pair: pair[1].instance_number or 0):
        if group not in names:
            names[group] = _numbered(_plane(picture), names.values())
    return [names[group] for group in groups]


def _plane(picture: Instance) -> str:
    if picture.orientation is None:
        return ""
    row, column = np.reshape(picture.orientation, (2, 3))
    return _PLANES[int(np.argmax(np.abs(np.cross(row, column))))]


def _numbered(name: str, taken: Iterable[str]) -> str:
    same = sum(1 for other in taken if other.split("-")[0] == name)
    return f"{name}-{same + 1}" if same and name else name


def _spacings(pictures: Sequence[Instance]) -> list[str]:
    groups = _clusters(
        [p.pixel_spacing for p in pictures], lambda known, new: np.abs(known - new) <= _SAME_SPACING * np.abs(known)
    )
    names: dict[int, str] = {}
    for group, picture in zip(groups, pictures, strict=True):
        names.setdefault(group, "x".join(_number(s) for s in reversed(picture.pixel_spacing or ())))
    return [names[group] for group in groups]


def _echo_times(pictures: Sequence[Instance]) -> list[str]:
    """Echo times in ms; those that follow each other closely are one echo that was written down unevenly."""
    stated = [picture.moments.get("echo", "") for picture in pictures]
    times = sorted({text for text in stated if _is_number(text)}, key=float)
    names: dict[str, str] = {}
    for before, text in pairwise(["", *times]):
        is_same = before and float(text) <= float(before) * (1 + _SAME_ECHO)
        names[text] = names[before] if is_same else _shortened(text, ".3g")
    return [names.get(text, text) for text in stated]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _clusters(
    points: Sequence[tuple[float, ...] | None], same: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> list[int]:
    """A number for every point: that of the first point it is the same as; -1 for None."""
    known: list[np.ndarray] = []
    seen: dict[tuple[float, ...] | None, int] = {None: -1}
    for point in points:
        if point not in seen and point is not None:
            array = np.asarray(point)
            seen[point] = next((n for n, other in enumerate(known) if same(other, array).all()), len(known))
            if seen[point] == len(known):
                known.append(array)
    return [seen[point] for point in points]


def _image_type(pictures: Sequence[Instance]) -> list[str]:
    """Those words of every image type that not all pictures share."""
    shared = set(pictures[0].image_type).intersection(*(p.image_type for p in pictures))
    return [" ".join(word.lower() for word in p.image_type if word not in shared) for p in pictures]


def _ranked(value: Callable[[Instance], str]) -> Values:
    """Values that say nothing by themselves, such as times of day and directions, counted from 1."""

    def ranks(pictures: Sequence[Instance]) -> list[str]:
        values = [value(picture) for picture in pictures]
        order = {v: str(n) for n, v in enumerate(sorted({*values} - {""}, key=natural_order), start=1)}
        return [order.get(v, "") for v in values]

    return ranks


def _file(picture: Instance) -> str:
    """The file of a picture that is one of several in it, in the order in which files were acquired."""
    if picture.frames <= 1 and picture.tile is None:
        return ""
    return f"{picture.moments.get('content', '')} {picture.source.name} {picture.sop_instance}"


OBJECTS: tuple[Trait, ...] = (
    Trait(_studies, "study-{}", "study {}", "no study"),
    Trait(_each(lambda p: str(p.series_number or "")), "series-{}", "", "no number"),
    Trait(_each(lambda p: p.modality), "{}", "", "no modality"),
    Trait(_each(lambda p: kind_of(p).value), "{}", "{}", ""),
)
"""Differences between series that only share a uid."""

SHAPES: tuple[Trait, ...] = (
    Trait(_each(_size), "{}", "{} pixels", ""),
    Trait(_each(_colour), "{}", "{}", ""),
)
"""Differences that not even a pile of pictures can hold."""

GRIDS: tuple[Trait, ...] = (
    Trait(_each(component_of), "{}", "{}", "magnitude"),
    Trait(_each(made_of_others), "{}", "{}", "original"),
    Trait(_each(_unplaced), "{}", "{}", "placed"),
    Trait(_placements, "placement-{}", "placement {}", "unknown placement"),
    Trait(_moment("stack"), "stack-{}", "stack {}", "no stack"),
    Trait(_planes, "{}", "{}", "rotated"),
    Trait(_spacings, "{}mm", "{} mm pixels", "no pixel spacing"),
)
"""Differences that no grid can hold."""

CONTRASTS: tuple[Trait, ...] = (
    Trait(_echo_times, "te-{}", "TE {} ms", "no TE"),
    Trait(_moment("b-value", ".6g"), "b-{}", "b {}", "no b"),
    Trait(_moment("time"), "time-{}", "time point {}", "no time"),
)
"""Differences of meaning: each value that several pictures share makes a stack, even where places do not repeat."""

REPEATS: tuple[Trait, ...] = (
    *CONTRASTS,
    Trait(_moment("label"), "{}", "{}", "no label"),
    Trait(_ranked(lambda p: p.moments.get("direction", "")), "direction-{}", "direction {}", "no direction"),
    Trait(_technique("inversion_time_ms", ".4g"), "ti-{}", "TI {} ms", "no TI"),
    Trait(_technique("flip_degrees", ".4g"), "flip-{}", "flip angle {}", "no flip angle"),
    Trait(_technique("kernel"), "kernel-{}", "kernel {}", "no kernel"),
    Trait(_technique("kv", ".4g"), "{}kv", "{} kV", "no kV"),
    Trait(_each(lambda p: _number(p.slice_thickness)), "{}mm-thick", "{} mm thick", "no thickness"),
    Trait(_moment("trigger", ".4g"), "trigger-{}", "{} ms after the trigger", "no trigger"),
    Trait(_image_type, "{}", "{}", "plain"),
    Trait(_ranked(lambda p: p.moments.get("clock", "")), "time-{}", "time point {}", "no time"),
    Trait(_moment("acquisition"), "acquisition-{}", "acquisition {}", "no acquisition"),
    Trait(_ranked(_file), "set-{}", "set {}", "single"),
)
"""Differences that part a series where several of its pictures lie at one place, the most telling first."""
