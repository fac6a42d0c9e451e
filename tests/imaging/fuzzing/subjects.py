"""The files that are fuzzed, each with what has to lie beside it, and the trials of one of them."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
from fuzzing.mutants import mutants
from fuzzing.statements import states, states_places
from fuzzing.trial import FAULTS, End, Limits, Trial, try_reading

_PAIRS = ({"hdr", "img"}, {"head", "brik"}, {"par", "rec"}, {"nhdr", "raw"}, {"mhd", "raw"})
_LARGE = 3 << 20
_SHARE_OF_LARGE = 4


@dataclass(frozen=True)
class Fault:
    """A mutant that ended as it must not; ``number`` of the file's mutants makes it again."""

    number: int
    kind: str
    end: End
    text: str


@dataclass(frozen=True)
class Report:
    """What became of one file as it is and of its mutants."""

    name: str
    whole: Trial
    ends: dict[str, int]
    faults: tuple[Fault, ...]
    slowest: float
    most_memory: int


def report_on(path: Path, name: str, count: int, seed: int, limits: Limits) -> Report:
    """Try ``path`` as it is, then ``count`` mutants of it, fewer where the file is large."""
    if path.is_dir():
        return _report_on_folder(path, name, count, seed, limits)
    data = path.read_bytes()
    if len(data) > _LARGE:
        count = max(1, count // _SHARE_OF_LARGE)
    whole = try_reading(path, limits)
    faults = [] if whole.end not in FAULTS else [Fault(-1, "as it is", whole.end, whole.text)]
    ends: dict[str, int] = {}
    slowest, most = whole.seconds, whole.memory
    if not data:
        return Report(name, whole, ends, tuple(faults), slowest, most)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        copy_companions(path, Path(folder))
        target = Path(folder) / path.name
        target.write_bytes(data)
        alone = try_reading(target, limits)
        for number, mutant in enumerate(mutants(data, count, seed, _pixels_at(path, data))):
            target.write_bytes(mutant.data)
            trial = _judged(target, mutant.kind, try_reading(target, limits), alone)
            ends[trial.end] = ends.get(trial.end, 0) + 1
            slowest, most = max(slowest, trial.seconds), max(most, trial.memory)
            if trial.end in FAULTS:
                faults.append(Fault(number, mutant.kind, trial.end, trial.text))
    return Report(name, whole, ends, tuple(faults), slowest, most)


def _report_on_folder(path: Path, name: str, count: int, seed: int, limits: Limits) -> Report:
    """Try a folder as it is, and with one of its files damaged; its folders are not looked into."""
    whole = try_reading(path, limits)
    faults = [] if whole.end not in FAULTS else [Fault(-1, "as it is", whole.end, whole.text)]
    ends: dict[str, int] = {}
    slowest, most = whole.seconds, whole.memory
    with tempfile.TemporaryDirectory(prefix="fuzz-") as copy:
        files = sorted(p for p in path.iterdir() if p.is_file())
        for file in files:
            shutil.copyfile(file, Path(copy) / file.name)
        for number in range(count):
            file = files[random.Random(seed * 100_003 + number).randrange(len(files))]
            *_, mutant = mutants(file.read_bytes(), number + 1, seed)
            (Path(copy) / file.name).write_bytes(mutant.data)
            trial = try_reading(Path(copy), limits)
            trial = _judged_series(Path(copy), trial, whole)
            shutil.copyfile(file, Path(copy) / file.name)
            ends[trial.end] = ends.get(trial.end, 0) + 1
            slowest, most = max(slowest, trial.seconds), max(most, trial.memory)
            if trial.end in FAULTS:
                faults.append(Fault(number, f"{mutant.kind} of {file.name}", trial.end, trial.text))
    return Report(name, whole, ends, tuple(faults), slowest, most)


def _judged_series(folder: Path, trial: Trial, whole: Trial) -> Trial:
    """``trial``, or a wrong result where a slice lies where no file says, or slices are missing without a word."""
    if trial.end is not End.OPENED:
        return trial
    if states_places(folder, trial.corners()) is False:
        return replace(trial, end=End.WRONG, text="a slice lies where no file says")
    if whole.size and trial.size[2] < whole.size[2] and not trial.notes:
        return replace(trial, end=End.WRONG, text=f"{trial.size[2]} of {whole.size[2]} slices and no note")
    return trial


def _judged(path: Path, kind: str, trial: Trial, whole: Trial) -> Trial:
    """``trial``, or a wrong result where the volume contradicts its own header or the damage was to voxels alone."""
    if trial.end is End.OPENED and states(path, trial.spacing, trial.size[2]) is False:
        return Trial(End.WRONG, f"spacing {trial.spacing} is not in the header")
    if kind == "pixels" and trial.size and whole.size and not trial.same_grid(whole):
        return Trial(End.WRONG, "other voxels moved the grid")
    return trial


def copy_companions(path: Path, folder: Path) -> None:
    """What ``path`` needs beside it: the other half of a pair, detached data, the tree of a DICOMDIR."""
    stem, _, suffix = path.name.lower().removesuffix(".gz").rpartition(".")
    others = [f"{stem}.{other}" for pair in _PAIRS if suffix in pair for other in pair - {suffix}]
    for near in path.parent.iterdir():
        if near.is_file() and near.name.lower().removesuffix(".gz") in others:
            shutil.copyfile(near, folder / near.name)
        elif near.is_dir() and path.name.startswith("DICOMDIR"):
            shutil.copytree(near, folder / near.name, copy_function=shutil.copyfile)


def _pixels_at(path: Path, data: bytes) -> int | None:
    """Where the voxels begin in a file that stores them plainly; None where that is not known."""
    if data[344:348] == b"n+1\0":
        return 352
    if data[128:132] != b"DICM":
        return None
    try:
        dataset = pydicom.dcmread(path, force=True)
        if dataset.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in dataset:
            return None
        at = len(data) - len(dataset.PixelData)
        return at if 0 < at < len(data) else None
    except Exception:  # nothing is known of a file that cannot be decoded
        return None
