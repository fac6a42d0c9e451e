"""A small scan, an engine's answer on it, and the state of a case as one comparable value."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hemaview.case import Case
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.segmentation import BoxPrompt, EngineInfo, Prompt, Segmentation

GEOMETRY = Geometry((40, 36, 20), (0.9, 0.9, 3.0), (-20.0, 11.5, 7.25))


@pytest.fixture(scope="session")
def volume() -> Volume:
    array = np.random.default_rng(1).normal(400, 30, GEOMETRY.shape).astype(np.float32)
    return Volume(array, GEOMETRY, Modality.MR, "phantom")


@pytest.fixture(scope="session")
def box() -> BoxPrompt:
    return BoxPrompt.from_index_bounds(GEOMETRY, (9.5, 7.5, 4.5), (29.5, 27.5, 14.5))


@pytest.fixture(scope="session")
def answer() -> Callable[..., Segmentation]:
    """An engine's answer: a soft ball of ``radius_mm`` in the middle of a box."""

    def make(box: BoxPrompt, radius_mm: float = 8.0) -> Segmentation:
        region = box.voxel_slices(GEOMETRY)
        k, j, i = np.mgrid[region]
        centre = np.mean([box.corner_a, box.corner_b], axis=0)
        distance = np.linalg.norm(GEOMETRY.index_to_lps(np.stack([i, j, k], axis=-1)) - centre, axis=-1)
        probability = (1 / (1 + np.exp(2 * (distance - radius_mm)))).astype(np.float32)
        confidence = np.where((probability > 0.5).any(axis=(1, 2)), 0.9, np.nan).astype(np.float32)
        engine = EngineInfo("test", "A soft ball", "CPU", "ab" * 32, "nothing", "Apache-2.0")
        closed = Prompt.of(BoxPrompt(box.corner_a, box.corner_b))
        return Segmentation(probability, region, GEOMETRY, closed, engine, confidence, 0.01, 0.2, ("A note.",))

    return make


@pytest.fixture(scope="session")
def state() -> Callable[[Case], tuple]:
    """Everything a person sees of a case, as one value."""

    def see(case: Case) -> tuple:
        made = case.segmentation
        mask = case.mask
        return (
            [(entry.id, entry.path, entry.geometry) for entry in case.scans],
            case.active_scan and case.active_scan.id,
            case.prompt,
            None if mask is None else hashlib.sha256(np.packbits(mask.array).tobytes()).hexdigest(),
            case.edited,
            case.edited_slices,
            case.checked,
            case.undo_text,
            case.redo_text,
            None
            if made is None
            else (made.engine, made.box, made.created, made.program, made.notes, made.seconds_total),
            None if made is None else made.probability().tobytes() + made.slice_confidence.tobytes(),
        )

    return see


@pytest.fixture
def case(tmp_path: Path, volume: Volume):
    """An open case with one scan whose file lies nowhere."""
    with Case.create(tmp_path / "cases") as made:
        made.add_scan(tmp_path / "phantom.nii.gz", volume)
        yield made
