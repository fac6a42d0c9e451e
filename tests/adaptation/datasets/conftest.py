"""Small scans and masks on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from hemaview.adaptation.datasets import LabelledScan


@pytest.fixture(scope="session")
def save_scan() -> Callable[..., Path]:
    """Write an array [k, j, i] with 1 x 1 x 2 mm voxels; the folder is made."""

    def save(path: Path, array: np.ndarray, origin: tuple[float, float, float] = (3.0, -4.0, 5.0)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing((1.0, 1.0, 2.0))
        image.SetOrigin(origin)
        SimpleITK.WriteImage(image, str(path))
        return path

    return save


@pytest.fixture(scope="session")
def picture() -> Callable[[int], np.ndarray]:
    """Noise that is different for every seed."""
    return lambda seed: np.random.default_rng(seed).integers(0, 900, (6, 20, 18)).astype(np.int16)


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    """Labels 0 to 4 in nested blocks of known size: 4 in 8 voxels, 3 in 10, 1 in 12, 2 in 14."""
    array = np.zeros((6, 20, 18), dtype=np.int16)
    array[2:4, 5, 5:12] = 2
    array[2:4, 6, 5:11] = 1
    array[2:4, 7, 5:10] = 3
    array[2:4, 8, 5:9] = 4
    return array


@pytest.fixture
def unread() -> Callable[..., LabelledScan]:
    """A scan that must not be read."""

    def make(patient: str, case: str | None = None) -> LabelledScan:
        def read():
            raise AssertionError("read")

        return LabelledScan(patient, case or patient, "flair", "nowhere", read)

    return make
