"""Less noise, edges where they were."""

import numpy as np
import pytest

from hemaview.errors import Cancelled
from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.preprocessing import DenoiseMethod
from hemaview.imaging.preprocessing.denoise import denoise, noise_level

NOISE = 30.0


def psnr(values: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    return 10 * np.log10(truth.max() ** 2 / np.mean((values[where] - truth[where]) ** 2))


@pytest.mark.parametrize("method", list(DenoiseMethod))
@pytest.mark.parametrize("grid", ["even", "crooked"])
def test_noise_falls_and_the_mean_stays(head, method, grid):
    clean, noisy = head("T1", grid), head("T1", grid, noise=NOISE)
    found = denoise(noisy.volume, method)
    assert found.geometry == noisy.volume.geometry
    before = psnr(noisy.volume.array, clean.volume.array, clean.brain)
    assert psnr(found.array, clean.volume.array, clean.brain) > before + 2
    assert found.array[clean.white].mean() == pytest.approx(noisy.volume.array[clean.white].mean(), rel=0.005)


def edge_position(rows: np.ndarray) -> float:
    """Where the mean profile (columns) crosses half way between its ends, in pixels."""
    profile = rows.mean(axis=tuple(range(rows.ndim - 1)))
    half = (profile[:8].mean() + profile[-8:].mean()) / 2
    first = int(np.flatnonzero(profile > half)[0])
    return first - (profile[first] - half) / (profile[first] - profile[first - 1])


@pytest.mark.parametrize("method", list(DenoiseMethod))
def test_an_edge_stays_within_three_tenths_of_a_pixel(method):
    rng = np.random.default_rng(3)
    steps = np.where(np.arange(48) < 21, 100.0, 300.0) * np.ones((24, 48, 1))
    noisy = Volume((steps + rng.normal(0, 20, steps.shape)).astype(np.float32), Geometry((48, 48, 24), (1.0, 1.0, 1.0)))
    assert abs(edge_position(denoise(noisy, method).array) - edge_position(steps)) < 0.3


def test_slices_far_apart_do_not_bleed_into_each_other():
    array = np.zeros((5, 32, 32), np.float32)
    array[2, 8:24, 8:24] = 100
    volume = Volume(array, Geometry((32, 32, 5), (0.5, 0.5, 5.0)), Modality.CT)
    found = denoise(volume).array
    assert np.array_equal(found[1], array[1])
    assert found[2, 16, 16] == pytest.approx(100, abs=0.5)


@pytest.mark.parametrize("spacing", [(0.2, 0.2, 0.2), (0.45, 0.45, 5.0), (3.0, 3.0, 3.0)])
def test_no_voxel_size_makes_it_unstable(spacing):
    array = np.random.default_rng(1).normal(100, 20, (20, 40, 40)).astype(np.float32)
    found = denoise(Volume(array, Geometry((40, 40, 20), spacing)), iterations=30).array
    assert array.min() <= found.min() and found.max() <= array.max()
    assert found.std() < array.std()


def test_the_noise_of_a_scan_is_estimated(head):
    assert noise_level(head("T1", noise=NOISE).volume.array) == pytest.approx(NOISE, rel=0.35)


@pytest.mark.parametrize("method", list(DenoiseMethod))
def test_it_can_be_cancelled(head, method):
    def stop(fraction: float) -> None:
        if fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        denoise(head("T1").volume, method, iterations=40, progress=stop)
