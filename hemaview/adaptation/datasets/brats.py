"""Folders of the Brain Tumour Segmentation challenge (BraTS), 2013 to 2024, one folder per case.

The masks hold several labels, and label 3 changed its meaning in 2023:

| years        | 1                       | 2      | 3                   | 4         |
|--------------|-------------------------|--------|---------------------|-----------|
| 2013 to 2016 | necrosis                | oedema | non-enhancing tumour| enhancing |
| 2017 to 2021 | necrosis, non-enhancing | oedema | -                   | enhancing |
| from 2023    | necrosis, non-enhancing | oedema | enhancing           | (cavity)  |

Tumours are no haematomas: a model trained on them must say so.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from hemaview.adaptation.datasets.labelled import DataError, LabelledScan
from hemaview.imaging import LabelMap, Modality, Volume
from hemaview.imaging.reading import read_scan


class Region(StrEnum):
    """Which union of labels stands for the lesion."""

    WHOLE = "whole"
    CORE = "core"
    ENHANCING = "enhancing"


@dataclass(frozen=True)
class _Era:
    """How files are called in some years, and which labels make up each region; () means every label above zero."""

    years: str
    sequences: dict[str, re.Pattern[str]]
    mask: re.Pattern[str]
    labels: dict[Region, tuple[int, ...]]
    timepoint: re.Pattern[str]


def _names(pattern: str, words: dict[str, str]) -> dict[str, re.Pattern[str]]:
    return {sequence: re.compile(pattern % word, re.IGNORECASE) for sequence, word in words.items()}


_SUFFIX = r"(\.nii(\.gz)?|\.mha|\.nrrd)$"
_ERAS = (
    _Era(
        "2023 or later",
        _names(r"-%s" + _SUFFIX, {"flair": "t2f", "t1": "t1n", "t1c": "t1c", "t2": "t2w"}),
        re.compile(r"-seg" + _SUFFIX, re.IGNORECASE),
        # 4 is the cavity after an operation, which is no tumour.
        {Region.WHOLE: (1, 2, 3), Region.CORE: (1, 3), Region.ENHANCING: (3,)},
        re.compile(r"-\d{3}$"),
    ),
    _Era(
        "2017 to 2021",
        _names(r"_%s" + _SUFFIX, {"flair": "flair", "t1": "t1", "t1c": "t1(ce|gd)", "t2": "t2"}),
        re.compile(r"_seg(m)?" + _SUFFIX, re.IGNORECASE),
        {Region.WHOLE: (), Region.CORE: (1, 4), Region.ENHANCING: (4,)},
        re.compile(r"_\d{1,2}$"),
    ),
    _Era(
        "2013 to 2016",
        _names(r"MR_%s(\..*)?" + _SUFFIX, {"flair": "flair", "t1": "t1", "t1c": "t1c", "t2": "t2"}),
        re.compile(r"\.OT(\..*)?" + _SUFFIX, re.IGNORECASE),
        {Region.WHOLE: (), Region.CORE: (1, 3, 4), Region.ENHANCING: (4,)},
        re.compile(r"(?<=pat\d{4})_\d+$"),
    ),
)
DEFAULT_SEQUENCE = {Region.WHOLE: "flair", Region.CORE: "t1c", Region.ENHANCING: "t1c"}
"""The sequence on which each region is drawn."""


def brats_scans(
    root: Path, region: Region = Region.WHOLE, sequences: Sequence[str] | None = None
) -> tuple[LabelledScan, ...]:
    """Every case below ``root`` in the named ``sequences`` ("flair", "t1", "t1c", "t2"; default: the region's own).

    A case is a folder with a mask; in the years to 2016 each file lies in a folder of its own inside it. Follow-up
    scans ("-001" behind the patient's number from 2023, "_2" before) belong to one patient. Raises ``DataError`` where
    there is no case, where one lacks the sequence asked for, or for an unknown sequence.
    """
    wanted = tuple(sequences) if sequences else (DEFAULT_SEQUENCE[region],)
    known = tuple(_ERAS[0].sequences)
    for sequence in wanted:
        if sequence not in known:
            raise DataError(f'BraTS has no sequence called "{sequence}"; choose from {", ".join(known)}.')
    if not root.is_dir():
        raise DataError(f"There is no folder {root}; name the folder that holds the BraTS cases.")
    found: list[LabelledScan] = []
    for folder, files, era, mask in _cases(root):
        for sequence in wanted:
            image = next((file for file in files if era.sequences[sequence].search(file.name)), None)
            if image is None:
                raise DataError(
                    f"The BraTS case {folder.name} has no {sequence} scan; choose another sequence or take it out."
                )
            found.append(_scan(folder, image, mask, sequence, region, era))
    if not found:
        raise DataError(
            f"No BraTS case was found in {root}; name the folder that holds one folder per case, "
            "each with its scans and a mask ('seg' or 'OT')."
        )
    return tuple(found)


def _cases(root: Path) -> Iterator[tuple[Path, list[Path], _Era, Path]]:
    folders = [root, *sorted(path for path in root.rglob("*") if path.is_dir())]
    taken: set[Path] = set()
    for folder in folders:
        if folder.parent in taken:
            continue
        # Up to 2016 every file has its own folder: the case is the folder above.
        own = sorted(path for path in folder.iterdir() if path.is_file())
        nested = sorted(path for path in folder.glob("*/*") if path.is_file() and path.parent.name.startswith("VSD"))
        files = own + nested
        for era in _ERAS:
            masks = [file for file in files if era.mask.search(file.name)]
            if masks and any(pattern.search(file.name) for pattern in era.sequences.values() for file in files):
                taken.add(folder)
                yield folder, files, era, masks[0]
                break


def _scan(folder: Path, image: Path, mask: Path, sequence: str, region: Region, era: _Era) -> LabelledScan:
    # In 2013 two patients are called 0001, one below HG and one below LG.
    name = f"{folder.parent.name}-{folder.name}" if folder.name.isdigit() else folder.name
    patient = era.timepoint.sub("", name)
    return LabelledScan(
        patient=patient,
        case=f"{name} {sequence}",
        sequence=sequence,
        origin=f"BraTS {era.years}, {region} tumour (labels {_words(era.labels[region])})",
        read=functools.partial(_read, image, mask, era.labels[region], f"{name} {sequence}"),
    )


def _words(labels: tuple[int, ...]) -> str:
    return "+".join(map(str, labels)) if labels else "above 0"


def _read(image: Path, mask: Path, labels: tuple[int, ...], case: str) -> tuple[Volume, LabelMap]:
    volume, drawn = read_scan(image), read_scan(mask)
    if not volume.geometry.matches(drawn.geometry, tolerance_mm=0.5):
        raise DataError(f"The mask of {case} does not lie on its scan; fetch the case again.")
    values = np.rint(drawn.array).astype(np.int32)
    chosen = np.isin(values, labels) if labels else values > 0
    return replace(volume, modality=Modality.MR, name=case), LabelMap(chosen, volume.geometry)
